// Who asked for a query to be cancelled wants to know when that is over.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

namespace pgweir::pool {

/// A cancel request on its way. It is over when nobody holds it any more. Resource.
class CancelErrand {
public:
    /// What became of it, as the log says it; a literal. Any thread.
    using Done = std::function<void(std::string_view outcome)>;

    explicit CancelErrand(Done done) : done_(std::move(done)) {}
    ~CancelErrand() { done_(outcome_); }
    CancelErrand(const CancelErrand&) = delete;
    CancelErrand& operator=(const CancelErrand&) = delete;

    /// `outcome`: a literal.
    void ended(std::string_view outcome) { outcome_ = outcome; }

private:
    Done done_;
    std::string_view outcome_ = "failed cancel request";
};

/// Nobody asked when it is empty.
using CancelHold = std::shared_ptr<CancelErrand>;

inline void ended(const CancelHold& hold, std::string_view outcome) {
    if (hold) hold->ended(outcome);
}

}  // namespace pgweir::pool
