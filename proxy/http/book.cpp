#include "proxy/http/book.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

#include "proxy/http/text.hpp"

namespace pgweir::proxy::http {

namespace {

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        words.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return words;
}

}  // namespace

prometheus::ClientMetric& Family::sample(Values values) {
    assert(values.size() == labels_.size());
    prometheus::ClientMetric& sample = family_.metric.emplace_back();
    sample.label.reserve(values.size());
    auto label = labels_.begin();
    for (const std::string_view value : values) sample.label.push_back({*label++, utf8(value)});
    return sample;
}

void Family::add(Values values, double value) {
    prometheus::ClientMetric& to = sample(values);
    if (family_.type == prometheus::MetricType::Counter) {
        to.counter.value = value;
    } else {
        to.gauge.value = value;
    }
}

void Family::add(Values values, const pool::Durations& durations) {
    prometheus::ClientMetric::Histogram& to = sample(values).histogram;
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < durations.counts.size(); ++i) {
        const bool last = i == pool::duration_bounds_us.size();
        count += durations.counts[i];
        to.bucket.push_back({count, last ? std::numeric_limits<double>::infinity()
                                         : static_cast<double>(pool::duration_bounds_us[i]) / 1e6});
    }
    to.sample_count = count;
    to.sample_sum = static_cast<double>(durations.sum_us) / 1e6;
}

Family& Book::gauge(std::string_view name, std::string_view labels, std::string_view help) {
    return add(prometheus::MetricType::Gauge, name, labels, help);
}

Family& Book::counter(std::string_view name, std::string_view labels, std::string_view help) {
    return add(prometheus::MetricType::Counter, name, labels, help);
}

Family& Book::histogram(std::string_view name, std::string_view labels, std::string_view help) {
    return add(prometheus::MetricType::Histogram, name, labels, help);
}

Family& Book::add(prometheus::MetricType type, std::string_view name, std::string_view labels,
                  std::string_view help) {
    prometheus::MetricFamily family{std::string(name), std::string(help), type, {}};
    return sections_.back().families.emplace_back(std::move(family), words_of(labels));
}

std::vector<prometheus::MetricFamily> Book::take() {
    std::vector<prometheus::MetricFamily> all;
    for (Section& section : sections_) {
        for (Family& family : section.families) all.push_back(std::move(family.family_));
    }
    sections_.clear();
    return all;
}

}  // namespace pgweir::proxy::http
