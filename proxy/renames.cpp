// PREPARE, EXECUTE and DEALLOCATE: their texts go to servers with the servers' names in the places
// of the client's.
#include "proxy/statements.hpp"

namespace pgweir::proxy {

using protocol::NamedStatement;
using protocol::NamedStatementPtr;
using protocol::Renames;
using protocol::Reply;
using protocol::Request;
using protocol::StatementPtr;

using What = router::Details::Prepared::What;

/// A PREPARE that another server has run, in a batch.
void Statements::prepare_by_sql(Translation& step, const StatementPtr& statement) {
    protocol::Pipeline& pipeline = step.pipeline();
    std::string bytes;
    step.server.statements().add(statement, pipeline.batch());
    step.server.statements().set_unnamed({}, 0);
    protocol::write_close(bytes, 'S', statement->server_name());
    pipeline.push({Request::close, Reply::skip, {}, {}});
    protocol::write_parse(bytes, "", protocol::prepare_command(*statement));
    pipeline.push({Request::parse, Reply::skip, {}, statement});
    protocol::write_bind(bytes, "", "");
    pipeline.push({Request::bind, Reply::skip, {}, {}});
    protocol::write_execute(bytes, "");
    pipeline.push({Request::execute, Reply::skip, {}, {}});
    step.out.own(std::move(bytes));
}

/// Gets a statement onto the server in front of a simple query.
void Statements::prepare_for_query(Translation& step, const StatementPtr& statement) {
    if (is_prepared(*statement, step.server)) return;
    protocol::Pipeline& pipeline = step.pipeline();
    const bool fresh = step.server.statements().add(statement, pipeline.batch());
    std::string bytes;
    if (!fresh) {
        protocol::write_close(bytes, 'S', statement->server_name());
        pipeline.push({Request::close, Reply::skip, {}, {}});
    }
    if (statement->is_sql()) {
        protocol::write_query(bytes, protocol::prepare_command(*statement));
        pipeline.push({Request::query, Reply::skip, {}, statement});
    } else {
        protocol::write_parse(bytes, statement->server_name(), statement->query(),
                              statement->types());
        pipeline.push({Request::parse, Reply::skip, {}, statement});
        protocol::write_sync(bytes);
        pipeline.push({Request::sync, Reply::skip, {}, {}});
    }
    step.out.own(std::move(bytes));
}

/// The client's name for what a PREPARE is about to make.
NamedStatementPtr Statements::new_name(const Translation& step, std::string_view sql,
                                       const router::Details::Prepared& item, bool alone) {
    protocol::StatementTable& table = *step.rules.table;
    const std::size_t behind = item.offset + item.length;
    const std::string_view query = sql.substr(behind, item.end - behind);
    NamedStatementPtr named(
        new NamedStatement(item.name, table.intern(query, {}, table.own_context())));
    named->behind = static_cast<std::uint32_t>(behind);
    if (alone) {
        named->head = sql.substr(0, behind);
        named->tail = sql.substr(item.end);
    }
    if (own_names_) named->statement = table.intern_own(*named);
    return named;
}

/// The effect takes place as far as names go; its answer is for `batch`.
void Statements::take_effect(Translation& step, const Renames::Item& item, std::uint32_t batch) {
    const NamedStatementPtr& named = item.named;
    if (item.effect == Renames::Effect::none) return;
    named->open = true;
    named->batch = batch;
    if (item.effect == Renames::Effect::prepares) {
        names_.add(named);
        step.server.statements().add(named->statement, step.pipeline().batch());
    } else {
        step.server.statements().doubt(named->statement);
        names_.remove(*named);
        closing_.push_back(named);
    }
}

/// The text with the server's names. `found` is told of each name that the client has, before its
/// effect, and gets it onto the server; `made` of each effect.
template <class OnName, class OnEffect>
Statements::Renamed Statements::rename(const Translation& step, std::string_view sql,
                                       const router::Details& details, OnName found,
                                       OnEffect made) {
    Renamed text{{}, protocol::RenamesPtr(new Renames)};
    std::size_t copied = 0;
    for (const router::Details::Prepared& item : details.prepared) {
        if (item.name.empty()) continue;
        Renames::Item done{names_.find(item.name), Renames::Effect::none};
        if (done.named) {
            found(done.named->statement);
            if (item.what == What::deallocate) done.effect = Renames::Effect::drops;
        } else if (item.what == What::prepare) {
            done = {new_name(step, sql, item, details.statements == 1), Renames::Effect::prepares};
        } else {
            continue;
        }
        if (item.what == What::execute && step.rules.session) {
            const protocol::Statement& statement = *done.named->statement;
            step.rules.session->note(statement.query(), statement.traits());
        }
        text.sql += sql.substr(copied, item.offset - copied);
        const auto at = static_cast<long>(text.sql.size());
        const protocol::Statement& statement = *done.named->statement;
        text.sql += statement.is_own() ? std::string(sql.substr(item.offset, item.length))
                                       : protocol::quote_identifier(statement.server_name());
        copied = item.offset + item.length;
        text.renames->shifts.push_back(
            {at, static_cast<long>(text.sql.size()) - static_cast<long>(copied)});
        made(done);
        text.renames->items.push_back(std::move(done));
    }
    text.sql += sql.substr(copied);
    return text;
}

bool Statements::undecided(const router::Details& details, const pool::Backend& server) {
    for (const router::Details::Prepared& item : details.prepared) {
        if (find(item.name, server).undecided) return true;
    }
    return false;
}

Statements::Renamed Statements::rename_query(Translation& step, std::string_view sql,
                                             const router::Details& details) {
    constexpr auto no_batch = ~std::uint32_t{0};  // whatever comes behind waits for the answer
    const auto found = [&step](const StatementPtr& statement) {
        prepare_for_query(step, statement);
    };
    const auto made = [&](const Renames::Item& item) { take_effect(step, item, no_batch); };
    return rename(step, sql, details, found, made);
}

std::optional<Statements::Bound> Statements::rename_bound(Translation& step,
                                                          const NamedStatementPtr& named,
                                                          const router::Details& details) {
    const protocol::Statement& outer = *named->statement;
    if (undecided(details, step.server)) return std::nullopt;
    const auto found = [&](const StatementPtr& statement) {
        if (!is_prepared(*statement, step.server)) prepare(step, statement, {});
    };
    Renamed text = rename(step, outer.query(), details, found, [](const Renames::Item&) {});
    if (own_names_) return Bound{named, std::move(text.renames)};
    Bound bound{NamedStatementPtr(new NamedStatement(
                    named->name, step.rules.table->intern(text.sql, outer.types()))),
                std::move(text.renames)};
    bound.named->shared = true;
    return bound;
}

void Statements::execute(Translation& step, const Renames& renames) {
    const auto batch = static_cast<std::uint32_t>(step.pipeline().batch());
    for (const Renames::Item& item : renames.items) take_effect(step, item, batch);
}

void Statements::undo_renames(const Renames& renames) {
    for (std::size_t i = renames.items.size(); i > renames.done; --i) {
        const Renames::Item& item = renames.items[i - 1];
        if (item.effect == Renames::Effect::none) continue;
        item.named->open = false;
        if (item.effect == Renames::Effect::prepares) {
            names_.remove(*item.named);
            item.named->gone = true;
        } else if (!item.named->gone) {
            names_.add(item.named);
        }
    }
}

}  // namespace pgweir::proxy
