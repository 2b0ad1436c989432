// What the functions of a database do to a session, told from their definitions.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "router/traces.hpp"

namespace pgweir::proxy {

/// Among the traces of a text: it may set custom variables (a.b) whose names the text does not
/// tell, and nor does the server.
inline constexpr router::Traces pin_custom = 1u << 29;

/// What a piece of SQL may do to its session. Value.
struct Doings {
    router::Traces traces = 0;
    std::vector<std::string> variables;  // that it may change, each once
    bool all_variables = false;          // more than these
    std::vector<std::string> functions;  // it calls, whose doings are to be added

    bool empty() const {
        return traces == 0 && variables.empty() && !all_variables && functions.empty();
    }
    void add(const Doings& others);
};

/// May it change more variables than it names?
bool changes_more(const router::Details& details);

/// Adds a name that is not there yet.
void add_once(std::vector<std::string>& names, const std::string& name);

/// One for each database entry. Thread-safe. Its owner makes it forget() every minute, and when a
/// function may have been changed through us.
class FunctionBook {
public:
    /// In the place of a function's name: all that may run behind a write and is not in its text,
    /// which is trigger functions, and functions in rules, defaults, constraints and the like.
    static constexpr std::string_view behind_writes = "(behind writes)";
    /// It is known that this, and what it calls, leaves nothing: until forget(). Asked with every
    /// transaction that writes.
    std::atomic<bool> writes_leave_nothing = false;

    /// What calling it may do; nullopt: that is not known (any more).
    std::optional<Doings> find(const std::string& function) const;
    void learn(const std::string& function, Doings doings);
    void forget();

    /// SQL that gives the definitions of functions of these names, whatever their schema: rows of
    /// the name, the language with the volatility behind it ("plpgsql v"), and the source.
    /// behind_writes is one of the names, and gives no more rows than behind_writes_max.
    static constexpr std::size_t behind_writes_max = 500;
    static std::string question(const std::vector<std::string>& functions);
    /// What one definition says. `language` as question() gives it.
    static Doings read(std::string_view language, std::string_view source);

    /// Somebody has asked for currval() or lastval(): who calls nextval() is to keep his server.
    std::atomic<bool> sequences_are_read = false;

private:
    mutable std::mutex mutex_;
    std::map<std::string, Doings> entries_;  // without their schemas
};

}  // namespace pgweir::proxy
