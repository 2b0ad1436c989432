// Prepared statements: the text that servers share, and the names that clients give it.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "protocol/bytes.hpp"

namespace pgweir::protocol {

class StatementTable;
struct NamedStatement;

/// A server-side name that no statement ever has: what a client's unknown name is sent as.
inline const std::string no_statement_name = "PGWEIR_0";
/// A server-side name for what is ours and used at once.
inline const std::string scratch_statement_name = "PGWEIR_SCRATCH";
/// A server-side name that is given away twice when a client gives one of its names twice.
inline const std::string taken_statement_name = "PGWEIR_TAKEN";

/// What a Parse message says, apart from the name. Interned: two clients that prepare the same text
/// with the same parameter types hold the same Statement, so that a server knows it once.
/// Immutable; counted across threads.
class Statement {
public:
    std::uint64_t id() const { return id_; }
    std::string_view query() const { return query_; }
    /// Int16 count and Int32 oids, as in Parse. Empty: it is a PREPARE's, and query() is what
    /// stands behind the name there.
    Bytes types() const { return types_; }
    bool is_sql() const { return types_.empty(); }
    /// What servers call it: PGWEIR_<id>, or is_own().
    const std::string& server_name() const { return server_name_; }
    /// One client's alone, and servers call it as that client does.
    bool is_own() const { return own_; }
    /// What the table's examiner said of the text.
    std::uint32_t traits() const { return traits_; }
    /// Stands for all that decides what the text means beside the text: statements of different
    /// contexts are different ones.
    std::uint64_t context() const { return context_; }
    /// How often it was asked for, by whomever.
    std::uint32_t uses() const { return uses_.load(std::memory_order_relaxed); }

private:
    friend class StatementTable;
    friend std::string prepare_head(const Statement& statement);
    friend std::string prepare_command(const Statement& statement);
    friend void intrusive_ptr_add_ref(const Statement* statement);
    friend void intrusive_ptr_release(const Statement* statement);

    std::uint64_t id_ = 0;
    std::uint32_t traits_ = 0;
    std::uint64_t context_ = 0;
    mutable std::atomic<std::uint32_t> uses_ = 0;
    std::string query_, types_, server_name_;
    std::string head_, tail_;  // of a PREPARE that is_own(): what query() stands between
    bool own_ = false;
    StatementTable* table_ = nullptr;
    mutable std::atomic<std::uint32_t> references_ = 0;
};

using StatementPtr = boost::intrusive_ptr<const Statement>;

void intrusive_ptr_add_ref(const Statement* statement);
void intrusive_ptr_release(const Statement* statement);

/// Of an is_sql(): the command that prepares it on a server, and what stands there before query().
std::string prepare_command(const Statement& statement);
std::string prepare_head(const Statement& statement);

/// All statements that anybody holds. Thread-safe; lives longer than any of them.
class StatementTable {
public:
    /// Looks at the text of each statement once.
    using Examiner = std::uint32_t (*)(std::string_view query);
    explicit StatementTable(Examiner examiner = nullptr)
        : examiner_(examiner),
          keeps_recent_(examiner != nullptr) {}
    ~StatementTable();

    StatementPtr intern(std::string_view query, Bytes types, std::uint64_t context = 0);
    /// One that is the client's own, whose name servers are to know it by.
    StatementPtr intern_own(const NamedStatement& named);
    /// A context that nothing else has.
    std::uint64_t own_context() { return next_context_.fetch_add(1, std::memory_order_relaxed); }
    std::size_t size() const;

private:
    friend void intrusive_ptr_release(const Statement* statement);
    Statement* make(std::string_view query, Bytes types, std::uint64_t context);
    void release_last(const Statement& statement);

    struct Key {
        std::string_view query;
        Bytes types;
        std::uint64_t context;
        friend bool operator==(const Key&, const Key&) = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const {
            return std::hash<std::string_view>{}(key.query) * 31 + std::hash<Bytes>{}(key.types) +
                   key.context;
        }
    };

    const Examiner examiner_;
    const bool keeps_recent_;
    mutable std::mutex mutex_;
    std::unordered_map<Key, Statement*, KeyHash> statements_;
    std::uint64_t next_id_ = 1;
    // The last ones are kept although nobody holds them, so that their uses are counted.
    std::vector<StatementPtr> recent_;
    std::size_t oldest_ = 0;  // of recent_
    std::atomic<std::uint64_t> next_context_ = 1;
};

/// A client's name for a statement. The client's names and the requests under way share it, so that
/// a reply that comes late still knows what it was about. One thread.
struct NamedStatement {
    NamedStatement(std::string_view called, StatementPtr what)
        : name(called),
          statement(std::move(what)) {}

    std::string name;
    StatementPtr statement;     // empty: the client named a statement that it does not have
    bool gone = false;          // its Parse was undone, or it was discarded: not to come back
    bool agreed = false;        // its Parse was answered
    bool shared = false;        // the unnamed one: it has a name on the server after all
    bool open = false;          // a Parse or Close of it is not answered yet …
    std::uint32_t batch = 0;    // … of this batch (low bits of Pipeline::batch())
    std::uint32_t kept_at = 0;  // Pipeline::discards() when its Parse was last found behind one
    std::uint64_t given = 0;    // by a Parse: Statements::given() then
    std::uint32_t behind = 0;   // of a PREPARE: characters of its text up to where query() begins
    std::string head, tail;     // of a PREPARE that was alone in its text: what was around query()
    std::uint32_t references = 0;
    /// The unnamed one before this, should the server not get to it.
    boost::intrusive_ptr<NamedStatement> before;

    friend void intrusive_ptr_add_ref(NamedStatement* named) { ++named->references; }
    friend void intrusive_ptr_release(NamedStatement* named) {
        if (--named->references == 0) named->end();
    }

private:
    void end();  // not inline: requests, which hold such pointers, come and go all the time
};

using NamedStatementPtr = boost::intrusive_ptr<NamedStatement>;

/// What a statement takes of memory, about.
std::size_t bytes_of(const Statement& statement);

/// The statements a client has prepared, by its own names.
class StatementNames {
public:
    /// Empty pointer when the client has no statement of that name.
    NamedStatementPtr find(std::string_view name) const;
    /// Does nothing when the name is taken.
    void add(NamedStatementPtr named);
    /// Takes the name away if it (still) means this statement.
    void remove(const NamedStatement& named);
    /// Takes away what `is_gone` says, of each NamedStatement&.
    template <class F>
    void erase_if(F is_gone) {
        if (!names_) return;
        std::erase_if(names_->by_name, [&](const auto& item) {
            const std::size_t bytes = bytes_of(*item.second);
            const bool gone = is_gone(*item.second);
            if (gone) names_->bytes -= bytes;
            return gone;
        });
    }
    template <class F>
    void for_each(F visit) const {
        if (!names_) return;
        for (const auto& [name, named] : names_->by_name) visit(*named);
    }
    std::size_t size() const { return names_ ? names_->by_name.size() : 0; }
    /// Of memory, about; texts count with everybody who has them.
    std::size_t bytes() const { return names_ ? names_->bytes : 0; }

private:
    static std::size_t bytes_of(const NamedStatement& named);

    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    struct Names {
        std::unordered_map<std::string_view, NamedStatementPtr, Hash>
            by_name;  // keys live in the values
        std::size_t bytes = 0;
    };
    std::unique_ptr<Names> names_;  // most clients have none, ever
};

/// Which statements one server connection knows, least recently used first to go.
///
/// Invariant: a statement that is not here is not on the server, once it has read what was sent.
/// One that is here need not be there, because its Parse may be skipped: use() tells.
class ServerStatements {
public:
    /// Is it there for certain, for what is sent in batch number `batch` when all before number
    /// `answered` are answered (see Pipeline)? Then it counts as used now.
    bool use(const Statement& statement, std::uint64_t batch, std::uint64_t answered);
    /// It is prepared in batch number `batch`. False when it was here already.
    bool add(StatementPtr statement, std::uint64_t batch);
    /// Its Parse or Close may not have been carried out: nobody knows whether it is there.
    void doubt(const StatementPtr& statement);
    void doubt_all();
    /// The least recently used one beyond `size_max`, taken out; empty when within.
    StatementPtr evict(std::size_t size_max);
    /// Those that are a client's own, or all that are not, taken out.
    std::vector<StatementPtr> take(bool own);
    void clear();
    std::size_t size() const { return places_.size(); }
    /// Is it here, for certain or perhaps?
    bool has(const Statement& statement) const { return places_.contains(&statement); }

    /// The one under the empty name, which every Parse of it replaces and every simple query drops.
    /// Empty: none, or nobody knows.
    void set_unnamed(StatementPtr statement, std::uint64_t batch);
    /// Is it certainly this one? As use().
    bool has_unnamed(const Statement& statement, std::uint64_t batch, std::uint64_t answered) const;

private:
    static constexpr std::uint64_t unknown = ~std::uint64_t{0};
    struct Entry {
        StatementPtr statement;
        std::uint64_t batch;  // in which it was prepared first
    };

    Entry unnamed_{{}, unknown};
    std::list<Entry> used_;  // most recently used first
    std::unordered_map<const Statement*, std::list<Entry>::iterator> places_;
};

}  // namespace pgweir::protocol
