// One connection to a simulated PostgreSQL: the rules of its session and of the protocol, with a
// language of a few statements in the place of SQL, among them all that pgweir itself sends.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocol/frame.hpp"
#include "protocol/replies.hpp"
#include "protocol/requests.hpp"
#include "tests/simulation/node.hpp"

namespace pgweir::simulation {

/// An error of PostgreSQL's.
struct SqlError {
    std::string code, message;
};

/// Resource; its node's.
class Backend final : public Remote {
public:
    Backend(Node& node, WirePtr wire, std::uint32_t pid);

    void heard(std::string_view bytes) override;
    void hung_up() override;

    /// Its process is no more.
    void die(bool politely);
    bool alive() const { return alive_; }
    bool is_app() const { return alive_ && user_ == "app"; }
    std::uint32_t pid() const { return pid_; }
    const std::string& key() const { return key_; }
    /// For the report of what is stuck.
    std::string text() const;
    /// A cancel request has come for it.
    void cancel();
    /// It is told what was committed on its channels, when it is not busy.
    void hear_notices();
    /// What whoever has this session next would find in it besides variables; empty: nothing.
    std::string leftovers() const;
    const Variables& variables() const { return variables_; }
    /// Answers go on: the node does not hang any more, or its writes are safe.
    void go_on();

private:
    struct Portal {
        std::string sql;
    };

    void take();
    void start_up(std::string_view packet);
    void message(const protocol::Frame& frame);
    void query(std::string_view text);
    void parse(const protocol::Parse& parse);
    void bind(const protocol::Bind& bind);
    void execute(const protocol::Execute& execute);
    void describe(const protocol::Target& target);
    /// Runs one statement; rows and tag go to the client. `simple`: with a description of the rows.
    void run(const std::string& sql, bool simple);
    bool run_transaction(const std::string& sql);
    bool run_variables(const std::string& sql, bool simple);
    bool run_statements(const std::string& sql, bool simple);
    bool run_select(const std::string& sql, bool simple);
    bool run_question(const std::string& sql, bool simple);
    bool run_channels(const std::string& sql);
    void write_notices();
    void set_config(const std::string& sql, bool simple);
    void begin_batch();
    void think();
    void insert(const std::string& sql);
    void probe(bool simple);
    void set(const std::string& name, const std::string& value, bool local);
    using Row = std::vector<std::optional<std::string>>;
    void rows(const std::vector<Row>& rows, bool simple, std::size_t columns = 1);
    void tag(std::string_view text);
    void fail(const SqlError& error);
    [[noreturn]] static void raise(std::string code, std::string message);
    void begin(bool read_only);
    void end_transaction(bool commit);
    void commit_channels();
    void end_implicit();
    void report();
    void ready();
    void flush();
    void send_now();

    Node& node_;
    WirePtr wire_;
    const std::uint32_t pid_;
    std::string key_, user_, input_, out_;
    bool alive_ = true, started_ = false;
    bool busy_ = false;       // an answer is being thought about
    bool cancelled_ = false;  // … and is not wanted any more
    bool answering_query_ = false;
    bool waits_for_log_ = false;  // the answer is held until the write is safe
    std::size_t safe_at_ = 0;
    protocol::TxStatus tx_ = protocol::TxStatus::idle;
    bool skipping_ = false;
    bool in_batch_ = false;  // an implicit transaction is open
    bool failed_ = false;    // the message being taken
    bool read_only_ = false;
    Variables variables_;
    Variables::Map reported_;
    std::map<std::string, std::string> statements_;
    std::map<std::string, Portal> portals_;
    std::vector<std::string> pending_;  // writes of the transaction under way
    std::set<int> locks_;
    std::map<std::string, std::size_t> channels_;  // listened to, from that notice on
    std::size_t noticed_ = 0;                      // of the node's notices
    std::vector<Notice> notices_;                  // of the transaction under way
    std::vector<std::string> channel_changes_;     // likewise: "+name", "-name", "-*"
};

}  // namespace pgweir::simulation
