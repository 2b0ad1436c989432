// What servers say all day, taken as a whole: rows, and the answers to a query or a batch that went
// well. The messages need not be looked up one by one; Backend::apply() is for all others.
#include "pool/backend.hpp"

namespace pgweir::pool {

using protocol::Frame;
using protocol::Outstanding;
using protocol::Reply;
using protocol::Request;

/// Bytes at the front of the input that are whole rows, or say what is in them, in answer to what
/// the client asked: most of what servers say, and there is nothing to be learnt from it.
std::size_t Backend::rows_at(Bytes input) const {
    if (pipeline_.empty() || pipeline_.front().reply != Reply::forward) return 0;
    const Request request = pipeline_.front().request;
    if (request != Request::query && request != Request::execute) return 0;
    std::size_t at = 0;
    while (input.size() - at >= protocol::header_size) {
        const char type = input[at];
        if (type != 'D' && (type != 'T' || request != Request::query)) break;
        const std::size_t length = protocol::load_u32(input.data() + at + 1);
        if (length < 4 || length >= input.size() - at) break;
        at += 1 + length;
    }
    return at;
}

/// All that what was asked is answered, if the input is just that: the ordinary case, in which
/// each message need not be looked up.
bool Backend::take_answer(Bytes input) {
    constexpr std::size_t ready_size = protocol::header_size + 1;
    if (missing_ > 0 || input.size() < ready_size) return false;
    const Bytes ready = input.substr(input.size() - ready_size);
    if (ready[0] != 'Z' || protocol::load_u32(ready.data() + 1) != ready_size - 1 ||
        !protocol::read_ready_for_query(ready.substr(protocol::header_size))) {
        return false;
    }
    input.remove_suffix(ready_size);
    if (!take_tag(input) && !take_batch(input)) return false;
    apply_ready({'Z', ready.substr(protocol::header_size), 0});
    return true;
}

/// Of a simple query: what comes before ReadyForQuery.
bool Backend::take_tag(Bytes input) {
    if (pipeline_.size() != 1) return false;
    const Outstanding& query = pipeline_.front();
    if (query.request != Request::query || query.reply != Reply::forward) return false;
    const protocol::CutFrame tag =
        protocol::cut_frame(input.substr(rows_at(input)), protocol::payload_size_max);
    const char* const end = input.data() + input.size();
    if (tag.cut != protocol::Cut::frame || tag.frame.type != 'C' || tag.frame.missing > 0 ||
        tag.frame.payload.data() + tag.frame.payload.size() != end) {
        return false;
    }
    pipeline_.heard();
    apply_tag(tag.frame);
    return true;
}

/// Of a batch that executes one statement: what comes before ReadyForQuery.
bool Backend::take_batch(Bytes input) {
    Frame tag{};
    std::size_t answered = 0;
    while (!input.empty()) {
        if (answered == pipeline_.size()) return false;
        const Outstanding& asked = pipeline_.at(answered);
        const protocol::CutFrame cut = protocol::cut_frame(input, protocol::payload_size_max);
        if (cut.cut != protocol::Cut::frame || cut.frame.missing > 0 ||
            asked.reply != Reply::forward) {
            return false;
        }
        const char type = cut.frame.type;
        input.remove_prefix(cut.frame.size());
        switch (asked.request) {
            case Request::parse:
                if (type != '1') return false;
                break;
            case Request::bind:
                if (type != '2') return false;
                break;
            case Request::describe_portal:
                if (type != 'T' && type != 'n') return false;
                break;
            case Request::execute:
                if (type == 'D') continue;
                if (type != 'C' || !tag.payload.empty()) return false;
                tag = cut.frame;
                break;
            default: return false;
        }
        ++answered;
    }
    if (tag.payload.empty() || answered == pipeline_.size()) return false;
    const Outstanding& last = pipeline_.at(answered);
    if (last.request != Request::sync || last.reply != Reply::forward) return false;
    pipeline_.heard();
    for (; answered > 0; --answered) {
        if (pipeline_.front().request == Request::execute) {
            apply_tag(tag);
        } else {
            pipeline_.pop();
        }
    }
    return true;
}

}  // namespace pgweir::pool
