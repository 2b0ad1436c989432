// The log of slow queries: what it says beside what SHOW QUERIES knows.
#pragma once

#include <string>
#include <string_view>

namespace pgweir::proxy {

/// Of the query under way, where there is something. Value.
struct QueryDetails {
    std::string traceparent;
    std::string text;  // as the client sent it; kept with log.slow_query_literals only
};

/// The W3C traceparent in a comment at the beginning or the end of a statement, as sqlcommenter
/// puts it there; empty: there is none, or it is not well-formed.
std::string_view traceparent_of_query(std::string_view sql);

/// The same in an application_name: "traceparent=…" anywhere in it, or all of it.
std::string_view traceparent_of_name(std::string_view application_name);

}  // namespace pgweir::proxy
