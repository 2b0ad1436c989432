// What a client of a cluster's entry carries so that its requests find their node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "config/config.hpp"
#include "health/freshness.hpp"
#include "health/topology.hpp"
#include "protocol/error.hpp"
#include "protocol/frame.hpp"
#include "protocol/vars.hpp"
#include "proxy/local_answer.hpp"
#include "proxy/route_reason.hpp"
#include "proxy/unit.hpp"
#include "router/verdict.hpp"

namespace pgweir::pool {
class Pool;
}  // namespace pgweir::pool

namespace pgweir::proxy {

class KnownCluster;
class NodeLoad;

/// The request under way at a server. Value.
struct RoutedRequest {
    bool beginning = false;    // the server has been told the client's BEGIN, and nothing else
    bool dirties = false;      // what was sent to the primary may write
    bool shows = false;        // it may show what others have written
    bool alters = false;       // … or change the catalog
    bool again = false;        // it may run again elsewhere: a read, of whose answer nothing is out
    bool withholds = false;    // its answer is kept back until it shows that it is one
    bool refused = false;      // the server cannot run it, another one may: the answer is dropped
    bool ends = false;         // the transaction's end was sent, or may have been
    bool holds = false;        // the transaction on the replica has what cannot move
    bool leaving = false;      // what is open at the replica is being ended, for the primary
    bool for_primary = false;  // whatever it is
    bool replica_may_do = false;           // what waits for the primary need not, if that is gone
    unsigned tries = 0;                    // that have failed
    unsigned refusals = 0;                 // by replicas that could not even begin
    const NodeLoad* refused_by = nullptr;  // the last one of them
    std::int64_t no_replica_until_us = 0;  // that many refused
    std::optional<RouteReason> why{};  // why it goes there; nullopt: the client keeps its server
    RouteReason sent{};                // why what was sent last went there
    std::int64_t waits_until_us = 0;   // for a replica that shows enough; 0 = it does not wait
    std::int64_t asked_us = 0;         // when a replica was asked, for its latency; 0 = it was not
    std::string replay;                // its bytes, while `again`
    std::uint64_t names_before = 0;    // Statements::given() before it was sent
    std::string withheld;
};

/// Why it goes where it goes when nothing but what it is decides.
RouteReason reason_of(const Unit& unit);

/// Pure: no sockets, no clock. One client's.
class Routing {
public:
    enum class Wish : std::uint8_t { automatic, primary, replica };

    /// Names and values of our own settings, pgweir.…
    using Settings = protocol::VarSet::Entries;
    static bool is_setting(std::string_view name);

    /// What the entry and its cluster say.
    struct Rules {
        std::string cluster;
        config::TargetRole role = config::TargetRole::any;
        bool split = true;
        bool retry_reads = true;
        config::Consistency consistency = config::Consistency::session;
        std::optional<config::Preference> preferred{};  // that counts for this session
    };
    explicit Routing(Rules rules) : rules_(std::move(rules)) {}

    const Rules& rules() const { return rules_; }
    void set_rules(Rules rules) { rules_ = std::move(rules); }
    config::Consistency consistency() const {
        return chosen_.consistency.value_or(rules_.consistency);
    }

    /// What the session begins with, and a RESET gives back.
    /// Errors   22023, 42704 as SET's; what comes before that is set.
    std::optional<protocol::Error> start(const Settings& settings);
    /// It was another process's, which says what has been SET since. Between transactions.
    void move_in(const Settings& settings);
    /// What it began with, and what it has.
    Settings startup() const { return entries_of(startup_); }
    Settings settings() const { return entries_of(chosen_); }

    /// The session's defaults for transactions, by its variables.
    struct Defaults {
        bool read_only = false, serializable = false;
    };
    /// What of a session's variables matters here. Read anew when they have changed.
    struct Variables {
        protocol::Vars of;
        std::optional<std::string_view> search_path;  // a slice of `of`
        bool standard_strings = true;
        bool unsafe_encoding = false;
        Defaults defaults;
    };
    const Variables& variables(const protocol::Vars& vars) {
        if (variables_.of != vars) read(vars);
        return variables_;
    }
    /// Where the unit is to run, as far as it goes by what it is.
    struct Aim {
        bool replica = false;
        RouteReason why{};
        bool without_primary = false;  // for the primary, but a replica may do while there is none
    };
    Aim aim(const Unit& unit, const Defaults& defaults) const;

    /// What is carried out without a server: a transaction's beginning, its end when nothing has
    /// been asked in it, settings of ours, anything in a transaction that was lost.
    /// nullopt: it needs a server.
    std::optional<LocalAnswer> answer(const Unit& unit, protocol::Bytes bytes,
                                      const std::optional<health::Token>& token);
    /// The same with a server in the transaction `status`: settings of ours only.
    std::optional<LocalAnswer> answer_in_transaction(const Unit& unit, protocol::TxStatus status,
                                                     const std::optional<health::Token>& token);
    /// A token that the client claimed since it was last asked.
    std::optional<health::Token> take_claim() { return std::exchange(claim_, std::nullopt); }

    /// SQL that begins the client's transaction on a server; empty: it is in none that has not
    /// begun there.
    const std::string& begun() const { return begun_; }
    /// It is running on a server.
    void begins_there();
    /// It is to begin again on another one.
    void begins_anew() { begun_ = text_; }
    /// The transaction under way was begun by begins_there(), and how.
    bool in_transaction() const { return !text_.empty(); }
    const router::TransactionOptions& options() const { return options_; }
    /// A transaction that began together with what follows.
    void began(const router::TransactionOptions& options) { options_ = options; }
    /// The transaction is over.
    void transaction_over();

    /// Its transaction was lost: what follows fails, until its end. `pending`: the client has not
    /// been told.
    void fail(std::optional<protocol::Error> pending = std::nullopt);
    bool failed() const { return failed_; }
    /// What a client that is alone with us believes of its transaction.
    protocol::TxStatus status() const;

    KnownCluster* cluster = nullptr;  // of its worker
    health::Bound bound;
    NodeLoad* home = nullptr;         // the replica that its reads go to; nullptr: none yet
    pool::Pool* home_pool = nullptr;  // of its servers, for this client
    /// Its next read may go anywhere; one that is under way counts nowhere any more.
    void leave_home();
    RoutedRequest request;

private:
    LocalAnswer begin(const Unit& unit);
    LocalAnswer end(const Unit& unit);
    LocalAnswer apply(const router::OwnSetting& own, protocol::TxStatus status,
                      const std::optional<health::Token>& token);
    LocalAnswer fail_again(const Unit& unit);
    std::optional<protocol::Error> set(const std::string& name, const std::string& value,
                                       bool local);
    std::string shown(const std::string& name, const std::optional<health::Token>& token) const;

    struct Chosen {
        Wish wish = Wish::automatic;
        std::optional<config::Consistency> consistency;  // nullopt: as the rules have it
    };
    static Settings entries_of(const Chosen& chosen);

    void read(const protocol::Vars& vars);

    Rules rules_;
    Variables variables_;
    Chosen startup_, chosen_;
    std::optional<Chosen> outside_;  // as it was before a SET LOCAL
    std::optional<health::Token> claim_;
    std::string begun_;  // not yet on a server
    std::string text_;   // of the transaction under way
    router::TransactionOptions options_;
    bool failed_ = false;
    std::optional<protocol::Error> pending_;
};

}  // namespace pgweir::proxy
