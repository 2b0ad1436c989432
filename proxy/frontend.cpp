#include "proxy/frontend.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/vars.hpp"

namespace pgweir::proxy {

using protocol::Frame;
using protocol::NamedStatement;
using protocol::NamedStatementPtr;
using protocol::Reply;
using protocol::Request;
using protocol::StatementPtr;

namespace {

// The text of a named statement has to be kept as long as the client keeps the statement.
constexpr std::size_t named_parse_max = 64 << 20;  // bytes
constexpr std::size_t unnamed_parse_max = 16
                                          << 10;  // bytes: that of the unnamed is, if it is small
constexpr std::size_t message_max = 0x7fffffff;   // bytes: what a length can say
constexpr std::size_t names_max = 64 << 10;       // bytes: portal and statement name of a Bind
constexpr std::size_t beginning_min = 16 << 10;   // bytes of a message that earn it a server
constexpr std::size_t beginning_of_sql = 32;      // bytes that tell DISCARD from other commands
constexpr std::string_view ready_idle("Z\0\0\0\5I", 6);

bool is_prepared(const protocol::Statement& statement, pool::Backend& server) {
    const protocol::Pipeline& pipeline = server.pipeline();
    return server.statements().use(statement, pipeline.batch(), pipeline.answered());
}

std::string_view name_on_server(const NamedStatement& named) {
    return named.statement ? std::string_view(named.statement->server_name())
                           : protocol::no_statement_name;
}

/// May the SQL be DISCARD ALL or DEALLOCATE ALL? What is sent behind it, before it is answered,
/// must not count on statements prepared before it.
bool discards(std::string_view sql) {
    sql.remove_prefix(std::min(sql.find_first_not_of(" \t\r\n"), sql.size()));
    return protocol::same_name(sql.substr(0, 7), "discard") ||
           protocol::same_name(sql.substr(0, 10), "deallocate");
}

/// What PostgreSQL allows, header included. Source: its own limits on messages from clients, by
/// type.
std::size_t size_max(char type) {
    constexpr std::size_t large = 0x3fffffff, small = 10'000;
    switch (type) {
        case 'Q':
        case 'P':
        case 'B':
        case 'F':
        case 'd': return large;
        default: return small;
    }
}

protocol::Error bad_message(std::string text) {
    return protocol::protocol_violation(protocol::Origin::client, std::move(text));
}

}  // namespace

bool Frontend::pass_rest(Bytes& input, Segments* out) {
    if (missing_ == 0) return false;
    const std::size_t part = std::min(missing_, input.size());
    if (passing_ && out) out->add(input.substr(0, part));
    missing_ -= part;
    input.remove_prefix(part);
    return true;
}

Result<Frontend::Step> Frontend::translate(Bytes input, const RequestRules& rules,
                                           pool::Backend& server, Segments& out) {
    step_ = {};
    const std::size_t size = input.size();
    while (!input.empty()) {
        if (pass_rest(input, &out)) continue;
        const protocol::CutFrame cut = protocol::cut_frame(input, rules.message_max);
        if (cut.cut == protocol::Cut::more) break;
        if (cut.cut != protocol::Cut::frame)
            return protocol::cut_error(cut.cut, protocol::Origin::client);
        const Frame& frame = cut.frame;
        if (frame.size() > size_max(frame.type)) return bad_message("invalid message length");
        if (frame.type == 'X') {
            step_.terminate = true;
            input = {};
            break;
        }
        const Bytes whole = input.substr(0, frame.size() - frame.missing);
        const auto taken = take(frame, whole, rules, server, out);
        if (taken.has_error()) return taken.error();
        if (*taken == Take::more) break;
        missing_ = frame.missing;
        input.remove_prefix(whole.size());
    }
    step_.consumed = size - input.size();
    return step_;
}

Result<Frontend::Take> Frontend::take(const Frame& frame, Bytes whole, const RequestRules& rules,
                                      pool::Backend& server, Segments& out) {
    protocol::Pipeline& pipeline = server.pipeline();
    passing_ = true;
    if (pipeline.skipping() && frame.type != 'S') {
        passing_ = false;  // the server would read over it
        return Take::done;
    }
    switch (frame.type) {
        case 'Q':
            if (!rules.simple_query) return bad_message("PQexec disallowed");
            if (frame.missing > 0 && frame.payload.size() < beginning_of_sql) return Take::more;
            forget_unnamed(server);  // PostgreSQL drops it
            if (discards(frame.payload)) server.statements().doubt_all();
            pipeline.push({Request::query, Reply::forward, {}, {}});
            break;
        case 'F': pipeline.push({Request::function_call, Reply::forward, {}, {}}); break;
        case 'S': pipeline.push({Request::sync, Reply::forward, {}, {}}); break;
        case 'E': pipeline.push({Request::execute, Reply::forward, {}, {}}); break;
        case 'P': return take_parse(frame, whole, rules, server, out);
        case 'B': return take_bind(frame, whole, rules, server, out);
        case 'D':
        case 'C': return take_target(frame, whole, rules, server, out);
        case 'c':
        case 'f': pipeline.push_copy_end(); break;
        case 'd':
        case 'H': break;
        default: return bad_message("invalid frontend message type " + std::to_string(frame.type));
    }
    out.add(whole);
    return Take::done;
}

Result<Frontend::Take> Frontend::take_parse(const Frame& frame, Bytes whole,
                                            const RequestRules& rules, pool::Backend& server,
                                            Segments& out) {
    const bool unnamed = !frame.payload.empty() && frame.payload.front() == '\0';
    if (frame.payload.empty() && frame.missing > 0) return Take::more;
    if (unnamed && rules.server_max > 0 && frame.missing > 0 && frame.size() <= unnamed_parse_max) {
        return Take::more;
    }
    if (unnamed || rules.server_max == 0) {
        ++step_.client_parses;
        ++step_.server_parses;
        if (rules.server_max > 0) keep_unnamed(frame, rules, server);
        server.pipeline().push({Request::parse, Reply::forward, {}, {}});
        out.add(whole);
        return Take::done;
    }
    if (frame.missing > 0) {
        if (frame.size() > named_parse_max) return bad_message("prepared statement too large");
        return Take::more;
    }
    const auto parse = protocol::read_parse(frame.payload);
    if (parse.has_error()) return parse.error();

    ++step_.client_parses;
    if (names_.find(parse->name)) {
        // PostgreSQL makes the error, so that the transaction fails as it must, and because it may
        // have another one to report: the same name twice. Backend puts the client's name into it.
        std::string twice;
        const NamedStatementPtr duplicate(new NamedStatement(parse->name, {}));
        for (const Reply reply : {Reply::skip, Reply::forward}) {
            protocol::write_parse(twice, protocol::taken_statement_name, parse->query,
                                  parse->types);
            server.pipeline().push({Request::parse, reply, duplicate, {}});
        }
        out.own(std::move(twice));
        return Take::done;
    }
    const StatementPtr statement = rules.table->intern(parse->query, parse->types);
    const NamedStatementPtr named(new NamedStatement(parse->name, statement));
    names_.add(named);
    // In a failed transaction it is PostgreSQL's to refuse.
    const bool failed = server.tx() == protocol::TxStatus::failed;
    if (!failed && is_prepared(*statement, server)) {
        server.pipeline().push({Request::parse, Reply::fake, named, {}});
    } else {
        prepare_on_server(statement, named, rules, server, out);
    }
    return Take::done;
}

/// Sends the Parse: the client's own when `named` is given, else one of ours that it never sees.
void Frontend::prepare_on_server(const StatementPtr& statement, const NamedStatementPtr& named,
                                 const RequestRules& rules, pool::Backend& server, Segments& out) {
    ++step_.server_parses;
    std::string bytes;
    protocol::Pipeline& pipeline = server.pipeline();
    const bool fresh = server.statements().add(statement, pipeline.batch());
    while (const StatementPtr oldest = server.statements().evict(rules.server_max)) {
        protocol::write_close(bytes, 'S', oldest->server_name());
        pipeline.push({Request::close, Reply::skip, {}, oldest});
    }
    if (!fresh || pipeline.batch() != pipeline.answered()) {
        // It may be there already, or still: a Parse or Close before this batch may yet be skipped.
        protocol::write_close(bytes, 'S', statement->server_name());
        pipeline.push({Request::close, Reply::skip, {}, {}});
    }
    protocol::write_parse(bytes, statement->server_name(), statement->query(), statement->types());
    pipeline.push({Request::parse, named ? Reply::forward : Reply::skip, named, statement});
    out.own(std::move(bytes));
}

/// The unnamed statement follows the client too, so what it says is kept (unless it is too large to
/// be whole in one piece: then it lasts as long as the server is the client's).
void Frontend::keep_unnamed(const Frame& frame, const RequestRules& rules, pool::Backend& server) {
    const StatementPtr before = std::exchange(unnamed_, {});
    const std::uint64_t batch = server.pipeline().batch();
    unnamed_on_ = &server;
    unnamed_batch_ = static_cast<std::uint32_t>(batch);
    const auto parse = frame.missing == 0 ? protocol::read_parse(frame.payload)
                                          : Result<protocol::Parse>(bad_message("too large"));
    if (parse.has_value()) {
        // Drivers send the same text all day: then nothing is to be looked up.
        const bool same =
            before && before->query() == parse->query && before->types() == parse->types;
        unnamed_ = same ? before : rules.table->intern(parse->query, parse->types);
    }
    server.statements().set_unnamed(unnamed_, batch);
}

/// Is the client's unnamed statement on this server by the time it reads what follows?
bool Frontend::has_unnamed(pool::Backend& server, Segments& out) {
    if (!unnamed_) return unnamed_on_ == &server;
    protocol::Pipeline& pipeline = server.pipeline();
    if (server.statements().has_unnamed(*unnamed_, pipeline.batch(), pipeline.answered()))
        return true;
    std::string bytes;
    protocol::write_parse(bytes, "", unnamed_->query(), unnamed_->types());
    out.own(std::move(bytes));
    pipeline.push({Request::parse, Reply::skip, {}, {}});
    server.statements().set_unnamed(unnamed_, pipeline.batch());
    ++step_.server_parses;
    return true;
}

void Frontend::forget_unnamed(pool::Backend& server) {
    unnamed_.reset();
    unnamed_on_ = nullptr;
    server.statements().set_unnamed({}, 0);
}

/// The statement behind a client's name, on the server by the time it reads what follows.
NamedStatementPtr Frontend::resolve(std::string_view name, const RequestRules& rules,
                                    pool::Backend& server, Segments& out) {
    NamedStatementPtr named = names_.find(name);
    if (!named) return NamedStatementPtr(new NamedStatement(name, {}));
    if (!is_prepared(*named->statement, server)) {
        prepare_on_server(named->statement, {}, rules, server, out);
    }
    return named;
}

Result<Frontend::Take> Frontend::take_bind(const Frame& frame, Bytes whole,
                                           const RequestRules& rules, pool::Backend& server,
                                           Segments& out) {
    const auto names = protocol::read_bind_names(frame.payload);
    if (!names) {
        if (frame.missing == 0) return bad_message("invalid string in message");
        if (frame.payload.size() > names_max) return bad_message("name too long");
        return Take::more;
    }
    ++step_.binds;
    if (rules.server_max == 0 || (names->statement.empty() && has_unnamed(server, out))) {
        server.pipeline().push({Request::bind, Reply::forward, {}, {}});
        out.add(whole);
        return Take::done;
    }
    const NamedStatementPtr named = resolve(names->statement, rules, server, out);
    const std::string_view name = name_on_server(*named);
    const std::size_t payload = frame.payload.size() + frame.missing;
    char* const head = out.room(protocol::header_size + names->portal.size() + name.size() + 2);
    char* at = head;
    *at++ = 'B';
    const std::size_t length = payload - names->statement.size() + name.size() + 4;
    protocol::store_u32(at, static_cast<std::uint32_t>(length));
    at += 4;
    at = std::copy(names->portal.begin(), names->portal.end(), at);
    *at++ = '\0';
    at = std::copy(name.begin(), name.end(), at);
    *at++ = '\0';
    out.add({head, static_cast<std::size_t>(at - head)});
    out.add(frame.payload.substr(names->size));
    server.pipeline().push({Request::bind, Reply::forward, named, {}});
    return Take::done;
}

Result<Frontend::Take> Frontend::take_target(const Frame& frame, Bytes whole,
                                             const RequestRules& rules, pool::Backend& server,
                                             Segments& out) {
    if (frame.missing > 0) {
        if (frame.size() > names_max) return bad_message("name too long");
        return Take::more;
    }
    const auto target = protocol::read_target(frame.payload);
    if (target.has_error()) return target.error();
    const bool describe = frame.type == 'D';
    const bool statement = target->kind == 'S';
    const Request request = !describe   ? Request::close
                            : statement ? Request::describe_statement
                                        : Request::describe_portal;
    const bool unnamed = statement && target->name.empty() && rules.server_max > 0;
    if (unnamed && !describe) forget_unnamed(server);
    if (!statement || rules.server_max == 0 ||
        (unnamed && (!describe || has_unnamed(server, out)))) {
        server.pipeline().push({request, Reply::forward, {}, {}});
        out.add(whole);
        return Take::done;
    }
    if (describe) {
        const NamedStatementPtr named = resolve(target->name, rules, server, out);
        std::string bytes;
        protocol::write_describe(bytes, 'S', name_on_server(*named));
        out.own(std::move(bytes));
        server.pipeline().push({request, Reply::forward, named, {}});
        return Take::done;
    }
    // The server keeps its copy: others use it, and it goes when it is the least recently used.
    const NamedStatementPtr named = names_.find(target->name);
    if (named) names_.remove(*named);
    server.pipeline().push({request, Reply::fake, named, {}});
    return Take::done;
}

Result<Frontend::Step> Frontend::answer_alone(Bytes input, const RequestRules& rules,
                                              Segments& replies) {
    Step step;
    const std::size_t size = input.size();
    while (!input.empty()) {
        if (pass_rest(input, nullptr)) continue;
        const protocol::CutFrame cut = protocol::cut_frame(input, rules.message_max);
        if (cut.cut == protocol::Cut::more) break;
        if (cut.cut != protocol::Cut::frame)
            return protocol::cut_error(cut.cut, protocol::Origin::client);
        const Frame& frame = cut.frame;
        if (frame.size() > size_max(frame.type)) return bad_message("invalid message length");
        if (!std::strchr("QFPBDCESHXdcf", frame.type) || frame.type == '\0') {
            return bad_message("invalid frontend message type " + std::to_string(frame.type));
        }
        if (!answer_one(frame, step, replies)) break;
        passing_ = false;
        missing_ = frame.missing;
        input.remove_prefix(frame.size() - frame.missing);
    }
    step.consumed = size - input.size();
    return step;
}

/// One message without a server. False when it is not to be taken: it needs one, or more of itself.
bool Frontend::answer_one(const Frame& frame, Step& step, Segments& replies) {
    switch (frame.type) {
        case 'X': step.terminate = true; return false;
        case 'S':
            if (frame.missing > 0) return false;
            dropping_ = false;
            replies.add(ready_idle);
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
    const auto cut = protocol::first_frame(input, message_max, protocol::Origin::client);
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

void Frontend::undo(std::vector<protocol::Outstanding>& undone) {
    for (const protocol::Outstanding& o : undone) {
        const bool unnamed_parse = o.request == Request::parse && !o.named && !o.statement;
        if (unnamed_parse && o.reply == Reply::forward && o.batch == unnamed_batch_) {
            unnamed_.reset();
            unnamed_on_ = nullptr;
        }
        if (!o.named) continue;
        if (o.request == Request::parse) {
            names_.remove(*o.named);
            o.named->gone = true;
        }
        if (o.request == Request::close && !o.named->gone) names_.add(o.named);
    }
    undone.clear();
}

void Frontend::discard_all(const protocol::Pipeline& pipeline) {
    names_.erase_if([&](protocol::NamedStatement& named) {
        return std::exchange(named.kept_at, 0) != pipeline.discards();
    });
}

}  // namespace pgweir::proxy
