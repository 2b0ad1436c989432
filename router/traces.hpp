// What a statement may leave behind in its session, told from its text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgweir::router {

/// A set of trace:: bits.
using Traces = std::uint32_t;

/// DISCARD ALL has all of variables, locks, temporary, cursors, statements, channels, sequences.
namespace trace {
/// SET (not LOCAL, TRANSACTION or CONSTRAINTS), RESET, set_config(), UPDATE pg_settings.
inline constexpr Traces variables = 1u << 0;
/// Session-level advisory locks, taken or given back; not those of a transaction.
inline constexpr Traces locks = 1u << 1;
/// Temporary objects may come or go: CREATE, DROP, SELECT INTO, DISCARD TEMP and whatever mentions
/// pg_temp. CREATE and INTO without TEMP as well, because search_path may begin with pg_temp.
inline constexpr Traces temporary = 1u << 2;
/// DECLARE … WITH HOLD, CLOSE.
inline constexpr Traces cursors = 1u << 3;
/// PREPARE and DEALLOCATE; not PREPARE TRANSACTION.
inline constexpr Traces statements = 1u << 4;
/// EXECUTE of a prepared statement, in EXPLAIN and CREATE TABLE AS too. What that statement leaves
/// is known from its own text.
inline constexpr Traces executes = 1u << 5;
/// LISTEN, UNLISTEN.
inline constexpr Traces channels = 1u << 6;
/// NOTIFY, pg_notify(). Leaves nothing.
inline constexpr Traces notifies = 1u << 7;
/// nextval(), setval(), DISCARD SEQUENCES: what currval() and lastval() will say. The nextval() of
/// a serial column's default is not in the text of the INSERT.
inline constexpr Traces sequences = 1u << 8;
/// currval(), lastval(). Leaves nothing.
inline constexpr Traces reads_sequences = 1u << 9;
/// setseed(), SET seed.
inline constexpr Traces random_seed = 1u << 10;
/// LOAD.
inline constexpr Traces library = 1u << 11;
/// Calls a function or procedure that is not PostgreSQL's own.
inline constexpr Traces functions = 1u << 12;
/// Nothing can be known: DO, U&"…", functions that run SQL text or keep a session's replication
/// or backup state.
inline constexpr Traces anything = 1u << 13;
/// Mentions a setting of pgweir's.
inline constexpr Traces routes = 1u << 14;
/// SAVEPOINT, ROLLBACK TO: what came later in the text may have been undone. Leaves nothing.
inline constexpr Traces savepoints = 1u << 15;
/// SET LOCAL, set_config(…, true), variables of the transaction: leaves nothing behind it.
inline constexpr Traces local = 1u << 16;
/// A statement that writes rows within another, as in WITH: the tag does not tell. What runs behind
/// that is not in the text.
inline constexpr Traces writes = 1u << 17;
/// Mentions pg_prepared_statements: shows the names of prepared statements. Leaves nothing.
inline constexpr Traces shows_statements = 1u << 18;
/// Calls a function, or is a DO, and has EXECUTE in a literal: what is prepared may be executed by
/// a text that runs there.
inline constexpr Traces executes_text = 1u << 19;
}  // namespace trace

/// What the statements of a text may leave behind, 0 for nothing. `standard_strings` is the
/// session's standard_conforming_strings. One pass, no allocation.
///
/// When in doubt it says more, never less, with these limits: what runs behind the text is not
/// seen (triggers, views, rules, defaults, operators, casts, index expressions, the function of
/// `row.name`), a function named as one of PostgreSQL's own is taken for that, and a text in a
/// client encoding with ASCII bytes inside of characters may be misread (see Lexer). A text that
/// the server will refuse may have any traces.
Traces traces_of(std::string_view sql, bool standard_strings = true);

/// The traces of a text, with the names in them. A value.
///
/// Names are as the server has them: folded unless quoted, cut to 63 bytes. Those of variables
/// are folded even if quoted, but for `TimeZone`, which SET TIME ZONE changes.
struct Details {
    Traces traces = 0;

    /// Set, reset or given to set_config(), even if for the transaction only there; each once.
    /// What SET says in words of its own is here by the variables' names: ROLE, NAMES, SESSION
    /// AUTHORIZATION (which changes the role too), SESSION CHARACTERISTICS (three of them) …
    std::vector<std::string> variables;
    /// set_config() of a name that is neither a plain literal nor a parameter.
    bool all_variables = false;
    /// UPDATE pg_settings, or a SET nobody knows: any that pg_settings shows.
    bool shown_variables = false;
    /// The parameters ($1: 1) that are names for set_config().
    std::vector<unsigned> variable_parameters;
    /// RESET x, SET x TO DEFAULT; they are in `variables` too.
    std::vector<std::string> resets;
    bool reset_all = false;    // RESET ALL, DISCARD ALL
    bool discard_all = false;  // DISCARD ALL

    struct Channel {
        enum class What : std::uint8_t { listen, unlisten, unlisten_all };
        What what;
        std::string name;  // empty for unlisten_all
    };
    std::vector<Channel> channels;  // in the text's order; DISCARD ALL is not among them

    /// Those of trace::functions, "schema.name" where the text has a schema; each once.
    std::vector<std::string> functions;

    struct Prepared {
        enum class What : std::uint8_t { prepare, execute, deallocate, deallocate_all };
        What what;
        std::string name;    // empty for deallocate_all
        std::size_t offset;  // bytes: where in the text the name (or ALL) stands
        std::size_t length;
        std::size_t end = 0;  // bytes: where its statement ends, without the semicolon
    };
    std::vector<Prepared> prepared;  // in the text's order

    unsigned statements = 0;  // how many there are; empty ones between semicolons are none
};

/// A variable that set_config() is given by this name: into details.variables, in lower case.
/// Returns  what setting it leaves.
Traces add_variable(Details& details, std::string_view name);

/// Slower; for texts of which traces_of() said something.
Details details_of(std::string_view sql, bool standard_strings = true);

}  // namespace pgweir::router
