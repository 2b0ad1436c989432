#include "protocol/error.hpp"

#include <stdexcept>

namespace pgweir::protocol {

namespace {

void write_report(std::string& out, char type, Severity severity, const Sqlstate& sqlstate,
                  std::string_view message, std::string_view detail, std::string_view hint) {
    Writer writer(out);
    writer.begin(type);
    writer.u8('S').cstring(severity_text(severity));
    writer.u8('V').cstring(severity_text(severity));
    writer.u8('C').cstring(sqlstate.view());
    writer.u8('M').cstring(message);
    if (!detail.empty()) writer.u8('D').cstring(detail);
    if (!hint.empty()) writer.u8('H').cstring(hint);
    writer.u8(0).end();
}

}  // namespace

Sqlstate make_sqlstate(std::string_view text) {
    if (text.size() != 5) return sqlstate::internal_error;
    Sqlstate state{};
    std::memcpy(state.code, text.data(), 5);
    return state;
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
    throw std::runtime_error(error.message);
}

Error protocol_violation(Origin sender, std::string message) {
    return {sqlstate::protocol_violation, sender, std::move(message)};
}

std::string_view severity_text(Severity severity) {
    switch (severity) {
        case Severity::error: return "ERROR";
        case Severity::fatal: return "FATAL";
        case Severity::panic: return "PANIC";
        case Severity::warning: return "WARNING";
        case Severity::notice: return "NOTICE";
        case Severity::debug: return "DEBUG";
        case Severity::info: return "INFO";
        case Severity::log: return "LOG";
    }
    return "ERROR";
}

Report read_report(Bytes body) {
    Report report;
    Reader reader(body);
    while (const char field = static_cast<char>(reader.u8())) {
        const std::string_view text = reader.cstring();
        if (!reader.ok()) break;
        switch (field) {
            case 'S':
                if (report.severity.empty()) report.severity = text;
                break;
            case 'V': report.severity = text; break;
            case 'C': report.sqlstate = text; break;
            case 'M': report.message = text; break;
            case 'D': report.detail = text; break;
            case 'H': report.hint = text; break;
            case 'R': report.routine = text; break;
            default: break;
        }
    }
    return report;
}

void write_error(std::string& out, Severity severity, const Sqlstate& sqlstate,
                 std::string_view message, std::string_view detail, std::string_view hint) {
    write_report(out, 'E', severity, sqlstate, message, detail, hint);
}

void write_notice(std::string& out, Severity severity, const Sqlstate& sqlstate,
                  std::string_view message, std::string_view detail, std::string_view hint) {
    write_report(out, 'N', severity, sqlstate, message, detail, hint);
}

}  // namespace pgweir::protocol
