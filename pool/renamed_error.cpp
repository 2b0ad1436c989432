#include "pool/renamed_error.hpp"

#include <algorithm>
#include <cstdlib>

#include "protocol/replies.hpp"
#include "protocol/requests.hpp"

namespace pgweir::pool {

using protocol::Bytes;
using protocol::Outstanding;
using protocol::Request;

namespace {

const std::string& server_name(const protocol::NamedStatement& named, Request request) {
    if (named.statement) return named.statement->server_name();
    return request == Request::parse ? protocol::taken_statement_name : protocol::no_statement_name;
}

/// Where a name of ours stands in a message, whatever quotation marks its language has.
std::size_t find_name(std::string_view text, std::string_view name) {
    const std::size_t at = text.find(name);
    if (at == std::string_view::npos || at + name.size() == text.size()) return at;
    const char next = text[at + name.size()];
    return next >= '0' && next <= '9' ? std::string_view::npos : at;  // a longer number
}

/// A place in the text that the client sent, of one in the text that the server got.
std::string shifted_back(const std::string& place, const protocol::Renames& renames) {
    const long at = std::strtol(place.c_str(), nullptr, 10);
    long shift = 0;
    for (const protocol::Renames::Shift& next : renames.shifts) {
        if (at > next.at) shift = next.by;
    }
    return std::to_string(at - shift);
}

/// The text with the client's name for the statement.
std::string renamed(std::string text, const protocol::NamedStatement& named, Request request,
                    bool unknown) {
    const std::string& ours = server_name(named, request);
    const std::size_t at = find_name(text, ours);
    if (at == std::string::npos) return text;
    if (named.name.empty() && unknown) return "unnamed prepared statement does not exist";
    return text.replace(at, ours.size(), named.name);
}

/// The ErrorResponse of that payload, each field's text as `change(field, text)` leaves it.
template <class Change>
std::string changed_error(Bytes payload, const Change& change) {
    std::string out;
    protocol::Writer writer(out);
    writer.begin('E');
    protocol::Reader reader(payload);
    while (const auto field = reader.u8()) {
        std::string text(reader.cstring());
        change(static_cast<char>(field), text);
        writer.u8(field).cstring(text);
    }
    writer.u8(0).end();
    return out;
}

}  // namespace

bool is_whole_report(Bytes payload) {
    const protocol::Report report = protocol::read_report(payload);
    return report.sqlstate.size() == 5 && payload.ends_with(std::string_view("\0\0", 2));
}

std::string whole_report(Bytes payload) {
    const protocol::Report report = protocol::read_report(payload);
    const bool fatal = report.severity == "FATAL" || report.severity == "PANIC";
    const std::string_view message = report.message.empty() ? "unknown error" : report.message;
    std::string whole;
    protocol::write_error(whole, fatal ? protocol::Severity::fatal : protocol::Severity::error,
                          protocol::make_sqlstate(report.sqlstate), message, report.detail,
                          report.hint);
    return whole;
}

std::string with_clients_name(Bytes payload, const Outstanding& request) {
    const bool unknown = protocol::read_report(payload).sqlstate == "26000";
    return changed_error(payload, [&](char field, std::string& text) {
        if (field == 'M' && request.named)
            text = renamed(std::move(text), *request.named, request.request, unknown);
        if (field == 'M' && request.renames) {
            for (const protocol::Renames::Item& item : request.renames->items)
                text = renamed(std::move(text), *item.named, request.request, unknown);
        }
        if (field == 'P' && request.renames) text = shifted_back(text, *request.renames);
    });
}

std::string late_error(Bytes payload, const protocol::Statement& statement,
                       const protocol::Renames& renames) {
    const auto item = std::find_if(renames.items.begin(), renames.items.end(), [&](const auto& i) {
        return i.named->statement.get() == &statement;
    });
    const bool moved = statement.is_sql() && item != renames.items.end();
    const auto head = moved ? static_cast<long>(protocol::prepare_head(statement).size()) : 0;
    return changed_error(payload, [&](char field, std::string& text) {
        if (field != 'P' || !moved) return;
        const long place = std::strtol(text.c_str(), nullptr, 10) - head;
        text = std::to_string(place + static_cast<long>(item->named->behind));
    });
}

}  // namespace pgweir::pool
