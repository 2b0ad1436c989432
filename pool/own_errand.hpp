// An errand on which a server hears nothing but statements of ours.
#pragma once

#include "pool/peer.hpp"
#include "pool/worker.hpp"

namespace pgweir::pool {

/// It asks for a session as new servers have it, and all that it wants comes by own_done().
class OwnErrand : public Errand {
public:
    void refused(const protocol::Error&) override {}
    void deliver(const protocol::Segments&) override {}
    const protocol::Vars& startup() const override { return none_; }
    const protocol::Vars& vars() const override { return none_; }
    void settled() override {}

protected:
    explicit OwnErrand(const Worker& on) : none_(on.shared.vars.empty()) {}
    ~OwnErrand() = default;

private:
    const protocol::Vars none_;
};

}  // namespace pgweir::pool
