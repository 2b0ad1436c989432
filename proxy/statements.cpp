#include "proxy/statements.hpp"

#include <algorithm>
#include <utility>

namespace pgweir::proxy {

using protocol::NamedStatement;
using protocol::NamedStatementPtr;
using protocol::Outstanding;
using protocol::Reply;
using protocol::Request;
using protocol::StatementPtr;

namespace {

/// What a text means besides what it says; nullopt: something of its own.
std::optional<std::uint64_t> context_of(const RequestRules& rules) {
    return rules.session ? rules.session->context(rules.schema_epoch) : 0;
}

/// `named` is asked for, or to be closed, in the batch being sent.
void push_about(protocol::Pipeline& pipeline, Request request, Reply reply,
                const NamedStatementPtr& named, const StatementPtr& statement) {
    named->open = true;
    named->batch = static_cast<std::uint32_t>(pipeline.batch());
    pipeline.push({request, reply, named, statement});
}

/// A Parse of what the server has prepared already.
void leave_out(Translation& step, const NamedStatementPtr& named) {
    protocol::Pipeline& pipeline = step.pipeline();
    const bool first = pipeline.only_fakes() && pipeline.between_batches();
    if (first && step.server.tx() == protocol::TxStatus::idle) step.unsent = named->statement;
    push_about(pipeline, Request::parse, Reply::fake, named, {});
}

}  // namespace

bool is_prepared(const protocol::Statement& statement, pool::Backend& server) {
    const protocol::Pipeline& pipeline = server.pipeline();
    return server.statements().use(statement, pipeline.batch(), pipeline.answered());
}

std::string_view name_on_server(const NamedStatement& named) {
    return named.statement ? std::string_view(named.statement->server_name())
                           : protocol::no_statement_name;
}

Statements::Found Statements::find(std::string_view name, const pool::Backend& server) {
    const protocol::Pipeline& pipeline = server.pipeline();
    Found found{name.empty() ? unnamed_ : names_.find(name)};
    const auto batch = static_cast<std::uint32_t>(pipeline.batch());
    const auto hangs = [batch](const NamedStatementPtr& named) {
        return named && named->open && named->batch != batch;
    };
    found.undecided = hangs(found.named);
    if (discarding_) {
        discarding_ = false;
        pipeline.for_each([this](const Outstanding& o) {
            discarding_ |= o.request == Request::query || o.request == Request::execute;
        });
        found.undecided |= discarding_;
    }
    if (!closing_.empty()) {
        std::erase_if(closing_, [](const NamedStatementPtr& named) { return !named->open; });
        found.undecided |= std::any_of(
            closing_.begin(), closing_.end(),
            [&](const NamedStatementPtr& named) { return named->name == name && hangs(named); });
    }
    return found;
}

bool Statements::parse(Translation& step, const protocol::Parse& parse, Bytes whole) {
    if (parse.name.empty()) {  // it replaces whatever there may be
        parse_unnamed(step, parse, whole);
        return true;
    }
    const Found found = find(parse.name, step.server);
    if (found.undecided) return false;
    ++step.client_parses;
    if (found.named) {
        parse_twice(step, parse);
        return true;
    }
    protocol::StatementTable& table = *step.rules.table;
    const auto known = context_of(step.rules);
    const std::uint64_t context = known ? *known : table.own_context();
    const NamedStatementPtr named(
        new NamedStatement(parse.name, table.intern(parse.query, parse.types, context)));
    if (own_names_) named->statement = table.intern_own(*named);
    const StatementPtr& statement = named->statement;
    named->given = ++given_;
    names_.add(named);
    if (own_names_) step.rules.session->note_own_names();
    // In a failed transaction it is PostgreSQL's to refuse.
    const bool failed = step.server.tx() == protocol::TxStatus::failed;
    if (!failed && is_prepared(*statement, step.server)) {
        leave_out(step, named);
    } else {
        prepare(step, statement, named);
    }
    return true;
}

/// PostgreSQL makes the error, so that the transaction fails as it must, and because it may have
/// another one to report: the same name twice. Backend puts the client's name into it.
void Statements::parse_twice(Translation& step, const protocol::Parse& parse) {
    std::string twice;
    const NamedStatementPtr duplicate(new NamedStatement(parse.name, {}));
    const std::string_view name = own_names_ ? parse.name : protocol::taken_statement_name;
    for (const Reply reply : {Reply::skip, Reply::forward}) {
        if (own_names_ && reply == Reply::skip) continue;
        protocol::write_parse(twice, name, parse.query, parse.types);
        step.pipeline().push({Request::parse, reply, duplicate, {}});
    }
    step.out.own(std::move(twice));
}

/// Sends the Parse: the client's own when `named` is given, else one of ours that it never sees.
void Statements::prepare(Translation& step, const StatementPtr& statement,
                         const NamedStatementPtr& named) {
    if (statement->is_sql()) return prepare_by_sql(step, statement);
    ++step.server_parses;
    std::string bytes;
    protocol::Pipeline& pipeline = step.pipeline();
    protocol::ServerStatements& there = step.server.statements();
    const bool fresh = there.add(statement, pipeline.batch());
    const std::size_t size_max = own_names_ ? there.size() : step.rules.server_max;
    while (const StatementPtr oldest = there.evict(size_max)) {
        protocol::write_close(bytes, 'S', oldest->server_name());
        pipeline.push({Request::close, Reply::skip, {}, oldest});
    }
    if (!fresh || pipeline.batch() != pipeline.answered()) {
        // It may be there already, or still: a Parse or Close before this batch may yet be skipped.
        protocol::write_close(bytes, 'S', statement->server_name());
        pipeline.push({Request::close, Reply::skip, {}, {}});
    }
    protocol::write_parse(bytes, statement->server_name(), statement->query(), statement->types());
    if (named) {
        push_about(pipeline, Request::parse, Reply::forward, named, statement);
    } else {
        pipeline.push({Request::parse, Reply::skip, {}, statement});
    }
    step.out.own(std::move(bytes));
}

/// The unnamed statement follows the client too. It goes to the server's own unnamed one; but when
/// the same text comes again and again it has a name there, so that it need not be parsed and
/// planned anew.
void Statements::parse_unnamed(Translation& step, const protocol::Parse& parse, Bytes whole) {
    unkept_on_ = nullptr;
    const auto known = context_of(step.rules);
    const std::uint64_t context = known.value_or(0);
    // Drivers send the same text all day: then nothing is to be looked up or made.
    const protocol::Statement* const last = unnamed_ ? unnamed_->statement.get() : nullptr;
    const bool same = last && last->context() == context && last->query() == parse.query &&
                      last->types() == parse.types;
    if (!same || unnamed_->open) {
        const StatementPtr statement =
            same ? unnamed_->statement
                 : step.rules.table->intern(parse.query, parse.types, context);
        const NamedStatementPtr fresh(new NamedStatement("", statement));
        fresh->before = std::exchange(unnamed_, fresh);
    }
    const StatementPtr& statement = unnamed_->statement;
    unnamed_->shared = step.rules.cache_unnamed && !own_names_ && known &&
                       (same || statement->uses() > 1) && is_worth_sharing(step, *statement);
    if (!unnamed_->shared) {
        step.server.statements().set_unnamed(statement, step.pipeline().batch());
        push_about(step.pipeline(), Request::parse, Reply::forward, unnamed_, {});
        step.out.add(whole);
    } else if (is_prepared(*statement, step.server)) {
        leave_out(step, unnamed_);
    } else {
        prepare(step, statement, unnamed_);
    }
}

bool Statements::is_worth_sharing(const Translation& step, const protocol::Statement& statement) {
    constexpr std::uint32_t uses_min = 16;  // that another one is thrown out for
    const protocol::ServerStatements& there = step.server.statements();
    return (statement.traits() & trait_shareable) != 0 &&
           step.server.tx() != protocol::TxStatus::failed &&
           (there.size() < step.rules.server_max || there.has(statement) ||
            statement.uses() >= uses_min);
}

void Statements::parse_unkept(Translation& step) {
    unnamed_.reset();
    unkept_on_ = &step.server;
    step.server.statements().set_unnamed({}, step.pipeline().batch());
    step.pipeline().push(Request::parse);
}

NamedStatementPtr Statements::resolve(Translation& step, Found found, std::string_view name) {
    NamedStatementPtr& named = found.named;
    if (name.empty() && !(named && named->shared)) return resolve_unnamed(step);
    if (!named) return NamedStatementPtr(new NamedStatement(name, {}));
    if (!is_prepared(*named->statement, step.server)) prepare(step, named->statement, {});
    return std::move(named);
}

NamedStatementPtr Statements::resolve_unnamed(Translation& step) {
    if (unkept_on_ == &step.server) return {};
    if (!unnamed_) return NamedStatementPtr(new NamedStatement("", {}));
    protocol::Pipeline& pipeline = step.pipeline();
    const protocol::Statement& statement = *unnamed_->statement;
    protocol::ServerStatements& there = step.server.statements();
    if (there.has_unnamed(statement, pipeline.batch(), pipeline.answered())) return {};
    std::string bytes;
    protocol::write_parse(bytes, "", statement.query(), statement.types());
    step.out.own(std::move(bytes));
    pipeline.push({Request::parse, Reply::skip, {}, {}});
    there.set_unnamed(unnamed_->statement, pipeline.batch());
    return {};
}

void Statements::close(Translation& step, const Found& found, std::string_view name, Bytes whole) {
    if (name.empty()) {
        unnamed_.reset();
        unkept_on_ = nullptr;
        step.server.statements().set_unnamed({}, 0);
        step.pipeline().push(Request::close);
        step.out.add(whole);
        return;
    }
    // The server keeps its copy: others use it, and it goes when it is the least recently used.
    const NamedStatementPtr& named = found.named;
    if (!named) return step.pipeline().push({Request::close, Reply::fake, {}, {}});
    names_.remove(*named);
    closing_.push_back(named);
    if (!own_names_) return push_about(step.pipeline(), Request::close, Reply::fake, named, {});
    step.rules.session->note_own_names();
    step.server.statements().doubt(named->statement);
    push_about(step.pipeline(), Request::close, Reply::forward, named, named->statement);
    step.out.add(whole);
}

std::vector<NamedStatementPtr> Statements::all() const {
    std::vector<NamedStatementPtr> all;
    names_.for_each([&all](NamedStatement& named) { all.emplace_back(&named); });
    if (unnamed_) all.push_back(unnamed_);
    std::erase_if(all, [](const NamedStatementPtr& named) { return !named->statement; });
    return all;
}

const protocol::Statement* Statements::meant_by(std::string_view name) const {
    const NamedStatementPtr named = name.empty() ? unnamed_ : names_.find(name);
    return named ? named->statement.get() : nullptr;
}

std::size_t Statements::bytes() const {
    const bool kept = unnamed_ && unnamed_->statement;
    return names_.bytes() + (kept ? protocol::bytes_of(*unnamed_->statement) : 0);
}

void Statements::forget(std::string_view name) {
    if (const NamedStatementPtr named = names_.find(name)) names_.remove(*named);
}

void Statements::forget_given(std::string_view name, std::uint64_t after) {
    const NamedStatementPtr named = names_.find(name);
    if (named && named->given > after) names_.remove(*named);
}

void Statements::take_in(std::string_view name, StatementPtr statement) {
    const NamedStatementPtr named(new NamedStatement(name, std::move(statement)));
    named->agreed = true;
    if (name.empty()) {
        unnamed_ = named;
    } else {
        names_.add(named);
    }
}

void Statements::simple_query(pool::Backend& server, bool discards) {
    unnamed_.reset();
    unkept_on_ = nullptr;
    server.statements().set_unnamed({}, 0);
    if (!discards) return;
    server.statements().doubt_all();
    discarding_ = true;
}

void Statements::undo(std::vector<Outstanding>& undone) {
    for (const Outstanding& o : undone) {
        if (o.request == Request::parse) {
            undo_parse(o);
        } else if (o.renames) {
            undo_renames(*o.renames);
        } else if (o.request == Request::close && o.named) {
            o.named->open = false;
            if (!o.named->gone) names_.add(o.named);
        }
    }
    undone.clear();
}

void Statements::undo_parse(const Outstanding& o) {
    if (!o.named) {
        if (!o.statement && o.reply == Reply::forward) unkept_on_ = nullptr;
        return;
    }
    NamedStatement& named = *o.named;
    named.open = false;
    if (!named.name.empty()) {
        names_.remove(named);
        named.gone = true;
    } else if (o.failed) {
        unnamed_.reset();  // one that was read replaced its predecessor before it failed
    } else if (o.named == unnamed_ && !named.agreed) {
        unnamed_ = std::move(named.before);
    }
}

void Statements::discard_all(const protocol::Pipeline& pipeline) {
    names_.erase_if([&](NamedStatement& named) {
        return std::exchange(named.kept_at, 0) != pipeline.discards();
    });
}

}  // namespace pgweir::proxy
