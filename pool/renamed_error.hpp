// Errors in which servers mention what clients do not know: names and places of ours.
#pragma once

#include <string>

#include "protocol/bytes.hpp"
#include "protocol/pipeline.hpp"

namespace pgweir::pool {

/// The ErrorResponse with that payload, whole, with the client's name for the statement where the
/// server used ours.
std::string with_clients_name(protocol::Bytes payload, const protocol::Outstanding& request);

/// Has the payload of an ErrorResponse what every error has: a code of five characters, an end?
bool is_whole_report(protocol::Bytes payload);

/// The ErrorResponse with that payload, whole, as one that has: XX000 where there is no code.
std::string whole_report(protocol::Bytes payload);

/// An error that preparing a statement gave, as the client would have it from the EXECUTE that
/// finds the statement to be of no use any more: with the place in the text of its PREPARE.
std::string late_error(protocol::Bytes payload, const protocol::Statement& statement,
                       const protocol::Renames& renames);

}  // namespace pgweir::pool
