// The console's commands: one table of who may give which, and what each does.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "proxy/admin/answer.hpp"
#include "proxy/admin/courtesy.hpp"
#include "proxy/admin/grammar.hpp"
#include "proxy/admin/show.hpp"

namespace pgweir::proxy {
class Process;
enum class ConsoleRole : std::uint8_t;
}  // namespace pgweir::proxy

namespace pgweir::proxy::admin {

/// Where an answer goes; may be called at once or later, once at most, on the main thread.
using Tell = std::function<void(Answer)>;

/// Something that changes the process. `run` is called on the main thread.
struct Verb {
    std::string_view name;
    Access access;
    bool takes_argument;  // if not, one makes it another command, which does not exist
    void (*run)(Process& process, const Command& command, const Tell& tell);
    std::span<const std::string_view> words = {};  // what may come next, where it is one of few
};

/// Every verb there is, SHOW excepted: nothing can be done that is not in here.
std::span<const Verb> all_verbs();

/// A command that exists. Exactly one of `show`, `courtesy` and `verb` says what it is; none: the
/// text is empty, which drivers send to see whether a connection is alive.
struct Statement {
    Command command;
    const Show* show = nullptr;
    const Courtesy* courtesy = nullptr;  // SHOW or SET of it, or the statement itself
    const Verb* verb = nullptr;
    Columns columns;  // of its rows; empty when it has none

    bool empty() const { return !show && !courtesy && !verb; }
    Access access() const;
    /// How the log calls it: `PAUSE 'app'`. Empty for what only looks.
    std::string title() const;
};

/// Errors 08P01: there is no such command.
protocol::Result<Statement> resolve(std::string_view text);

/// Somebody of this role may give it. Who has no role may give none.
bool permitted(ConsoleRole role, Access access);

/// Rows or words that are known right here: a courtesy's.
Answer answer_courtesy(const Statement& statement);

/// How many servers of the database ("" = all) are still to be closed. To be called on the main
/// thread; `done` runs there too.
void count_closing(Process& process, const std::string& database, std::function<void(int)> done);

}  // namespace pgweir::proxy::admin
