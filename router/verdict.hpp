// What a statement is and where it may run: what the router says of a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgweir::router {

/// Why a statement is sent where it is; reason_text() has the word for SHOW ROUTES.
enum class Reason : std::uint8_t {
    read,               // proven harmless
    empty,              // nothing to run
    write,              // INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY FROM, SELECT INTO
    ddl,                // CREATE, ALTER, DROP, VACUUM: any other utility statement
    lock,               // row locks, LOCK TABLE
    code,               // DO, CALL
    transaction,        // BEGIN, COMMIT, SAVEPOINT and the like
    two_phase,          // PREPARE TRANSACTION, COMMIT PREPARED
    session_setting,    // SET, RESET, SHOW, DISCARD, set_config()
    own_setting,        // of pgweir itself
    prepared,           // PREPARE, EXECUTE, DEALLOCATE
    cursor,             // DECLARE … WITH HOLD, FETCH, MOVE, CLOSE
    notification,       // LISTEN, UNLISTEN, NOTIFY
    server_file,        // COPY with a file or program of the server, LOAD
    several,            // several statements with transaction control or SET among them
    function_volatile,  // may write
    function_node,      // tells of the node, its sessions or its transactions
    function_unknown,   // not in the catalog
    sequence,           // read as a relation: its WAL runs ahead of its value
    random_seeded,      // random() after setseed()
    attribute,          // t.name that may be a call of name(t)
    operator_volatile,
    operator_unknown,
    type_volatile,  // a cast, domain or input function that may write
    type_unknown,
    relation_unlogged,
    relation_foreign,
    relation_unknown,
    view_writes,      // a view or rule over any of these
    policy_writes,    // a row security policy with a volatile function
    catalog_missing,  // not loaded yet, or not a statement to judge without it
    catalog_suspect,  // something was created or altered since it was loaded
    learned,          // a replica has refused it before
    hint,             // a comment says so
    node_unknown,     // a part of the parse tree that the router does not know
    parse_error,
    too_long,     // or nested too deep
    too_many,     // the parse budget is used up
    text_unsure,  // backslashes without standard strings; a client encoding with ASCII inside
};

std::string_view reason_text(Reason reason);

/// BEGIN's options, SET TRANSACTION's and SESSION CHARACTERISTICS'. The last of its kind counts.
struct TransactionOptions {
    std::optional<bool> read_only;
    std::optional<bool> serializable;  // false: another isolation level was named
    bool deferrable = false;
    bool well_known = true;  // false: an option that the server has to judge at once
    bool snapshot = false;   // SET TRANSACTION SNAPSHOT: of a transaction on the primary
    bool repeatable_read = false;

    friend bool operator==(const TransactionOptions&, const TransactionOptions&) = default;
};

/// SET, RESET or SHOW of one setting of ours, or set_config() and current_setting() of it with
/// literals, alone in the statement.
struct OwnSetting {
    enum class Action : std::uint8_t { set, reset, show };
    Action action = Action::show;
    std::string name{};  // lower case, "pgweir.route"
    std::string value{};
    bool local = false;   // until the end of the transaction
    bool select = false;  // a row is expected: SELECT set_config(…)

    friend bool operator==(const OwnSetting&, const OwnSetting&) = default;
};

/// What is known of one simple query or one prepared text. Immutable value.
struct Verdict {
    enum class Kind : std::uint8_t {
        statement,
        begin,
        end,              // COMMIT, ROLLBACK, END, ABORT; not TO SAVEPOINT, not PREPARED
        set_transaction,  // SET TRANSACTION
        set,  // session state without data: SET, RESET, SHOW, DISCARD, PREPARE, DEALLOCATE, LISTEN
        own,  // a setting of ours: see `own`
        empty,    // no statement at all
        several,  // several, with transaction control or SET among them
    };
    Kind kind = Kind::statement;
    bool read = false;     // a replica may run it
    bool dirties = false;  // it may have written: a session's own writes have to be minded
    /// Its answer may tell what is in the database, or what others have done: it names something.
    bool shows = true;
    /// It would be a read, but for telling of the node that runs it.
    bool tells_of_node = false;
    /// Goes to the primary, and a READ ONLY transaction refuses it there with 25006 as well.
    bool refused_read_only = false;
    /// Belongs where the open transaction is, whatever that is: SAVEPOINT, FETCH, SET LOCAL.
    bool follows = false;
    /// Leaves in its transaction what cannot move to another node: savepoint, cursor, SET LOCAL.
    bool holds = false;
    bool chains = false;  // COMMIT AND CHAIN
    /// It may change what the catalog knows: suspect until that has been loaded anew.
    bool alters = false;
    Reason reason = Reason::read;
    TransactionOptions options;
    OwnSetting own;
    std::string detail;  // the name behind the reason, "nextval"
    /// SQL-level prepared statements it runs: it is a read only if all of them are as well.
    std::vector<std::string> executes;
    /// PREPARE: the statement it makes; `read` says what an EXECUTE of it would be.
    std::string prepares;
};

}  // namespace pgweir::router
