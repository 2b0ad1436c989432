// Bytes in words, for tests: what a stream of messages says, one text a message (see words.hpp).
#pragma once

#include <string>
#include <vector>

#include "protocol/frame.hpp"
#include "tests/unit/words.hpp"

namespace pgweir::tests {

using Spoken = std::vector<std::string>;

namespace speak {

namespace p = protocol;

inline std::string quote(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\0') {
            out += "\\0";
        } else if (c == '\n') {
            out += "\\n";
        } else {
            out += c;
        }
    }
    return out + '"';
}

/// Bare where that can be read back.
inline std::string word(std::string_view text) {
    const bool plain = !text.empty() && text.find_first_of(" \"'\\[]#;\n\0") == Bytes::npos;
    return plain && text.find('\0') == Bytes::npos ? std::string(text) : quote(text);
}

inline std::string list(const std::vector<p::Value>& values) {
    std::string out;
    for (const p::Value& value : values) {
        out += (out.empty() ? "" : " ") + (value ? word(*value) : "null");
    }
    return " [" + out + ']';
}

inline std::string types(Bytes types) {
    p::Reader reader(types);
    std::string out;
    for (int count = reader.u16(); count > 0; --count) {
        out += (out.empty() ? "" : " ") + std::to_string(reader.u32());
    }
    return out.empty() ? "" : " [" + out + ']';
}

inline std::string raw(const p::Frame& frame) {
    return "Raw " + quote(std::string(1, frame.type) + std::string(frame.payload));
}

inline std::string target(const char* name, Bytes payload) {
    const auto target = p::read_target(payload);
    return target ? std::string(name) + ' ' + target->kind + ' ' + word(target->name)
                  : "bad target";
}

inline std::string parse(const p::Frame& frame) {
    const auto parse = p::read_parse(frame.payload);
    if (!parse) return raw(frame);
    return "Parse " + word(parse->name) + ' ' + quote(parse->query) + types(parse->types);
}

inline std::string bind(const p::Frame& frame) {
    const auto bind = p::read_bind(frame.payload);
    if (!bind) return raw(frame);
    std::string out = "Bind " + word(bind->portal) + ' ' + word(bind->statement);
    return bind->values.empty() ? out : out + list(bind->values);
}

inline std::string execute(const p::Frame& frame) {
    const auto execute = p::read_execute(frame.payload);
    if (!execute) return raw(frame);
    const std::string out = "Execute " + word(execute->portal);
    return execute->rows_max == 0 ? out : out + ' ' + std::to_string(execute->rows_max);
}

inline std::string request(const p::Frame& frame) {
    const Bytes payload = frame.payload;
    switch (frame.type) {
        case 'Q': return "Query " + quote(p::Reader(payload).cstring());
        case 'P': return parse(frame);
        case 'B': return bind(frame);
        case 'D': return target("Describe", payload);
        case 'C': return target("Close", payload);
        case 'E': return execute(frame);
        case 'S': return "Sync";
        case 'H': return "Flush";
        case 'X': return "Terminate";
        case 'd': return "CopyData " + quote(payload);
        case 'c': return "CopyDone";
        case 'f': return "CopyFail " + quote(p::Reader(payload).cstring());
        case 'F': {
            const auto call = p::read_function_call(payload);
            return call ? "FunctionCall " + std::to_string(call->function_oid) + list(call->values)
                        : raw(frame);
        }
        default: return raw(frame);
    }
}

inline std::string report(const char* name, Bytes payload) {
    const p::Report report = p::read_report(payload);
    std::string out = std::string(name) + ' ' + word(report.severity) + ' ' + word(report.sqlstate);
    out += ' ' + quote(report.message);
    return report.detail.empty() ? out : out + ' ' + quote(report.detail);
}

inline std::string data_row(const p::Frame& frame) {
    const auto row = p::read_data_row(frame.payload);
    if (!row) return raw(frame);
    std::string out = "DataRow";
    for (const p::Value& value : *row) out += ' ' + (value ? word(*value) : "null");
    return out;
}

inline std::string row_description(const p::Frame& frame) {
    const auto fields = p::read_row_description(frame.payload);
    if (!fields) return raw(frame);
    std::string out = "RowDescription";
    for (const p::Field& field : *fields) out += ' ' + word(field.name);
    return out;
}

inline std::string ready(const p::Frame& frame) {
    const auto status = p::read_ready_for_query(frame.payload);
    if (!status) return raw(frame);
    switch (*status) {
        case p::TxStatus::idle: return "ReadyForQuery idle";
        case p::TxStatus::transaction: return "ReadyForQuery transaction";
        case p::TxStatus::failed: return "ReadyForQuery failed";
    }
    return raw(frame);
}

inline std::string parameter(const p::Frame& frame) {
    const auto status = p::read_parameter_status(frame.payload);
    return status ? "ParameterStatus " + word(status->name) + ' ' + word(status->value)
                  : raw(frame);
}

inline std::string notification(const p::Frame& frame) {
    const auto n = p::read_notification(frame.payload);
    return n ? "NotificationResponse " + word(n->channel) + ' ' + word(n->payload) : raw(frame);
}

inline std::string reply(const p::Frame& frame) {
    const Bytes payload = frame.payload;
    switch (frame.type) {
        case '1': return "ParseComplete";
        case '2': return "BindComplete";
        case '3': return "CloseComplete";
        case 'n': return "NoData";
        case 's': return "PortalSuspended";
        case 'I': return "EmptyQueryResponse";
        case 'c': return "CopyDone";
        case 'd': return "CopyData " + quote(payload);
        case 'G': return "CopyInResponse";
        case 'H': return "CopyOutResponse";
        case 'W': return "CopyBothResponse";
        case 'C': return "CommandComplete " + word(p::read_command_tag(payload));
        case 'Z': return ready(frame);
        case 'D': return data_row(frame);
        case 'T': return row_description(frame);
        case 't': return "ParameterDescription" + types(payload);
        case 'E': return report("ErrorResponse", payload);
        case 'N': return report("NoticeResponse", payload);
        case 'S': return parameter(frame);
        case 'A': return notification(frame);
        case 'V':
            return "FunctionCallResponse " + word(payload.size() < 4 ? payload : payload.substr(4));
        default: return raw(frame);
    }
}

inline Spoken speak(Bytes stream, std::string (*one)(const p::Frame&)) {
    Spoken spoken;
    while (!stream.empty()) {
        const auto cut = p::first_frame(stream, 0x7fffffff, p::Origin::proxy);
        if (!cut || !*cut || (*cut)->missing > 0) {
            spoken.push_back("and " + std::to_string(stream.size()) + " bytes");
            break;
        }
        spoken.push_back(one(**cut));
        stream.remove_prefix((*cut)->size());
    }
    return spoken;
}

}  // namespace speak

/// What a client said; a message that is not whole comes last, as its number of bytes.
inline Spoken spoken_requests(Bytes stream) { return speak::speak(stream, speak::request); }
/// What a server said.
inline Spoken spoken_replies(Bytes stream) { return speak::speak(stream, speak::reply); }

}  // namespace pgweir::tests
