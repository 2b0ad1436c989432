// What a client may rely on while it meets one server after the other: session_state = "track".
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/vars.hpp"
#include "proxy/function_book.hpp"
#include "proxy/text_traits.hpp"
#include "router/traces.hpp"

namespace pgweir::proxy {

/// Why a client keeps its server between transactions: bits of router::trace, pin_custom and this.
inline constexpr router::Traces pin_unknown = 1u << 31;  // the server could not be asked

/// What goes with a server, and no other server can be given.
inline constexpr router::Traces lost_with_server =
    router::trace::locks | router::trace::temporary | router::trace::cursors |
    router::trace::random_seed | router::trace::library | pin_unknown;

/// The words of SHOW PINS, with commas between.
std::string pin_text(router::Traces pins);

/// The text of what is sent says what to ask; the server says what is so. Once a transaction is
/// over whose statements may have left something in the session, the server is asked about just
/// that, with one query, before anybody else can have it: which values variables have now (they
/// follow the client), and whether there are locks, temporary objects, held cursors and the like
/// (they pin the client to the server until a later question says that they are gone).
/// Value; no sockets, no clock.
class Session {
public:
    /// `startup` is what a RESET gives back, and the first values. `own`: those start-up
    /// values that new servers do not have. `user` is whose the servers are; it outlives us.
    Session(protocol::VarTable& table, FunctionBook& book, protocol::Vars startup,
            protocol::Vars own, const std::string& user);
    Session(protocol::VarTable&, FunctionBook&, protocol::Vars, protocol::Vars,
            std::string&&) = delete;

    /// A statement is sent, with what traces_in() or traits_of() say, and the payload of its Bind
    /// where it has one.
    void note(std::string_view sql, router::Traces traits, std::string_view bind = {});
    /// The same for one that names prepared statements, which follow the client by themselves.
    void note_naming(std::string_view sql, router::Traces traits);
    /// One whose text was not looked at.
    void note_unread();
    /// The server has the client's statements under the client's own names, and keeps them.
    void note_own_names();
    void shares_names() { own_names_ = false; }

    /// Rows were inserted, and with them perhaps a nextval() called.
    void inserted() { touch_sequences(); }
    /// Rows are written: what runs behind that may leave something.
    void wrote() {
        if (!book_->writes_leave_nothing) note_behind_writes();
    }
    /// Was nextval() called, or may it have been, since it was last asked?
    bool take_sequences() { return std::exchange(sequences_, false); }
    /// Does it ask, or change, what currval() and lastval() tell, where anybody asks for that?
    bool minds_sequences(router::Traces traits) const;
    /// Nothing but currval() and lastval() keeps the server: they can do without when others wait.
    bool may_give_way() const {
        return (pins_ & ~router::trace::channels) == router::trace::sequences && !unsettled();
    }
    void give_way() { pins_ &= ~router::trace::sequences; }

    /// Variables of its own: a RESET at a server does not give them back.
    bool has_own() const { return !own_->entries().empty(); }
    /// SQL that does, right behind a text of one statement; empty: it resets none of them.
    std::string giving_back(std::string_view sql) const;

    /// Must the server be asked before it may have another client?
    bool unsettled() const { return notes_ && !notes_->open.empty(); }
    /// What keeps the server with the client, once nothing is unsettled.
    router::Traces pins() const { return pins_; }
    /// Something that nothing takes out of a server again: nobody else can have it.
    bool spoils_server() const { return (pins_ & spoiling) != 0; }

    /// What the meaning of a text hangs on beside the text: variables, and the schema, of which
    /// `schema_epoch` counts the changes. nullopt: that is not known, or nobody else's.
    std::optional<std::uint64_t> context(std::uint64_t schema_epoch) const;
    /// What the server listens to, once after each answer about that; and what the text of the
    /// statements did about it since the last one.
    struct Channels {
        std::vector<std::string> there;
        std::vector<router::Details::Channel> changes;
    };
    std::optional<Channels> take_channels();
    /// A statement that was sent may LISTEN or notify.
    bool may_listen() const { return may_listen_; }
    bool take_may_notify() { return std::exchange(may_notify_, false); }
    /// The server has been made to listen, or to listen no more.
    void listens_again() { notes().open.about |= router::trace::channels; }
    void listens_no_more() { pins_ &= ~router::trace::channels; }
    /// By this client, in a transaction that is not over.
    void schema_changed() { local_ = true; }
    void transaction_over() {
        local_ = false;
        if (notes_) forget_before();
    }

    /// What is unsettled, as SQL. The transaction is over. What is noted before the answer comes
    /// is for the next question.
    /// `failed`: of what was sent, something has failed, and what it was to set may not be set.
    std::string ask(bool failed = false);
    /// The answer to what was asked may show a server without what a RESET gives the client.
    bool resets() const { return notes_ && notes_->asked.all_variables; }
    using Row = std::vector<std::optional<std::string>>;
    /// What it gave. `fresh` is what servers have when they are new; `have` is what this one had
    /// and, afterwards, has.
    void answer(const std::vector<Row>& rows, const protocol::Vars& fresh, protocol::Vars& have);
    /// It gave an error.
    void no_answer();
    /// It was cancelled: the next ask() says it again. False: so it was the last time, and is not
    /// to be tried for ever, because it may be the client's own statement_timeout.
    bool ask_again();
    /// The answer is still to come, and with it what the client has been told that it has.
    bool waits_for_state() const {
        constexpr router::Traces state =
            router::trace::variables | router::trace::channels | lost_with_server;
        return notes_ && (notes_->asked.about & state) != 0;
    }
    /// The server is gone, and with it what pinned the client to it, and what it has reported in a
    /// transaction that was not over.
    void server_lost();

    /// What the client was promised.
    const protocol::Vars& vars() const { return vars_; }
    /// What its statements do that it has PREPAREd.
    Doings prepared() const { return notes_ ? notes_->prepared : Doings(); }
    /// It was another process's, which says what it has.
    void move_in(protocol::Vars vars, router::Traces pins, Doings prepared) {
        vars_ = std::move(vars);
        pins_ = pins;
        if (!prepared.empty()) notes().prepared = std::move(prepared);
    }
    /// What a RESET gives back.
    const protocol::Vars& startup() const { return startup_; }
    const protocol::Vars& own() const { return own_; }
    /// The server reported a variable of its own accord.
    void report(std::string_view name, std::string_view value);

private:
    static constexpr router::Traces spoiling = router::trace::random_seed | router::trace::library;

    /// What is to be asked.
    struct Question {
        router::Traces about = 0;            // variables, locks, temporary, cursors …
        std::vector<std::string> variables;  // by name
        bool all_variables = false;          // all that a SET has changed
        bool set_only = false;               // of `variables` those that a SET has changed
        bool reset_all = false;              // said by a text of several statements …
        std::vector<std::string> resets;     // … or RESET of these
        std::vector<std::string> functions;  // that the book does not know: asked about first

        bool empty() const { return about == 0 && functions.empty(); }
        void add(const Question& other);
    };

    /// What most clients have none of, most of the time: it is made with the first of it, and
    /// dropped with the last.
    struct Notes {
        Question open, asked;
        std::optional<std::vector<std::string>> channels;  // in the last answer
        std::vector<router::Details::Channel> changes;
        int rounds = 0;         // of questions about functions, one leading to the next
        Doings prepared;        // of what the client has PREPAREd
        protocol::Vars before;  // when the transaction began, if it has been told other ones since

        bool empty() const {
            return open.empty() && asked.empty() && !channels && changes.empty() &&
                   prepared.empty() && !before;
        }
    };
    Notes& notes();
    void tidy_notes();
    void forget_before();

    void touch_sequences();
    void note_behind_writes();
    void note_traces(std::string_view sql, router::Traces traces, std::string_view bind);
    bool merge(const Doings& doings);
    std::string state_question(const Question& asked) const;
    std::string variables_question(const Question& asked) const;
    void learn_functions(const std::vector<Row>& rows);
    void take_variables(const Question& asked, const std::vector<Row>& rows,
                        const protocol::Vars& fresh, protocol::Vars& have);
    std::vector<std::string> variables_to_ask(const Question& asked) const;
    protocol::Vars promised_when_reset(const Question& asked, const protocol::VarSet& fresh) const;

    protocol::VarTable* table_;
    FunctionBook* book_;
    protocol::Vars startup_, own_, vars_;
    const std::string* user_;
    std::unique_ptr<Notes> notes_;
    mutable const void* hashed_ = nullptr;  // vars_ of which hash_ is
    mutable std::uint64_t hash_ = 0;
    router::Traces pins_ = 0;     // found the last time
    mutable bool warns_ = false;  // PostgreSQL has something to say whenever it reads a text
    bool sequences_ = false;
    bool local_ = false;  // for the rest of the transaction a text may mean something else
    bool may_listen_ = false, may_notify_ = false;
    bool asked_twice_ = false;
    bool own_names_ = false;  // note_own_names(), until the server is somebody else's
};

}  // namespace pgweir::proxy
