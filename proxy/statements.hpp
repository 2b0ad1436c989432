// What a client has prepared, and getting it onto whatever server the client has.
#pragma once

#include <optional>
#include <vector>

#include "pool/backend.hpp"
#include "protocol/replies.hpp"
#include "protocol/requests.hpp"
#include "proxy/query_notes.hpp"
#include "proxy/session.hpp"
#include "router/plain.hpp"
#include "router/recent_texts.hpp"

namespace pgweir::proxy {

using protocol::Bytes;
using protocol::Result;
using protocol::Segments;

/// What applies to a client's requests.
struct RequestRules {
    /// Statements a server keeps for all clients together; 0: names are passed on as they are
    /// (session mode, or max_prepared_statements = 0).
    std::size_t server_max = 0;
    protocol::StatementTable* table = nullptr;
    std::size_t message_max = protocol::payload_size_max;  // bytes of payload: max_packet_size
    bool simple_query = true;        // false: Query messages are refused (disable_pqexec)
    Session* session = nullptr;      // what is sent is noted here; nullptr: nowhere
    std::uint64_t client = 0;        // who sends it: Backend::sequences_of
    std::uint64_t schema_epoch = 0;  // goes up when the schema changes
    /// What a client without a server is in, for all it knows.
    protocol::TxStatus alone = protocol::TxStatus::idle;
    /// From so many bytes on nothing is taken that is not of the request under way.
    std::size_t unit_end = std::string_view::npos;
    bool cache_unnamed = false;            // unnamed statements are shared when they are repeated
    QueryNotes* queries = nullptr;         // told what is sent; nullptr: nobody wants to know
    router::RecentTexts* texts = nullptr;  // by which texts are known again; nullptr: none are

    std::string_view sql{};       // a text in the input that was looked at before …
    router::Familiar familiar{};  // … and what it is

    router::Familiar look_at(Bytes text) const {
        if (text.data() == sql.data() && text.size() == sql.size()) return familiar;
        return texts ? texts->look_at(text) : router::Familiar{router::is_plain(text), 0};
    }
};

/// One step of translating requests: where to, and what came of it.
struct Translation {
    const RequestRules& rules;
    pool::Backend& server;
    Segments& out;
    // For the statistics, of statements with names, as in PgBouncer: Parse messages taken from the
    // client and sent to the server, Binds.
    unsigned client_parses = 0, server_parses = 0, binds = 0;
    protocol::StatementPtr unsent = {};           // the first request was a Parse of it, left out
    std::optional<protocol::Error> refusal = {};  // 08P01 for what is no message

    protocol::Pipeline& pipeline() const { return server.pipeline(); }
};

/// The names a client has given, the empty one included. A name is given and taken back when the
/// request is sent, not when the server has agreed; what hangs on an answer that is still to come
/// is therefore asked for with find() first. Value; pure.
class Statements {
public:
    /// What a name means when it is asked for now.
    struct Found {
        protocol::NamedStatementPtr named;  // empty: nothing, or the server's unnamed one
        /// An answer still to come decides whether there is such a statement, and which. Within a
        /// batch none does: after a failure nothing of it is carried out.
        bool undecided = false;
    };
    Found find(std::string_view name, const pool::Backend& server);

    /// A Parse, whole; `whole` is the message. False: undecided, nothing was done.
    bool parse(Translation& step, const protocol::Parse& parse, Bytes whole);
    /// An unnamed Parse too large to be kept: the statement lasts as long as the server is ours.
    void parse_unkept(Translation& step);
    /// Gets what was found on the server, by the time that reads what follows. Returns what the
    /// server is to be told; empty: the client's own words.
    protocol::NamedStatementPtr resolve(Translation& step, Found found, std::string_view name);
    /// A Close of what was found.
    void close(Translation& step, const Found& found, std::string_view name, Bytes whole);

    /// Does what a text names hang on an answer that is still to come?
    bool undecided(const router::Details& details, const pool::Backend& server);
    /// A text that names statements, with the server's names in it; unknown ones are left as they
    /// are.
    struct Renamed {
        std::string sql;
        protocol::RenamesPtr renames;
    };
    /// A simple query; what it names is on the server by the time it reads it.
    Renamed rename_query(Translation& step, std::string_view sql, const router::Details& details);
    /// The same for a prepared PREPARE, EXECUTE or DEALLOCATE, which means what the names mean when
    /// it is bound: what to bind or describe in its place, and what its Execute will do.
    /// nullopt: undecided, nothing was done.
    struct Bound {
        protocol::NamedStatementPtr named;
        protocol::RenamesPtr renames;
    };
    std::optional<Bound> rename_bound(Translation& step, const protocol::NamedStatementPtr& named,
                                      const router::Details& details);
    /// The Execute.
    void execute(Translation& step, const protocol::Renames& renames);

    /// A simple query is sent: PostgreSQL drops the unnamed statement. `discards`: and perhaps all.
    void simple_query(pool::Backend& server, bool discards);
    /// From here on the server knows the client's statements, and no others, by the client's own
    /// names: for what shows the names that there are, or runs text that may have one of them. The
    /// session has to keep the server as long as there are any. `simple`: a Query is to follow,
    /// else the rest of a batch. False: undecided, nothing was done.
    bool take_own_names(Translation& step, bool simple);
    bool has_own_names() const { return own_names_; }
    /// The server is not ours any more (nullptr: it is lost): names are shared again.
    void share_names(protocol::StatementTable& table, pool::Backend* server);

    /// The server goes back to its pool.
    void released() { unkept_on_ = nullptr; }

    /// Requests that the server did not carry out take their effect on the client's names back;
    /// after DISCARD ALL the names go, but for those prepared behind it.
    void undo(std::vector<protocol::Outstanding>& undone);
    void discard_all(const protocol::Pipeline& pipeline);

    const protocol::StatementNames& names() const { return names_; }
    /// Of memory, about.
    std::size_t bytes() const;
    /// What a name stands for; nullptr: nothing, or it is not known. Until the name changes.
    const protocol::Statement* meant_by(std::string_view name) const;
    /// Names that came by a Parse, so far.
    std::uint64_t given() const { return given_; }
    /// The name is free again, whatever servers have.
    void forget(std::string_view name);
    /// The same, if a Parse gave it after so many others.
    void forget_given(std::string_view name, std::uint64_t after);
    /// Every one that has a text, the unnamed one included; and taking over what another process
    /// had of a client.
    std::vector<protocol::NamedStatementPtr> all() const;
    void take_in(std::string_view name, protocol::StatementPtr statement);

private:
    void parse_unnamed(Translation& step, const protocol::Parse& parse, Bytes whole);
    static bool is_worth_sharing(const Translation& step, const protocol::Statement& statement);
    void parse_twice(Translation& step, const protocol::Parse& parse);
    void prepare(Translation& step, const protocol::StatementPtr& statement,
                 const protocol::NamedStatementPtr& named);
    static void prepare_by_sql(Translation& step, const protocol::StatementPtr& statement);
    static void prepare_for_query(Translation& step, const protocol::StatementPtr& statement);
    template <class OnName, class OnEffect>
    Renamed rename(const Translation& step, std::string_view sql, const router::Details& details,
                   OnName found, OnEffect made);
    protocol::NamedStatementPtr new_name(const Translation& step, std::string_view sql,
                                         const router::Details::Prepared& item, bool alone);
    void take_effect(Translation& step, const protocol::Renames::Item& item, std::uint32_t batch);
    protocol::NamedStatementPtr resolve_unnamed(Translation& step);
    void undo_parse(const protocol::Outstanding& o);
    void undo_renames(const protocol::Renames& renames);

    protocol::StatementNames names_;  // but for the empty one
    protocol::NamedStatementPtr unnamed_;
    std::uint64_t given_ = 0;
    std::vector<protocol::NamedStatementPtr> closing_;  // taken away, if the server agrees
    const pool::Backend* unkept_on_ = nullptr;  // that has an unnamed statement we did not keep
    bool discarding_ = false;                   // a simple query under way may discard every name
    bool own_names_ = false;                    // take_own_names()
};

/// Is it certainly on the server, by the time that reads what is sent now? It counts as used then.
bool is_prepared(const protocol::Statement& statement, pool::Backend& server);

/// What the server is told when a name is asked for.
std::string_view name_on_server(const protocol::NamedStatement& named);

}  // namespace pgweir::proxy
