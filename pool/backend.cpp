#include "pool/backend.hpp"

#include <algorithm>

#include "pool/renamed_error.hpp"
#include "protocol/requests.hpp"

namespace pgweir::pool {

using protocol::Frame;
using protocol::is_of_batch;
using protocol::Outstanding;
using protocol::Reply;
using protocol::Request;

namespace {

// A report larger than this is passed on in parts, unread; PostgreSQL's are a few hundred bytes.
constexpr std::size_t whole_max = 32 * 1024;
// The rows that a query of our own gives, and the largest of them.
constexpr std::size_t own_rows_max = 4096, own_row_max = 1 << 20;

bool needed_whole(const Frame& frame, bool own) {
    switch (frame.type) {
        case 'D': return own && frame.payload.size() + frame.missing <= own_row_max;
        case 'A':
        case 'E':
        case 'S':
        case 'C':
        case 'Z': return frame.payload.size() + frame.missing <= whole_max;
        default: return false;
    }
}

bool changes_schema(std::string_view tag) {
    return tag.starts_with("CREATE ") || tag.starts_with("ALTER ") || tag.starts_with("DROP ");
}

/// After which a function, or what runs behind a write, may do something else than before.
bool changes_functions(std::string_view tag) {
    constexpr std::string_view kinds[] = {"FUNCTION", "PROCEDURE", "ROUTINE", "EXTENSION",
                                          "SCHEMA",   "TRIGGER",   "RULE",    "ALTER TABLE"};
    return std::any_of(std::begin(kinds), std::end(kinds),
                       [tag](std::string_view kind) { return tag.ends_with(kind); });
}

/// After which triggers may have run.
bool is_write(std::string_view tag) {
    constexpr std::string_view words[] = {"INSERT", "UPDATE", "DELETE",
                                          "MERGE",  "COPY",   "TRUNCATE"};
    return std::any_of(std::begin(words), std::end(words),
                       [tag](std::string_view word) { return tag.starts_with(word); });
}

/// The number at a tag's end: "SELECT 5", "INSERT 0 1". 0: it has none.
std::uint64_t rows_of(std::string_view tag) {
    std::uint64_t rows = 0, place = 1;
    for (std::size_t at = tag.size(); at > 0 && tag[at - 1] >= '0' && tag[at - 1] <= '9'; --at) {
        rows += place * static_cast<std::uint64_t>(tag[at - 1] - '0');
        place *= 10;
    }
    return rows;
}

}  // namespace

void Backend::Findings::clear() {
    ready = own_ready = false;
    if (!std::exchange(more, false)) return;
    discarded_all = schema_changed = functions_changed = fatal = block = false;
    notifications.clear();
    echoes.clear();
    parameters.clear();
    fatal_error.reset();
    again.clear();
    errors.clear();
}

Result<std::size_t> Backend::scan(Bytes input, Segments& out) {
    findings_.clear();
    const std::size_t size = input.size();
    if (!input.empty() && missing_ == 0 && pipeline_.front_is_fake()) emit_fakes(out);
    if (take_answer(input)) {
        out.add(input);
        if (no_blocks_ && tx_ != TxStatus::idle) forbid(out, 0);
        return size;
    }
    std::size_t told = 0;  // bytes of `out` that are no part of what a forbidden block answers
    while (!input.empty()) {
        if (missing_ > 0) {
            const std::size_t part = std::min(missing_, input.size());
            if (passing_) out.add(input.substr(0, part));
            missing_ -= part;
            input.remove_prefix(part);
            told = out.size();
            continue;
        }
        if (const std::size_t rows = rows_at(input); rows > 0) {
            pipeline_.heard();
            out.add(input.substr(0, rows));
            input.remove_prefix(rows);
            continue;
        }
        const protocol::CutFrame cut = protocol::cut_frame(input, protocol::payload_size_max);
        if (cut.cut == protocol::Cut::more) break;
        if (cut.cut != protocol::Cut::frame)
            return protocol::cut_error(cut.cut, protocol::Origin::server);
        const Frame& frame = cut.frame;
        if (frame.missing > 0 && needed_whole(frame, own())) break;

        if (pipeline_.front_is_fake()) emit_fakes(out);
        const Fate fate = apply(frame, out);
        if (fate == Fate::unexpected) {
            return protocol::protocol_violation(
                protocol::Origin::server,
                std::string("unexpected message '") + frame.type + "' from server");
        }
        const std::size_t arrived = frame.size() - frame.missing;
        passing_ = fate == Fate::forward;
        missing_ = frame.missing;
        if (passing_) out.add(input.substr(0, arrived));
        input.remove_prefix(arrived);
        if (findings_.own_ready && (input.empty() || input.front() != 'A')) {
            if (pipeline_.only_fakes()) flush_fakes(out);
            if (!settled()) return size - input.size();
        }
        if (!no_blocks_ || frame.type != 'Z' || !passing_) continue;
        if (tx_ != TxStatus::idle) {
            forbid(out, told);
            return size - input.size();
        }
        told = out.size();
    }
    flush_fakes(out);
    return size - input.size();
}

/// Of `out` the first `told` bytes stay.
void Backend::forbid(Segments& out, std::size_t told) {
    out.cut(told);
    findings_.more = findings_.block = true;
}

Backend::Fate Backend::apply(const Frame& frame, Segments& out) {
    switch (frame.type) {
        case 'Z': return apply_ready(frame);
        case 'N': return by_owner();
        case 'A': findings_.more = true; return apply_notification(frame, out);
        case 'S': findings_.more = true; return apply_parameter(frame);
        case 'E': {
            findings_.more = true;
            const Fate fate = apply_error(frame, out);
            // Drivers fall over an error without a code: no client is told one.
            if (fate != Fate::forward || frame.missing > 0 || is_whole_report(frame.payload))
                return fate;
            out.own(whole_report(frame.payload));
            return Fate::replaced;
        }
        default: break;
    }
    pipeline_.heard();
    switch (frame.type) {
        case 'D': return apply_row(frame);
        case 'd':
        case 'c': return forward_to(Request::query, Request::execute);
        case 'H': copying_out_ = true; return forward_to(Request::query, Request::execute);
        case 'V': return forward_to(Request::function_call);
        case 't': return forward_to(Request::describe_statement);
        case 'T':
        case 'n': return describe_answer(frame);
        case 'C': return apply_tag(frame);
        case '1': return answer(Request::parse);
        case '2': return answer(Request::bind);
        case '3': return answer(Request::close);
        case 's': return answer(Request::execute);
        case 'I':
            return forward_to(Request::query) == Fate::unexpected ? answer(Request::execute)
                                                                  : by_front();
        case 'G':
        case 'W': return copy_in();
        default: return Fate::unexpected;
    }
}

Backend::Fate Backend::by_front() const {
    if (pipeline_.empty()) return Fate::unexpected;
    return pipeline_.front().reply == Reply::forward ? Fate::forward : Fate::skip;
}

/// What follows from a request of one of these kinds.
template <class... Askers>
Backend::Fate Backend::forward_to(Askers... askers) const {
    if (pipeline_.empty()) return Fate::unexpected;
    const Request request = pipeline_.front().request;
    return ((request == askers) || ...) ? by_front() : Fate::unexpected;
}

/// What may come at any time: the client hears it, unless the server runs a query of our own.
Backend::Fate Backend::by_owner() const { return own() ? Fate::skip : Fate::forward; }

bool Backend::own() const {
    if (pipeline_.empty()) return false;
    const Outstanding& front = pipeline_.front();
    return front.request == Request::query && front.reply == Reply::skip && !front.statement;
}

Backend::Fate Backend::answer(Request request) {
    if (pipeline_.empty() || pipeline_.front().request != request) return Fate::unexpected;
    const Fate fate = by_front();
    pipeline_.pop();
    return fate;
}

Backend::Fate Backend::describe_answer(const Frame& frame) {
    if (pipeline_.empty()) return Fate::unexpected;
    const Request request = pipeline_.front().request;
    if (request == Request::describe_statement || request == Request::describe_portal)
        return answer(request);
    return frame.type == 'T' ? forward_to(Request::query) : Fate::unexpected;
}

Backend::Fate Backend::copy_in() {
    const Fate fate = forward_to(Request::query, Request::execute);
    if (fate != Fate::unexpected) pipeline_.begin_copy_in();
    return fate;
}

Backend::Fate Backend::apply_ready(const Frame& frame) {
    const auto tx = protocol::read_ready_for_query(frame.payload);
    if (!tx) return Fate::unexpected;
    tx_ = *tx;
    const bool to_sync = !pipeline_.empty() && pipeline_.front().request == Request::sync;
    if (pipeline_.surplus() > 0 && !to_sync) {
        pipeline_.pop_surplus();
        findings_.ready = true;
        return Fate::forward;
    }
    if (pipeline_.empty()) return Fate::unexpected;
    switch (pipeline_.front().request) {
        case Request::query:
        case Request::function_call:
        case Request::sync: break;
        default: return Fate::unexpected;
    }
    const Fate fate = by_front();
    if (fate == Fate::forward) {
        findings_.ready = true;
        unseen_.reset();
        again_.statement.reset();
    }
    if (own()) findings_.own_ready = true;
    copying_out_ = false;
    pipeline_.pop();
    return fate;
}

Backend::Fate Backend::apply_tag(const Frame& frame) {
    const Fate fate = forward_to(Request::query, Request::execute);
    if (fate == Fate::unexpected) return fate;
    const std::string_view tag = protocol::read_command_tag(frame.payload);
    pipeline_.end_copy();
    if (fate == Fate::forward) rows_ += rows_of(tag);
    const protocol::RenamesPtr& renames = pipeline_.front().renames;
    if (renames && (tag == "PREPARE" || tag == "DEALLOCATE")) renames->advance();
    if (pipeline_.front().request == Request::execute) pipeline_.pop();
    if (tag.starts_with('S')) return fate;  // SELECT, SET and the like change nothing here
    findings_.more = true;
    const bool read = std::exchange(copying_out_, false);
    inserted_ |= tag.starts_with("INSERT ") || (tag.starts_with("COPY ") && !read);
    wrote_ |= is_write(tag) && !read;
    if (changes_schema(tag)) {
        findings_.schema_changed = true;
        findings_.functions_changed |= changes_functions(tag);
    }
    if (tag.starts_with('D') && (tag == "DISCARD ALL" || tag == "DEALLOCATE ALL")) {
        findings_.discarded_all = true;
        pipeline_.discard();
        statements_.clear();
        // What was sent behind it may be prepared after it.
        pipeline_.for_each([this](const Outstanding& o) {
            if (o.request == Request::parse && o.statement) statements_.doubt(o.statement);
            if (o.renames) doubt(*o.renames);
        });
    }
    return fate;
}

Backend::Fate Backend::apply_parameter(const Frame& frame) {
    if (frame.missing > 0) return by_owner();  // too large to be looked at
    const auto parameter = protocol::read_parameter_status(frame.payload);
    if (parameter.has_error()) return Fate::unexpected;
    findings_.parameters.emplace_back(parameter->name, parameter->value);
    const bool of_node = conceals_ && parameter->name == "in_hot_standby";
    return of_node ? Fate::skip : by_owner();
}

Backend::Fate Backend::apply_notification(const Frame& frame, Segments& out) {
    if (frame.missing > 0) return by_owner();  // too large to be one
    if (!own() && !hearing_) return Fate::forward;
    const auto read = protocol::read_notification(frame.payload);
    if (read.has_error()) return Fate::unexpected;
    const Notification said{read->pid, std::string(read->channel), std::string(read->payload)};
    // What comes right after an answer of ours is for whoever acts on that answer first.
    if (own() || findings_.own_ready || hearing_->keep_all) {
        findings_.notifications.push_back(said);
        return Fate::skip;
    }
    const bool elsewhere = hearing_->elsewhere.contains(said.channel);
    if (said.channel == hearing_->hidden) return Fate::skip;
    if (said.pid != hearing_->server_pid) return elsewhere ? Fate::skip : Fate::forward;
    if (elsewhere) findings_.echoes.push_back(said);
    std::string message;
    protocol::write_notification(message, hearing_->pid, said.channel, said.payload);
    out.own(std::move(message));
    return Fate::replaced;
}

Backend::Fate Backend::apply_row(const Frame& frame) {
    if (own() && frame.missing == 0 && own_answer_.rows.size() < own_rows_max) {
        const auto values = protocol::read_data_row(frame.payload);
        if (values.has_error()) return Fate::unexpected;
        own_answer_.rows.emplace_back(values->begin(), values->end());
    }
    return forward_to(Request::query, Request::execute);
}

Backend::Fate Backend::apply_error(const Frame& frame, Segments& out) {
    const protocol::Report report = protocol::read_report(frame.payload);
    protocol::Error error{protocol::make_sqlstate(report.sqlstate), protocol::Origin::server,
                          std::string(report.message), std::string(report.detail),
                          std::string(report.hint)};
    if (!own()) findings_.errors.push_back(error.sqlstate);
    if (report.severity == "FATAL" || report.severity == "PANIC") {
        const bool goes = conceals_ && report.sqlstate.starts_with("57P0");
        findings_.fatal = true;
        findings_.fatal_error = std::move(error);
        return goes ? Fate::skip : by_owner();
    }
    if (pipeline_.empty()) return Fate::unexpected;

    failed_ |= !own();
    const Outstanding front = pipeline_.front();
    pipeline_.heard();
    pipeline_.fail_copy();
    switch (front.request) {
        case Request::query:
        case Request::function_call:
        case Request::sync:
            if (own()) own_answer_.error = std::move(error);
            return query_failed(frame, front, out);
        default: break;
    }
    if (begin_again(front, report.sqlstate)) return Fate::skip;
    const bool unseen = pipeline_.front_is_unseen();
    if (unseen) keep_unseen(frame, front.statement);
    // The schema was changed behind our back: what was prepared before is of no use to anybody.
    if (front.named && report.sqlstate == "0A000") findings_.schema_changed = true;
    pipeline_.fail_batch();
    undo_on_server();
    if (unseen) return Fate::skip;
    if ((!front.named && !front.renames) || frame.missing > 0) return Fate::forward;
    out.own(with_clients_name(frame.payload, front));
    return Fate::replaced;
}

/// A query has failed, and with it what it was to do with a statement's name.
Backend::Fate Backend::query_failed(const Frame& frame, const Outstanding& query, Segments& out) {
    if (query.statement) {
        statements_.doubt(query.statement);
        keep_unseen(frame, query.statement);
    }
    if (!query.renames) return by_front();
    doubt(*query.renames);
    pipeline_.undone().push_back(query);
    pipeline_.undone().back().failed = true;
    if (frame.missing > 0) return by_front();
    // The client prepared it while it could be: that it cannot any more is what EXECUTE says.
    const std::string_view sqlstate = protocol::read_report(frame.payload).sqlstate;
    const bool late = unseen_ && (sqlstate == "26000" || sqlstate == "25P02");
    out.own(late ? late_error(unseen_->report, *unseen_->statement, *query.renames)
                 : with_clients_name(frame.payload, query));
    return Fate::replaced;
}

/// The first one counts: it is of what is executed first.
void Backend::keep_unseen(const Frame& frame, const protocol::StatementPtr& statement) {
    if (unseen_ || !statement || frame.missing > 0) return;
    unseen_ = std::make_unique<Unseen>(Unseen{statement, std::string(frame.payload)});
}

void Backend::may_begin_again(protocol::StatementPtr statement, const Segments& batch) {
    constexpr std::size_t batch_max = 1024;  // bytes
    if (batch.size() > batch_max) return;
    std::size_t requests = 0, ends = 0;
    pipeline_.for_each([&](const Outstanding& o) {
        requests += o.reply != Reply::fake;
        ends += !is_of_batch(o.request);
    });
    if (ends != 1) return;
    again_.bytes.clear();
    for (const Bytes slice : batch.slices()) again_.bytes += slice;
    again_.statement = std::move(statement);
    again_.requests = requests;
}

/// Nothing has come of the batch yet, and nothing was sent behind it.
bool Backend::begin_again(const Outstanding& failed, std::string_view sqlstate) {
    if (!again_.statement || sqlstate != "0A000" || pipeline_.size() != again_.requests ||
        failed.request != Request::bind || !failed.named ||
        failed.named->statement != again_.statement) {
        return false;
    }
    const protocol::StatementPtr statement = std::exchange(again_.statement, {});
    protocol::write_close(findings_.again, 'S', statement->server_name());
    protocol::write_parse(findings_.again, statement->server_name(), statement->query(),
                          statement->types());
    findings_.again += again_.bytes;
    findings_.schema_changed = true;
    pipeline_.begin_again(statement);
    return true;
}

void Backend::undo_on_server() {
    for (const Outstanding& o : pipeline_.undone()) {
        if (o.statement) statements_.doubt(o.statement);
        if (o.renames) doubt(*o.renames);
        const bool unnamed = !o.named || o.named->name.empty();
        if (o.request == Request::parse && unnamed && !o.statement) statements_.set_unnamed({}, 0);
    }
}

/// What of it was not carried out.
void Backend::doubt(const protocol::Renames& renames) {
    for (std::size_t i = renames.done; i < renames.items.size(); ++i) {
        const protocol::Renames::Item& item = renames.items[i];
        if (item.effect != protocol::Renames::Effect::none)
            statements_.doubt(item.named->statement);
    }
}

void Backend::emit_fakes(Segments& out) {
    while (!pipeline_.empty()) {
        const Outstanding& front = pipeline_.front();
        if (front.request == Request::copy_end) {
            pipeline_.pop();
            continue;
        }
        if (front.reply != Reply::fake) return;
        out.add(front.request == Request::parse ? protocol::parse_complete
                                                : protocol::close_complete);
        pipeline_.pop();
    }
}

void Backend::flush_fakes(Segments& out) {
    if (missing_ > 0) return;  // in the middle of another one
    if (pipeline_.front_is_fake() && pipeline_.only_fakes()) emit_fakes(out);
}

}  // namespace pgweir::pool
