#include "proxy/local_answer.hpp"

#include "protocol/requests.hpp"

namespace pgweir::proxy {

namespace {

using protocol::Severity;

void write_report(std::string& out, Severity severity, const protocol::Error& error) {
    protocol::write_error(out, severity, error.sqlstate, error.message, error.detail, error.hint);
}

void write_description(std::string& out, const LocalAnswer& answer) {
    if (answer.columns.empty()) {
        out += protocol::no_data;
        return;
    }
    std::vector<protocol::Column> columns;
    for (const std::string& name : answer.columns)
        columns.push_back({.name = name, .type_oid = protocol::oid::text});
    protocol::write_row_description(out, columns);
}

void write_result(std::string& out, const LocalAnswer& answer) {
    if (answer.warning) {
        protocol::write_notice(out, Severity::warning, answer.warning->sqlstate,
                               answer.warning->message);
    }
    for (const std::vector<std::string>& row : answer.rows)
        protocol::write_data_row(
            out, std::vector<std::optional<std::string_view>>(row.begin(), row.end()));
    protocol::write_command_complete(out, answer.tag);
}

/// A message of a batch. False: its statement fails with it.
bool write_reply(std::string& out, const protocol::Frame& frame, const LocalAnswer& answer) {
    switch (frame.type) {
        case 'P':
            if (answer.error) break;
            out += protocol::parse_complete;
            return true;
        case 'B':
            if (answer.error) break;
            out += protocol::bind_complete;
            return true;
        case 'D': {
            if (answer.error) break;
            const auto target = protocol::read_target(frame.payload);
            if (!target.has_error() && target->kind == 'S')
                protocol::write_parameter_description(out, {});
            write_description(out, answer);
            return true;
        }
        case 'E':
            if (answer.error) break;
            write_result(out, answer);
            return true;
        case 'C': out += protocol::close_complete; return true;
        default: return true;
    }
    write_report(out, Severity::error, *answer.error);
    return false;
}

}  // namespace

void write_local_answer(std::string& out, protocol::Bytes unit, const LocalAnswer& answer) {
    bool skipping = false;
    while (!unit.empty()) {
        const auto cut = protocol::cut_frame(unit, protocol::payload_size_max);
        if (cut.cut != protocol::Cut::frame || cut.frame.missing > 0) return;
        const protocol::Frame& frame = cut.frame;
        unit.remove_prefix(frame.size());
        if (frame.type == 'Q') {
            if (answer.error) {
                write_report(out, Severity::error, *answer.error);
            } else {
                if (!answer.columns.empty()) write_description(out, answer);
                write_result(out, answer);
            }
        }
        if (frame.type == 'Q' || frame.type == 'S') {
            protocol::write_ready_for_query(out, answer.status);
            skipping = false;
            continue;
        }
        if (!skipping) skipping = !write_reply(out, frame, answer);
    }
}

}  // namespace pgweir::proxy
