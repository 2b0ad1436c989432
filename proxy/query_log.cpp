#include "proxy/query_log.hpp"

#include <algorithm>

#include "protocol/frame.hpp"
#include "protocol/requests.hpp"

namespace pgweir::proxy {

namespace {

constexpr std::string_view key = "traceparent";
constexpr std::size_t size = 55;  // version 2, trace id 32, parent id 16, flags 2, and three dashes

/// Source: W3C Trace Context, section 3.2.
bool is_well_formed(std::string_view text) {
    if (text.size() != size || text.starts_with("ff")) return false;
    for (std::size_t i = 0; i < size; ++i) {
        const bool dash = i == 2 || i == 35 || i == 52;
        const bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (dash ? text[i] != '-' : !hex) return false;
    }
    return true;
}

/// Behind its key, with "=" and quotes between them.
std::string_view value_in(std::string_view text) {
    std::size_t at = text.find(key);
    if (at == std::string_view::npos) return {};
    at = std::min(text.find_first_not_of("='\": ", at + key.size()), text.size());
    const std::string_view value = text.substr(at, size);
    return is_well_formed(value) ? value : std::string_view();
}

}  // namespace

std::string_view traceparent_of_query(std::string_view sql) {
    constexpr std::string_view blanks = " \t\r\n;";
    const std::size_t end = sql.find_last_not_of(blanks);
    if (end == std::string_view::npos) return {};
    sql = sql.substr(0, end + 1);
    if (sql.ends_with("*/")) {
        const std::size_t begin = sql.rfind("/*");
        const std::string_view found =
            begin == std::string_view::npos ? std::string_view() : value_in(sql.substr(begin));
        if (!found.empty()) return found;
    }
    return sql.starts_with("/*") ? value_in(sql.substr(0, sql.find("*/"))) : std::string_view();
}

std::string_view traceparent_of_request(protocol::Bytes request) {
    const protocol::CutFrame cut = protocol::cut_frame(request, protocol::payload_size_max);
    if (cut.cut != protocol::Cut::frame || cut.frame.missing > 0) return {};
    if (cut.frame.type == 'Q') {
        const auto query = protocol::read_query(cut.frame.payload);
        return query ? traceparent_of_query(*query) : std::string_view();
    }
    if (cut.frame.type != 'P') return {};
    const auto parse = protocol::read_parse(cut.frame.payload);
    return parse ? traceparent_of_query(parse->query) : std::string_view();
}

std::string_view traceparent_of_name(std::string_view application_name) {
    const std::size_t before = application_name.size() - std::min(application_name.size(), size);
    const std::string_view last = application_name.substr(before);
    const bool apart = before == 0 || application_name[before - 1] == ' ';
    return apart && is_well_formed(last) ? last : value_in(application_name);
}

}  // namespace pgweir::proxy
