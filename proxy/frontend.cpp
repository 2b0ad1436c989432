#include "proxy/frontend.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/vars.hpp"

namespace pgweir::proxy {

using protocol::Frame;
using protocol::NamedStatementPtr;
using protocol::Reply;
using protocol::Request;

namespace {

// The text of a named statement has to be kept as long as the client keeps the statement.
constexpr std::size_t named_parse_max = 64 << 20;    // bytes
constexpr std::size_t unnamed_parse_max = 64 << 10;  // bytes: that of the unnamed is, if small
constexpr std::size_t names_max = 64 << 10;          // bytes: portal and statement name of a Bind
constexpr std::size_t query_read_max = 64 << 10;     // bytes: a text that is looked at
constexpr std::size_t beginning_of_sql = 32;         // bytes that tell DISCARD from other commands
/// A text that may name prepared statements.
constexpr router::Traces naming = router::trace::statements | router::trace::executes;

/// May the SQL be DISCARD ALL or DEALLOCATE ALL? What is sent behind it, before it is answered,
/// must not count on statements prepared before it.
bool discards(std::string_view sql) {
    sql.remove_prefix(std::min(sql.find_first_not_of(" \t\r\n"), sql.size()));
    return protocol::same_name(sql.substr(0, 7), "discard") ||
           protocol::same_name(sql.substr(0, 10), "deallocate");
}

/// The text of a whole Query: a NUL ends it.
Bytes text_of(const Frame& frame) {
    return frame.payload.substr(0, frame.payload.empty() ? 0 : frame.payload.size() - 1);
}

/// Runs SQL of ours in the client's batch, whose answers nobody sees.
void run_unseen(Translation& step, std::string_view sql) {
    std::string bytes;
    const std::string& name = protocol::scratch_statement_name;
    protocol::write_close(bytes, 'S', name);
    protocol::write_parse(bytes, name, sql);
    protocol::write_bind(bytes, "", name);
    protocol::write_execute(bytes, "");
    protocol::write_close(bytes, 'S', name);
    for (const Request request :
         {Request::close, Request::parse, Request::bind, Request::execute, Request::close}) {
        step.pipeline().push({request, Reply::skip, {}, {}});
    }
    step.out.own(std::move(bytes));
}

/// currval() and lastval() are not to tell of what another client has called.
void discard_sequences(Translation& step) {
    std::uint64_t& owner = step.server.sequences_of;
    const bool failed = step.server.tx() == protocol::TxStatus::failed;  // then it tells nothing
    if (owner == 0 || owner == step.rules.client || failed) return;
    owner = 0;
    run_unseen(step, "DISCARD SEQUENCES");
}

}  // namespace

std::size_t Frontend::size_max(char type) {
    constexpr std::size_t large = 0x3fffffff, small = 10'000;
    switch (type) {
        case 'Q':
        case 'P':
        case 'B':
        case 'F':
        case 'd': return large;
        case 'C':
        case 'D': return names_max;  // PostgreSQL has 10'000, but servers see a name of ours
        default: return small;
    }
}

protocol::Error Frontend::bad_message(std::string text) {
    return protocol::protocol_violation(protocol::Origin::client, std::move(text));
}

void Frontend::pass_rest(Bytes& input, Segments* out) {
    const std::size_t part = std::min(missing_, input.size());
    if (passing_ && out) out->add(input.substr(0, part));
    missing_ -= part;
    input.remove_prefix(part);
}

Result<Frontend::Step> Frontend::translate(Bytes input, const RequestRules& rules,
                                           pool::Backend& server, Segments& out) {
    Step step;
    Translation translation{rules, server, out};
    const std::size_t size = input.size();
    while (!input.empty()) {
        if (missing_ > 0) {
            pass_rest(input, &out);
            continue;
        }
        const bool over = size - input.size() >= rules.unit_end;
        if (over && server.pipeline().between_units() && protocol::asks(input.front())) {
            step.undecided = true;
            break;
        }
        const protocol::CutFrame cut = protocol::cut_frame(input, rules.message_max);
        if (cut.cut == protocol::Cut::more) break;
        if (cut.cut != protocol::Cut::frame)
            return protocol::cut_error(cut.cut, protocol::Origin::client);
        const Frame& frame = cut.frame;
        if (frame.size() > size_max(frame.type)) return bad_message("invalid message length");
        if (frame.type == 'X') {
            step.terminate = true;
            input = {};
            break;
        }
        const Bytes whole = input.substr(0, frame.size() - frame.missing);
        const Take taken = take(frame, whole, translation);
        if (taken == Take::refused) return std::move(*translation.refusal);
        if (taken != Take::done) {
            step.undecided = taken == Take::undecided;
            break;
        }
        missing_ = frame.missing;
        input.remove_prefix(whole.size());
    }
    if (translation.unsent && missing_ == 0 && server.pipeline().between_batches())
        server.may_begin_again(std::move(translation.unsent), out);
    step.consumed = size - input.size();
    step.client_parses = translation.client_parses;
    step.server_parses = translation.server_parses;
    step.binds = translation.binds;
    return step;
}

Frontend::Take Frontend::refuse(Translation& step, protocol::Error error) {
    step.refusal = std::move(error);
    return Take::refused;
}

Frontend::Take Frontend::take(const Frame& frame, Bytes whole, Translation& step) {
    protocol::Pipeline& pipeline = step.pipeline();
    passing_ = true;
    if (pipeline.skipping() && frame.type != 'S') {
        passing_ = false;  // the server would read over it
        return Take::done;
    }
    if (pipeline.copying_in() && !std::strchr("dcfHS", frame.type)) {
        step.out.add(whole);  // the server ends the connection over it
        return Take::done;
    }
    switch (frame.type) {
        case 'Q': return take_query(frame, whole, step);
        case 'F':
            if (step.rules.session) step.rules.session->note_unread();
            pipeline.push(Request::function_call);
            break;
        case 'S': pipeline.push(Request::sync); break;
        case 'E':
            if (due_) {
                take_execute(whole, step);
                return Take::done;
            }
            pipeline.push(Request::execute);
            break;
        case 'P': return take_parse(frame, whole, step);
        case 'B': return take_bind(frame, whole, step);
        case 'D':
        case 'C': return take_target(frame, whole, step);
        case 'c':
        case 'f': pipeline.push_copy_end(); break;
        case 'd':
        case 'H': break;
        default:
            return refuse(
                step, bad_message("invalid frontend message type " + std::to_string(frame.type)));
    }
    step.out.add(whole);
    return Take::done;
}

/// Will it see by which names the server knows the client's statements?
bool Frontend::looks_at_names(router::Traces traces, const Translation& step) const {
    constexpr router::Traces executes = router::trace::executes_text;
    if (!step.rules.session || step.rules.server_max == 0) return false;
    return (traces & router::trace::shows_statements) != 0 ||
           ((traces & executes) != 0 && statements_.names().size() > 0);
}

Frontend::Take Frontend::take_query(const Frame& frame, Bytes whole, Translation& step) {
    if (!step.rules.simple_query) return refuse(step, bad_message("PQexec disallowed"));
    if (frame.missing > 0 && frame.payload.size() < beginning_of_sql) return Take::more;
    const Bytes sql = text_of(frame);
    const router::Familiar familiar =
        frame.missing > 0 ? router::Familiar() : step.rules.look_at(sql);
    const bool plain = familiar.plain;
    Session* const session = step.rules.session;
    if (session && !plain) {
        if (frame.missing > 0 && frame.size() <= query_read_max) return Take::more;
        const router::Traces traces =
            frame.missing > 0 ? router::trace::anything : traces_of_no_plain(sql);
        if (looks_at_names(traces, step) && !statements_.take_own_names(step, true))
            return Take::undecided;
        if ((traces & naming) != 0 && step.rules.server_max > 0) {
            const router::Details details = router::details_of(sql);
            if (!details.prepared.empty()) return take_naming_query(sql, traces, details, step);
        }
        if ((traces & router::trace::variables) != 0 && session->has_own()) {
            const std::string giving_back = session->giving_back(sql);
            if (!giving_back.empty()) {
                session->note(sql, traces);
                take_reset(sql, giving_back, step);
                return Take::done;
            }
        }
        if (session->minds_sequences(traces)) discard_sequences(step);
        frame.missing > 0 ? session->note_unread() : session->note(sql, traces);
    }
    if (step.rules.queries && frame.missing == 0) step.rules.queries->query(sql, familiar.number);
    statements_.simple_query(step.server, !plain && discards(frame.payload));
    step.pipeline().push(Request::query);
    step.out.add(whole);
    return Take::done;
}

/// A simple query with PREPARE, EXECUTE or DEALLOCATE in it.
Frontend::Take Frontend::take_naming_query(Bytes sql, router::Traces traces,
                                           const router::Details& details, Translation& step) {
    using What = router::Details::Prepared::What;
    if (statements_.undecided(details, step.server)) return Take::undecided;
    if (step.rules.queries) step.rules.queries->query(sql);
    const bool all =
        details.discard_all ||
        std::any_of(details.prepared.begin(), details.prepared.end(),
                    [](const auto& item) { return item.what == What::deallocate_all; });
    statements_.simple_query(step.server, all);
    Statements::Renamed renamed = statements_.rename_query(step, sql, details);
    step.rules.session->note_naming(sql, traces);
    step.pipeline().push({Request::query, Reply::forward, {}, {}, std::move(renamed.renames)});
    std::string bytes;
    protocol::write_query(bytes, renamed.sql);
    step.out.own(std::move(bytes));
    return Take::done;
}

/// A RESET, alone in a simple query: the client's own values are back before the server says that
/// they have changed, and before what else its transaction may do. It is sent as a batch, so that
/// both have one answer.
void Frontend::take_reset(Bytes sql, std::string_view giving_back, Translation& step) {
    if (step.rules.queries) step.rules.queries->query(sql);
    statements_.simple_query(step.server, discards(sql));
    protocol::Pipeline& pipeline = step.pipeline();
    std::string bytes;
    protocol::write_parse(bytes, "", sql);
    pipeline.push({Request::parse, Reply::skip, {}, {}});
    protocol::write_bind(bytes, "", "");
    pipeline.push({Request::bind, Reply::skip, {}, {}});
    protocol::write_execute(bytes, "");
    pipeline.push(Request::execute);
    step.out.own(std::move(bytes));
    run_unseen(step, giving_back);
    std::string end;
    protocol::write_sync(end);
    pipeline.push(Request::sync);
    step.out.own(std::move(end));
}

/// One that does more than run on the server.
void Frontend::take_execute(Bytes whole, Translation& step) {
    const std::unique_ptr<Due> due = std::exchange(due_, nullptr);
    step.pipeline().push({Request::execute, Reply::forward, {}, {}, due->renames});
    step.out.add(whole);
    if (due->renames) statements_.execute(step, *due->renames);
    if (!due->resets || !step.rules.session) return;
    const std::string giving_back = step.rules.session->giving_back(due->resets->query());
    if (!giving_back.empty()) run_unseen(step, giving_back);
}

/// A prepared text that names statements: another takes its place. False: undecided.
bool Frontend::rename_bound(Statements::Found& found, protocol::RenamesPtr& renames,
                            Translation& step) {
    const router::Details details = router::details_of(found.named->statement->query());
    const bool any = std::any_of(details.prepared.begin(), details.prepared.end(),
                                 [](const auto& item) { return !item.name.empty(); });
    if (!any) return true;
    std::optional<Statements::Bound> bound = statements_.rename_bound(step, found.named, details);
    if (!bound) return false;
    found.named = std::move(bound->named);
    renames = std::move(bound->renames);
    return true;
}

/// What is bound is taken to be executed. False: what it names is undecided.
bool Frontend::note_bind(Statements::Found& found, const Frame& frame, Translation& step) {
    if (!found.named || !found.named->statement) return true;
    const protocol::StatementPtr kept = found.named->statement;
    const protocol::Statement& statement = *kept;
    if (statement.traits() == trait_shareable) return true;
    if (looks_at_names(statement.traits(), step) && !statements_.take_own_names(step, false))
        return false;
    if ((statement.traits() & naming) != 0) {
        protocol::RenamesPtr renames;
        if (!rename_bound(found, renames, step)) return false;
        if (renames) {
            due_ = std::make_unique<Due>(Due{std::move(renames), {}});
            step.rules.session->note_naming(statement.query(), statement.traits());
            return true;
        }
    }
    if ((statement.traits() & router::trace::variables) != 0 && step.rules.session->has_own())
        due_ = std::make_unique<Due>(Due{{}, kept});
    if (step.rules.session->minds_sequences(statement.traits())) discard_sequences(step);
    step.rules.session->note(statement.query(), statement.traits(), frame.payload);
    return true;
}

Frontend::Take Frontend::take_parse(const Frame& frame, Bytes whole, Translation& step) {
    if (step.rules.server_max == 0) {
        if (step.rules.queries) step.rules.queries->passed(passed_names_, frame);
        step.pipeline().push(Request::parse);
        step.out.add(whole);
        return Take::done;
    }
    if (frame.missing > 0 && frame.payload.empty()) return Take::more;
    const bool unnamed = !frame.payload.empty() && frame.payload.front() == '\0';
    if (frame.missing > 0 && frame.size() <= (unnamed ? unnamed_parse_max : named_parse_max))
        return Take::more;
    if (frame.missing > 0 && !unnamed)
        return refuse(step, bad_message("prepared statement too large"));
    const auto parse = frame.missing > 0 ? Result<protocol::Parse>(bad_message("too large"))
                                         : protocol::read_parse(frame.payload);
    if (parse.has_error()) {
        if (!unnamed) return refuse(step, parse.error());
        statements_.parse_unkept(step);
        if (step.rules.session) step.rules.session->note_unread();
        step.out.add(whole);
        return Take::done;
    }
    return statements_.parse(step, *parse, whole) ? Take::done : Take::undecided;
}

Frontend::Take Frontend::take_bind(const Frame& frame, Bytes whole, Translation& step) {
    const auto names = protocol::read_bind_names(frame.payload);
    if (!names) {
        if (frame.missing == 0) return refuse(step, bad_message("invalid string in message"));
        if (frame.payload.size() > names_max) return refuse(step, bad_message("name too long"));
        return Take::more;
    }
    NamedStatementPtr named;
    if (step.rules.server_max > 0) {
        Statements::Found found = statements_.find(names->statement, step.server);
        if (found.undecided) return Take::undecided;
        due_.reset();
        const NamedStatementPtr meant = found.named;  // whatever is bound in its place
        if (step.rules.session && !note_bind(found, frame, step)) return Take::undecided;
        if (step.rules.queries && meant && meant->statement)
            step.rules.queries->statement(*meant->statement);
        named = statements_.resolve(step, std::move(found), names->statement);
    } else if (step.rules.queries) {
        step.rules.queries->passed(passed_names_, frame);
    }
    step.binds += step.rules.server_max > 0 && !names->statement.empty();
    step.pipeline().push({Request::bind, Reply::forward, named, {}});
    if (!named) {
        step.out.add(whole);
        return Take::done;
    }
    const std::string_view name = name_on_server(*named);
    const std::size_t payload = frame.payload.size() + frame.missing;
    char* const head =
        step.out.room(protocol::header_size + names->portal.size() + name.size() + 2);
    char* at = head;
    *at++ = 'B';
    const std::size_t length = payload - names->statement.size() + name.size() + 4;
    protocol::store_u32(at, static_cast<std::uint32_t>(length));
    at += 4;
    at = std::copy(names->portal.begin(), names->portal.end(), at);
    *at++ = '\0';
    at = std::copy(name.begin(), name.end(), at);
    *at++ = '\0';
    step.out.add({head, static_cast<std::size_t>(at - head)});
    step.out.add(frame.payload.substr(names->size));
    return Take::done;
}

Frontend::Take Frontend::take_target(const Frame& frame, Bytes whole, Translation& step) {
    if (frame.missing > 0) {
        if (frame.size() > names_max) return refuse(step, bad_message("name too long"));
        return Take::more;
    }
    const auto target = protocol::read_target(frame.payload);
    if (target.has_error()) return refuse(step, target.error());
    if (target->kind == 'S' && step.rules.server_max > 0)
        return take_statement(frame.type, target->name, whole, step);
    const Request request = frame.type == 'C'     ? Request::close
                            : target->kind == 'S' ? Request::describe_statement
                                                  : Request::describe_portal;
    step.pipeline().push(request);
    step.out.add(whole);
    return Take::done;
}

/// Describe or Close of a statement.
Frontend::Take Frontend::take_statement(char type, std::string_view name, Bytes whole,
                                        Translation& step) {
    Statements::Found found = statements_.find(name, step.server);
    if (found.undecided) return Take::undecided;
    if (type == 'C') {
        statements_.close(step, found, name, whole);
        return Take::done;
    }
    const bool names = step.rules.session && found.named && found.named->statement &&
                       (found.named->statement->traits() & naming) != 0;
    protocol::RenamesPtr unused;
    if (names && !rename_bound(found, unused, step)) return Take::undecided;
    const NamedStatementPtr named = statements_.resolve(step, std::move(found), name);
    step.pipeline().push({Request::describe_statement, Reply::forward, named, {}});
    if (named) {
        std::string bytes;
        protocol::write_describe(bytes, 'S', name_on_server(*named));
        step.out.own(std::move(bytes));
    } else {
        step.out.add(whole);
    }
    return Take::done;
}

}  // namespace pgweir::proxy
