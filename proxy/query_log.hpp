// The log of slow queries: what it says beside what SHOW QUERIES knows.
#pragma once

#include <string>
#include <string_view>

#include "protocol/bytes.hpp"

namespace pgweir::proxy {

/// Of the query under way, where there is something. Value.
struct QueryDetails {
    std::string traceparent;  // or, in an open transaction, of the last one
    std::string text;         // as the client sent it; kept with log.slow_query_literals only
};

/// The W3C traceparent in a comment at the beginning or the end of a statement, as sqlcommenter
/// puts it there; empty: there is none, or it is not well-formed.
std::string_view traceparent_of_query(std::string_view sql);

/// The same in an application_name: all of it or behind a blank at its end, as PostgreSQL cuts
/// names at 63 bytes; "traceparent=…" anywhere in it, where it is longer.
std::string_view traceparent_of_name(std::string_view application_name);

/// Of a request that waits: of the text that its first message has. A Bind has none here.
std::string_view traceparent_of_request(protocol::Bytes request);

}  // namespace pgweir::proxy
