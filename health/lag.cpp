#include "health/lag.hpp"

#include <algorithm>

namespace pgweir::health {

void Samples::add(Sample sample) {
    const std::size_t count = samples_.size();
    if (count >= 2 && samples_[count - 1].lsn == sample.lsn &&
        samples_[count - 2].lsn == sample.lsn) {
        samples_.back() = sample;
        return;
    }
    samples_.push_back(sample);
    if (samples_.size() < kept_max) return;
    // Every other one of the older half goes.
    std::size_t place = 0;
    std::erase_if(samples_, [&place](const Sample&) {
        const std::size_t here = place++;
        return here < kept_max / 2 && here % 2 == 1;
    });
}

std::vector<Sample> Samples::newest(std::size_t count) const {
    const std::size_t taken = std::min(count, samples_.size());
    return {samples_.end() - static_cast<std::ptrdiff_t>(taken), samples_.end()};
}

Samples::Lag Samples::lag(const protocol::Lsn& lsn, std::int64_t asked_us) const {
    if (samples_.empty() || samples_.back().lsn <= lsn) return {};
    const auto unreached = std::upper_bound(
        samples_.begin(), samples_.end(), lsn,
        [](const protocol::Lsn& reached, const Sample& sample) { return reached < sample.lsn; });
    return {samples_.back().lsn - lsn, std::max<std::int64_t>(asked_us - unreached->sent_us, 0)};
}

}  // namespace pgweir::health
