// A server in memory, for tests: PostgreSQL's rules about messages, statements, portals,
// transactions, errors and COPY, with a language of a dozen commands in the place of SQL.
//
//   select X, select $1   one row     begin, commit, rollback    fail      an error when executed
//   rows N                N rows      insert K, count K          nonsense  an error when parsed
//   copy                  COPY in     discard all                notice X, set N V
//   view                  COPY in that fails before it reads     (nothing) an empty query
//   out                   COPY out    deallocate all
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "protocol/frame.hpp"
#include "tests/unit/words.hpp"

namespace pgweir::tests {

/// What is committed; shared by the connections to one database.
using Database = std::map<std::string, int>;

/// One connection. Value.
class FakePostgres {
public:
    explicit FakePostgres(Database& database) : database_(&database) {}

    /// Reads whole messages; keeps what is not whole. Returns what is answered at once.
    std::string read(Bytes bytes) {
        input_ += bytes;
        Bytes rest = input_;
        while (!gone_) {
            const auto cut = protocol::first_frame(rest, 0x7fffffff, protocol::Origin::client);
            if (!cut || !*cut || (*cut)->missing > 0) break;
            take(**cut);
            rest.remove_prefix((*cut)->size());
        }
        input_ = std::string(rest);
        return std::exchange(out_, {});
    }

    /// How many statements it keeps.
    std::size_t statements() const { return statements_.size(); }
    /// It has ended the connection.
    bool gone() const { return gone_; }

private:
    struct Portal {
        std::string text;
        int at = 0;  // rows given already
    };
    enum class Copying { no, simple, extended };

    void say(std::string_view text) { out_ += replies(text); }
    void say_ready() { protocol::write_ready_for_query(out_, tx_); }

    void fail(std::string_view code, const std::string& message) {
        const std::string word = "\"" + escaped(message) + "\"";
        say("ErrorResponse ERROR " + std::string(code) + ' ' + word);
        if (tx_ == protocol::TxStatus::transaction) tx_ = protocol::TxStatus::failed;
        pending_.clear();
        portals_.clear();
        failed_ = true;
    }

    static std::string escaped(const std::string& text) {
        std::string out;
        for (const char c : text) out += c == '"' ? "\\\"" : std::string(1, c);
        return out;
    }

    void end_implicit() {
        if (tx_ != protocol::TxStatus::idle) return;
        for (const auto& [key, count] : pending_) (*database_)[key] += count;
        pending_.clear();
        portals_.clear();
    }

    void take(const protocol::Frame& frame) {
        if (copying_ != Copying::no) return take_copy(frame);
        if (skipping_ && frame.type != 'S') return;
        failed_ = false;
        switch (frame.type) {
            case 'Q': query(*protocol::read_query(frame.payload)); return;
            case 'S':
                skipping_ = false;
                end_implicit();
                return say_ready();
            case 'F': return function_call(*protocol::read_function_call(frame.payload));
            case 'P': parse(*protocol::read_parse(frame.payload)); break;
            case 'B': bind(*protocol::read_bind(frame.payload)); break;
            case 'D': describe(*protocol::read_target(frame.payload)); break;
            case 'E': execute(*protocol::read_execute(frame.payload)); break;
            case 'C': close(*protocol::read_target(frame.payload)); break;
            case 'X': gone_ = true; break;
            default: break;  // Flush, and what is left of a COPY
        }
        skipping_ = failed_;
    }

    void take_copy(const protocol::Frame& frame) {
        switch (frame.type) {
            case 'H':
            case 'S': return;
            case 'd':
                if (frame.payload != "bad") return void(++copied_);
                fail("22P04", "bad data");
                break;
            case 'c': say("CommandComplete 'COPY " + std::to_string(copied_) + "'"); break;
            case 'f': fail("57014", "COPY from stdin failed"); break;
            default:
                say("ErrorResponse FATAL 08P01 'terminating connection'");
                gone_ = true;
                return;
        }
        end_copy();
    }

    void end_copy() {
        const Copying kind = std::exchange(copying_, Copying::no);
        copied_ = 0;
        if (kind == Copying::extended) {
            skipping_ = failed_;
        } else {
            go_on();
        }
    }

    // ------------------------------------------------------------ simple protocol

    void query(std::string_view text) {
        statements_.erase("");
        rest_.clear();
        std::size_t at = 0;
        while (at <= text.size()) {
            const std::size_t end = std::min(text.find("; ", at), text.size());
            rest_.emplace_back(text.substr(at, end - at));
            at = end + 2;
        }
        const bool nonsense = std::find(rest_.begin(), rest_.end(), "nonsense") != rest_.end();
        if (nonsense) fail("42601", "syntax error");
        go_on();
    }

    /// The statements of a simple query that are left, unless one failed or copies.
    void go_on() {
        while (!failed_ && copying_ == Copying::no && !rest_.empty()) {
            const std::string text = rest_.front();
            rest_.erase(rest_.begin());
            if (aborted(text)) break;
            if (returns_rows(text)) say("RowDescription c");
            Portal portal{text};
            run(portal, {}, 0, Copying::simple);
        }
        if (copying_ != Copying::no) return;
        rest_.clear();
        end_implicit();
        say_ready();
    }

    void function_call(const protocol::FunctionCall& call) {
        if (!aborted("function")) {
            if (call.function_oid == 0) {
                fail("42883", "function does not exist");
            } else {
                say("FunctionCallResponse " + std::to_string(call.function_oid));
            }
        }
        end_implicit();
        say_ready();
    }

    // ------------------------------------------------------------ extended protocol

    static std::string quoted(std::string_view name) { return " \"" + std::string(name) + "\""; }

    bool aborted(const std::string& text) {
        if (tx_ != protocol::TxStatus::failed || text == "rollback" || text == "commit")
            return false;
        fail("25P02", "current transaction is aborted");
        return true;
    }

    void parse(const protocol::Parse& parse) {
        const std::string text(parse.query);
        if (parse.name.empty()) statements_.erase("");
        if (text == "nonsense") return fail("42601", "syntax error");
        if (aborted(text)) return;
        if (!parse.name.empty() && statements_.contains(std::string(parse.name))) {
            return fail("42P05", "prepared statement" + quoted(parse.name) + " already exists");
        }
        statements_[std::string(parse.name)] = text;
        say("ParseComplete");
    }

    const std::string* statement(std::string_view name) {
        const auto found = statements_.find(std::string(name));
        if (found != statements_.end()) return &found->second;
        fail("26000", name.empty() ? "unnamed prepared statement does not exist"
                                   : "prepared statement" + quoted(name) + " does not exist");
        return nullptr;
    }

    void bind(const protocol::Bind& bind) {
        const std::string* const text = statement(bind.statement);
        if (!text) return;
        if (aborted(*text)) return;  // PostgreSQL counts parameters first; see describe()
        const std::size_t wanted = text->find("$1") == std::string::npos ? 0 : 1;
        if (bind.values.size() != wanted) {
            return fail("08P01", "wrong number of parameters for prepared statement" +
                                     quoted(bind.statement));
        }
        if (!bind.portal.empty() && portals_.contains(std::string(bind.portal))) {
            return fail("42P03", "cursor" + quoted(bind.portal) + " already exists");
        }
        Portal portal{*text};
        if (wanted == 1) portal.text = "select " + std::string(bind.values[0].value_or("null"));
        portals_[std::string(bind.portal)] = portal;
        say("BindComplete");
    }

    void describe(const protocol::Target& target) {
        const std::string name(target.name);
        if (target.kind == 'S') {
            const std::string* const text = statement(name);
            if (!text) return;
            // PostgreSQL still describes what returns no rows; through a link that depends on
            // whether the statement is on the server already.
            if (aborted("describe")) return;
            say(text->find("$1") == std::string::npos ? "ParameterDescription"
                                                      : "ParameterDescription [25]");
            return say(returns_rows(*text) ? "RowDescription c" : "NoData");
        }
        const auto found = portals_.find(name);
        if (found == portals_.end())
            return fail("34000", "portal" + quoted(name) + " does not exist");
        say(returns_rows(found->second.text) ? "RowDescription c" : "NoData");
    }

    void execute(const protocol::Execute& execute) {
        const auto found = portals_.find(std::string(execute.portal));
        if (found == portals_.end()) {
            return fail("34000", "portal" + quoted(execute.portal) + " does not exist");
        }
        if (aborted(found->second.text)) return;
        Portal& portal = found->second;
        run(portal, std::string(execute.portal), execute.rows_max, Copying::extended);
    }

    void close(const protocol::Target& target) {
        if (target.kind == 'S') statements_.erase(std::string(target.name));
        if (target.kind == 'P') portals_.erase(std::string(target.name));
        say("CloseComplete");
    }

    // ------------------------------------------------------------ commands

    static bool returns_rows(const std::string& text) {
        return text.starts_with("select") || text.starts_with("rows") || text.starts_with("count");
    }

    void run(Portal& portal, const std::string& name, int rows_max, Copying kind) {
        const std::string text = portal.text;
        const std::string verb = text.substr(0, text.find(' '));
        const std::string rest = verb.size() == text.size() ? "" : text.substr(verb.size() + 1);
        if (text.empty()) return say("EmptyQueryResponse");
        if (verb == "select") return rows({rest});
        if (verb == "count") return rows({std::to_string((*database_)[rest] + pending_[rest])});
        if (verb == "rows") return some_rows(portal, std::stoi(rest), rows_max);
        if (verb == "insert") return ++pending_[rest], say("CommandComplete 'INSERT 0 1'");
        if (verb == "fail") return fail("XX001", "failed");
        if (verb == "begin") return transaction(protocol::TxStatus::transaction, "BEGIN");
        if (verb == "commit" || verb == "rollback") return end_transaction(verb == "commit");
        if (verb == "notice") {
            return say("NoticeResponse NOTICE 00000 '" + rest + "'; CommandComplete DO");
        }
        if (verb == "set") return say("ParameterStatus " + rest + "; CommandComplete SET");
        if (text == "deallocate all" || text == "discard all") return discard(verb, name);
        if (verb == "out") {
            return say(
                "CopyOutResponse; CopyData 1; CopyData 2; CopyDone; CommandComplete 'COPY 2'");
        }
        say("CopyInResponse");
        if (verb == "view") return fail("42809", "cannot copy to view");
        copying_ = kind;
    }

    void rows(const std::vector<std::string>& values) {
        for (const std::string& value : values) say("DataRow '" + value + "'");
        say("CommandComplete 'SELECT " + std::to_string(values.size()) + "'");
    }

    void some_rows(Portal& portal, int count, int rows_max) {
        const int end = rows_max > 0 ? std::min(count, portal.at + rows_max) : count;
        const int before = portal.at;
        while (portal.at < end) say("DataRow " + std::to_string(++portal.at));
        if (rows_max > 0 && portal.at - before == rows_max) return say("PortalSuspended");
        say("CommandComplete 'SELECT " + std::to_string(portal.at - before) + "'");
    }

    void transaction(protocol::TxStatus status, std::string_view tag) {
        tx_ = status;
        say("CommandComplete " + std::string(tag));
    }

    void end_transaction(bool commit) {
        const bool was_failed = tx_ == protocol::TxStatus::failed;
        if (!commit || was_failed) pending_.clear();
        tx_ = protocol::TxStatus::idle;
        end_implicit();
        say(commit && !was_failed ? "CommandComplete COMMIT" : "CommandComplete ROLLBACK");
    }

    void discard(const std::string& verb, const std::string&) {
        if (verb == "discard" && tx_ != protocol::TxStatus::idle) {
            return fail("25001", "DISCARD ALL cannot run inside a transaction block");
        }
        std::erase_if(statements_, [](const auto& item) { return !item.first.empty(); });
        if (verb == "discard") portals_.clear();
        say(verb == "discard" ? "CommandComplete 'DISCARD ALL'"
                              : "CommandComplete 'DEALLOCATE ALL'");
    }

    Database* database_;
    Database pending_;  // of the transaction under way
    std::map<std::string, std::string> statements_;
    std::map<std::string, Portal> portals_;
    std::vector<std::string> rest_;  // of a simple query
    protocol::TxStatus tx_ = protocol::TxStatus::idle;
    Copying copying_ = Copying::no;
    int copied_ = 0;
    bool skipping_ = false;
    bool failed_ = false;  // the message being taken
    bool gone_ = false;
    std::string input_, out_;
};

}  // namespace pgweir::tests
