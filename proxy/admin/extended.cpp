#include "proxy/admin/extended.hpp"

#include <fmt/format.h>

namespace pgweir::proxy::admin {

namespace {

using protocol::Error;
using protocol::Origin;

constexpr protocol::Sqlstate duplicate_cursor{"42P03"};
constexpr protocol::Sqlstate invalid_cursor_name{"34000"};

Error no_such_statement(std::string_view name) {
    return {protocol::sqlstate::invalid_sql_statement_name, Origin::client,
            name.empty() ? "unnamed prepared statement does not exist"
                         : fmt::format("prepared statement \"{}\" does not exist", name)};
}

Error no_such_portal(std::string_view name) {
    return {invalid_cursor_name, Origin::client, fmt::format("portal \"{}\" does not exist", name)};
}

Error too_many(std::string_view what) {
    return {protocol::sqlstate::program_limit_exceeded, Origin::client,
            fmt::format("too many {} on the console", what)};
}

}  // namespace

bool Extended::handles(char type) {
    return std::string_view("PBDECHS").find(type) != std::string_view::npos;
}

Extended::Step Extended::refuse(Error error) {
    skipping_ = true;
    return {.run = nullptr, .refused = std::move(error)};
}

protocol::Result<Extended::Step> Extended::take(const protocol::Frame& frame, std::string& out) {
    if (frame.type == 'S') {
        skipping_ = false;
        end_transaction();
        protocol::write_ready_for_query(out, protocol::TxStatus::idle);
        return Step();
    }
    if (skipping_ || frame.type == 'H') return Step();
    switch (frame.type) {
        case 'P': {
            const auto message = protocol::read_parse(frame.payload);
            if (message.has_error()) return message.error();
            return parse(*message, out);
        }
        case 'B': {
            const auto message = protocol::read_bind(frame.payload);
            if (message.has_error()) return message.error();
            return bind(*message, out);
        }
        case 'E': {
            const auto message = protocol::read_execute(frame.payload);
            if (message.has_error()) return message.error();
            return execute(*message, out);
        }
        default: {
            const auto target = protocol::read_target(frame.payload);
            if (target.has_error()) return target.error();
            if (frame.type == 'D') return describe(*target, out);
            close(*target, out);
            return Step();
        }
    }
}

Extended::Step Extended::parse(const protocol::Parse& message, std::string& out) {
    const bool named = !message.name.empty();
    if (named && statements_.contains(message.name)) {
        return refuse({protocol::sqlstate::duplicate_prepared_statement, Origin::client,
                       fmt::format("prepared statement \"{}\" already exists", message.name)});
    }
    if (named && statements_.size() >= names_max) return refuse(too_many("prepared statements"));
    const bool empty = message.query.find_first_not_of(" \t\r\n;") == std::string_view::npos;
    auto statement = empty ? Statement{.command = {}, .columns = {}} : resolve(message.query);
    if (statement.has_error()) return refuse(statement.error());
    statements_.insert_or_assign(std::string(message.name), std::move(*statement));
    out += protocol::parse_complete;
    return {};
}

Extended::Step Extended::bind(const protocol::Bind& message, std::string& out) {
    const auto found = statements_.find(message.statement);
    if (found == statements_.end()) return refuse(no_such_statement(message.statement));
    if (!message.values.empty()) return refuse(refusal("console commands take no parameters"));
    if (!formats_fit(message.result_formats, found->second.columns.size())) {
        return refuse(refusal("result formats do not fit the columns"));
    }
    const bool named = !message.portal.empty();
    if (named && portals_.contains(message.portal)) {
        return refuse({duplicate_cursor, Origin::client,
                       fmt::format("portal \"{}\" already exists", message.portal)});
    }
    if (named && portals_.size() >= names_max) return refuse(too_many("portals"));
    portals_.insert_or_assign(std::string(message.portal), Portal{.statement = found->second,
                                                                  .formats = message.result_formats,
                                                                  .answer = std::nullopt});
    out += protocol::bind_complete;
    return {};
}

Extended::Step Extended::describe(const protocol::Target& target, std::string& out) {
    const Statement* statement = nullptr;
    Formats formats;
    if (target.kind == 'S') {
        const auto found = statements_.find(target.name);
        if (found == statements_.end()) return refuse(no_such_statement(target.name));
        statement = &found->second;
        protocol::write_parameter_description(out, {});
    } else {
        const auto found = portals_.find(target.name);
        if (found == portals_.end()) return refuse(no_such_portal(target.name));
        statement = &found->second.statement;
        formats = found->second.formats;
    }
    if (statement->columns.empty()) {
        out += protocol::no_data;
    } else {
        write_columns(out, statement->columns, formats);
    }
    return {};
}

Extended::Step Extended::execute(const protocol::Execute& message, std::string& out) {
    const auto found = portals_.find(message.portal);
    if (found == portals_.end()) return refuse(no_such_portal(message.portal));
    rows_max_ = message.rows_max;
    if (found->second.statement.empty()) {
        out += protocol::empty_query;
        return {};
    }
    executing_ = &found->second;
    if (!executing_->answer) return {.run = &executing_->statement, .refused = std::nullopt};
    write_rows(*executing_, out);
    return {};
}

void Extended::answered(Answer answer, std::string& out) {
    if (answer.error) {
        skipping_ = true;
        return;
    }
    executing_->answer = std::move(answer);
    write_rows(*executing_, out);
}

/// The rows that are left, or as many of them as the Execute asks for.
void Extended::write_rows(Portal& portal, std::string& out) {
    Answer& answer = *portal.answer;
    if (!answer.notice.empty()) {
        protocol::write_notice(out, protocol::Severity::notice,
                               protocol::sqlstate::successful_completion,
                               std::exchange(answer.notice, {}), answer.detail);
    }
    std::size_t end = answer.rows.size();
    if (rows_max_ > 0) end = std::min(end, portal.next + static_cast<std::size_t>(rows_max_));
    for (; portal.next < end; ++portal.next) {
        write_row(out, portal.statement.columns, answer.rows[portal.next], portal.formats);
        answer.rows[portal.next] = Row();
    }
    if (end < answer.rows.size()) {
        out += protocol::portal_suspended;
    } else {
        protocol::write_command_complete(out, answer.tag);
    }
}

void Extended::close(const protocol::Target& target, std::string& out) {
    if (target.kind == 'S') {
        const auto found = statements_.find(target.name);
        if (found != statements_.end()) statements_.erase(found);
    } else {
        const auto found = portals_.find(target.name);
        if (found != portals_.end()) portals_.erase(found);
    }
    out += protocol::close_complete;
}

}  // namespace pgweir::proxy::admin
