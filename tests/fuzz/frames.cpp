// Messages of either side: cutting them, and every reader of a body. A reader takes a body whole or
// refuses it; what it took is written as it was.
#include "protocol/frame.hpp"
#include "protocol/replies.hpp"
#include "protocol/requests.hpp"
#include "tests/fuzz/targets.hpp"

namespace pgweir::fuzz {

namespace {

using protocol::Bytes;

/// A message that was written has this body.
void require_body(const std::string& message, Bytes body) {
    require(Bytes(message).substr(protocol::header_size) == body);
}

void read_request(char type, Bytes body) {
    std::string again;
    if (const auto parse = protocol::read_parse(body); parse && type == 'P') {
        protocol::write_parse(again, parse->name, parse->query, parse->types);
        require_body(again, body);
    }
    if (const auto bind = protocol::read_bind(body); bind && type == 'B') {
        const auto names = protocol::read_bind_names(body);
        require(names && names->portal == bind->portal && names->statement == bind->statement);
        protocol::write_bind(again, bind->portal, bind->statement, bind->values, bind->formats,
                             bind->result_formats);
        require_body(again, body);
    }
    if (const auto execute = protocol::read_execute(body); execute && type == 'E') {
        protocol::write_execute(again, execute->portal, execute->rows_max);
        require_body(again, body);
    }
    if (const auto query = protocol::read_query(body); query && type == 'Q') {
        protocol::write_query(again, *query);
        require_body(again, body);
    }
    if (const auto call = protocol::read_function_call(body); call && type == 'F') {
        protocol::write_function_call(again, *call);
        require_body(again, body);
    }
    protocol::read_target(body);
    protocol::read_copy_fail(body);
    protocol::read_password(body);
    protocol::read_sasl_initial(body);
}

void read_reply(char type, Bytes body) {
    std::string again;
    if (const auto row = protocol::read_data_row(body); row && type == 'D') {
        protocol::write_data_row(again, *row);
        require_body(again, body);
    }
    if (const auto parameter = protocol::read_parameter_status(body); parameter && type == 'S') {
        protocol::write_parameter_status(again, parameter->name, parameter->value);
        require_body(again, body);
    }
    if (const auto note = protocol::read_notification(body); note && type == 'A') {
        protocol::write_notification(again, note->pid, note->channel, note->payload);
        require_body(again, body);
    }
    if (const auto auth = protocol::read_authentication(body)) {
        protocol::read_sasl_mechanisms(auth->data);
        protocol::offers_mechanism(auth->data, "SCRAM-SHA-256");
    }
    protocol::read_backend_key_data(body);
    protocol::read_ready_for_query(body);
    protocol::read_command_tag(body);
    protocol::read_negotiate_protocol_version(body);
    protocol::read_row_description(body);
    protocol::read_parameter_description(body);
    protocol::read_copy_response(body);
    protocol::read_report(body);
}

}  // namespace

void frames(std::string_view input) {
    constexpr std::size_t payload_max = 1 << 16;
    while (true) {
        const auto cut = protocol::first_frame(input, payload_max, protocol::Origin::client);
        if (cut.has_error() || !*cut) return;
        const protocol::Frame& frame = **cut;
        require(frame.payload.size() + frame.missing <= payload_max);
        require(protocol::header_size + frame.payload.size() <= input.size());
        require(frame.missing == 0 || frame.size() > input.size());
        read_request(frame.type, frame.payload);
        read_reply(frame.type, frame.payload);
        if (frame.missing > 0) return;
        input.remove_prefix(frame.size());
    }
}

}  // namespace pgweir::fuzz
