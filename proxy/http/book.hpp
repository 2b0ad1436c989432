// Metric families while they are filled.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/metric_family.h>

#include "pool/histogram.hpp"

namespace pgweir::proxy::http {

/// One name with its labels. Lives in its book.
class Family {
public:
    Family(prometheus::MetricFamily family, std::vector<std::string> labels)
        : family_(std::move(family)),
          labels_(std::move(labels)) {}

    using Values = std::initializer_list<std::string_view>;
    /// A sample; `values` are the labels', in their order.
    void add(Values values, double value);
    void add(Values values, std::uint64_t value) { add(values, static_cast<double>(value)); }
    void add(Values values, int value) { add(values, static_cast<double>(value)); }
    void add(Values values, bool value) { add(values, value ? 1.0 : 0.0); }
    /// Of a histogram.
    void add(Values values, const pool::Durations& durations);
    /// Of a time in µs.
    void add_seconds(Values values, std::int64_t us) { add(values, static_cast<double>(us) / 1e6); }

    const prometheus::MetricFamily& family() const { return family_; }
    const std::vector<std::string>& labels() const { return labels_; }

private:
    friend class Book;
    prometheus::ClientMetric& sample(Values values);

    prometheus::MetricFamily family_;
    std::vector<std::string> labels_;
};

/// Value. Names and helps are static; labels are words with spaces between.
class Book {
public:
    /// What comes now is about this.
    void section(std::string_view title) { sections_.push_back({std::string(title), {}}); }
    Family& gauge(std::string_view name, std::string_view labels, std::string_view help);
    Family& counter(std::string_view name, std::string_view labels, std::string_view help);

    Family& histogram(std::string_view name, std::string_view labels, std::string_view help);

    struct Section {
        std::string title;
        std::deque<Family> families;  // whose elements do not move
    };
    const std::deque<Section>& sections() const { return sections_; }
    /// All of them; the book is empty then.
    std::vector<prometheus::MetricFamily> take();

private:
    Family& add(prometheus::MetricType type, std::string_view name, std::string_view labels,
                std::string_view help);

    std::deque<Section> sections_;
};

}  // namespace pgweir::proxy::http
