// Answers to a client's requests that no server sees: what a server would have said.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/error.hpp"
#include "protocol/frame.hpp"
#include "protocol/replies.hpp"

namespace pgweir::proxy {

/// What a statement that is carried out here gives. Value.
struct LocalAnswer {
    std::string tag;                     // "BEGIN"
    std::vector<std::string> columns{};  // empty: it gives no rows
    std::vector<std::vector<std::string>> rows{};
    std::optional<protocol::Error> error{};  // instead of all that
    std::optional<protocol::Error> warning{};
    protocol::TxStatus status = protocol::TxStatus::idle;  // afterwards
};

/// The replies to a simple query, or to the messages of a batch up to its Sync, whose one statement
/// has this answer. Whole messages; what follows an error up to the Sync is skipped.
void write_local_answer(std::string& out, protocol::Bytes unit, const LocalAnswer& answer);

}  // namespace pgweir::proxy
