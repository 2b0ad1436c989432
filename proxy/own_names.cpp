// A client's statements under its own names, on a server that it keeps: when somebody looks at what
// is prepared there, or text that runs inside the server executes it.
#include <algorithm>

#include "proxy/statements.hpp"

namespace pgweir::proxy {

using protocol::NamedStatement;
using protocol::NamedStatementPtr;
using protocol::Reply;
using protocol::Request;
using protocol::StatementPtr;

namespace {

void close_on_server(Translation& step, std::string_view name, const StatementPtr& statement) {
    std::string bytes;
    protocol::write_close(bytes, 'S', name);
    step.pipeline().push({Request::close, Reply::skip, {}, statement});
    step.out.own(std::move(bytes));
}

}  // namespace

bool Statements::take_own_names(Translation& step, bool simple) {
    if (step.server.tx() == protocol::TxStatus::failed) return true;  // nothing looks at them there
    std::vector<NamedStatementPtr> all;
    names_.for_each([&all](NamedStatement& named) { all.emplace_back(&named); });
    const auto undecided = [&](const NamedStatementPtr& named) {
        return find(named->name, step.server).undecided;
    };
    if (std::any_of(all.begin(), all.end(), undecided)) return false;
    step.rules.session->note_own_names();
    // A batch that fails may leave some of them there: they are seen, and closed, the next time.
    for (const StatementPtr& shared : step.server.statements().take(false))
        close_on_server(step, shared->server_name(), shared);
    if (std::exchange(own_names_, true)) return true;
    close_on_server(step, protocol::scratch_statement_name, {});
    close_on_server(step, protocol::taken_statement_name, {});
    if (unnamed_) unnamed_->shared = false;
    for (const NamedStatementPtr& named : all) {
        named->statement = step.rules.table->intern_own(*named);
        simple ? prepare_for_query(step, named->statement) : prepare(step, named->statement, {});
    }
    return true;
}

void Statements::share_names(protocol::StatementTable& table, pool::Backend* server) {
    if (!std::exchange(own_names_, false)) return;
    if (server) server->statements().take(true);
    names_.for_each([&table](NamedStatement& named) {
        const protocol::Statement& own = *named.statement;
        named.statement = table.intern(own.query(), own.types(), table.own_context());
    });
}

}  // namespace pgweir::proxy
