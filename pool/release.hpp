// When may a server leave its client?
#pragma once

#include "config/config.hpp"
#include "protocol/replies.hpp"

namespace pgweir::pool {

/// `settled`: no reply is outstanding and no message half sent, in either direction.
constexpr bool may_release(config::PoolMode mode, protocol::TxStatus tx, bool settled) {
    if (!settled || mode == config::PoolMode::session) return false;
    return mode == config::PoolMode::statement || tx == protocol::TxStatus::idle;
}

}  // namespace pgweir::pool
