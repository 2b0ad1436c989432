// What a client asks while it has no server.
#include "proxy/frontend.hpp"

#include <cstring>

namespace pgweir::proxy {

using protocol::Frame;

namespace {

constexpr std::size_t beginning_min = 16 << 10;  // bytes of a message that earn it a server
constexpr std::string_view ready_idle("Z\0\0\0\5I", 6);

}  // namespace

bool Frontend::wants_server(Bytes input) const {
    if (mid_message() || dropping_ || input.size() < protocol::header_size) return false;
    switch (input.front()) {
        case 'Q':
        case 'P':
        case 'B':
        case 'D':
        case 'E':
        case 'C':
        case 'F': return input.size() > protocol::load_u32(input.data() + 1);
        default: return false;
    }
}

Result<Frontend::Step> Frontend::answer_alone(Bytes input, const RequestRules& rules,
                                              Segments& replies) {
    Step step;
    const std::size_t size = input.size();
    while (!input.empty()) {
        if (missing_ > 0) {
            pass_rest(input, nullptr);
            continue;
        }
        const protocol::CutFrame cut = protocol::cut_frame(input, rules.message_max);
        if (cut.cut == protocol::Cut::more) break;
        if (cut.cut != protocol::Cut::frame)
            return protocol::cut_error(cut.cut, protocol::Origin::client);
        const Frame& frame = cut.frame;
        if (frame.size() > size_max(frame.type)) return bad_message("invalid message length");
        if (!std::strchr("QFPBDCESHXdcf", frame.type) || frame.type == '\0') {
            return bad_message("invalid frontend message type " + std::to_string(frame.type));
        }
        if (!answer_one(frame, rules.alone, step, replies)) break;
        passing_ = false;
        missing_ = frame.missing;
        input.remove_prefix(frame.size() - frame.missing);
    }
    step.consumed = size - input.size();
    return step;
}

/// One message without a server. False when it is not to be taken: it needs one, or more of itself.
bool Frontend::answer_one(const Frame& frame, protocol::TxStatus alone, Step& step,
                          Segments& replies) {
    std::string ready;
    switch (frame.type) {
        case 'X': step.terminate = true; return false;
        case 'S':
            if (frame.missing > 0) return false;
            dropping_ = false;
            protocol::write_ready_for_query(ready, alone);
            replies.own(std::move(ready));
            return true;
        case 'd':
        case 'c':
        case 'f':
        case 'H': return true;
        default: break;
    }
    if (dropping_) return true;
    // A server is not held for the sake of a message that has hardly begun.
    step.wants_server = frame.missing == 0 || frame.payload.size() >= beginning_min;
    return false;
}

std::size_t Frontend::drop_request(Bytes input, const protocol::Error& error, Segments& replies) {
    std::string report;
    protocol::write_error(report, protocol::Severity::error, error.sqlstate, error.message);
    replies.own(std::move(report));
    const auto cut =
        protocol::first_frame(input, protocol::payload_size_max, protocol::Origin::client);
    if (cut.has_error() || !*cut) return 0;
    const Frame& frame = **cut;
    if (frame.type == 'Q' || frame.type == 'F') {
        passing_ = false;
        missing_ = frame.missing;
        replies.add(ready_idle);
        return frame.size() - frame.missing;
    }
    dropping_ = true;  // the Sync, here or still to come, brings the ReadyForQuery
    return 0;
}

}  // namespace pgweir::proxy
