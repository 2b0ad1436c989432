// What a client says, and what PostgreSQL would make of it.
#include <array>

#include <fmt/format.h>

#include "protocol/requests.hpp"
#include "tests/simulation/client.hpp"
#include "tests/simulation/world.hpp"

namespace pgweir::simulation {

using protocol::TxStatus;

Client::Unit Client::simple(const std::string& sql, std::vector<std::string> answers,
                            char ready) const {
    Unit unit{.bytes = {}, .expected = std::move(answers)};
    protocol::write_query(unit.bytes, sql);
    unit.expected.push_back(std::string("Z:") + ready);
    return unit;
}

Client::Unit Client::echo() {
    const std::string text = token("e");
    const bool reads = dice_.one_in(3);
    return simple((reads ? "/* pgweir: replica */ select '" : "select '") + text + "'",
                  {"T", "D:" + text, "C:SELECT 1"}, status());
}

Client::Unit Client::extended_echo() {
    const std::string text = token("x");
    Unit unit{.bytes = {},
              .expected = {"1", "2", "T", "D:" + text, "C:SELECT 1", std::string("Z:") + status()}};
    const protocol::Value value = text;
    protocol::write_parse(unit.bytes, "", "select $1::text");
    protocol::write_bind(unit.bytes, "", "", {&value, 1});
    protocol::write_describe(unit.bytes, 'P', "");
    protocol::write_execute(unit.bytes, "");
    protocol::write_sync(unit.bytes);
    return unit;
}

/// A prepared statement of the protocol's: given, used, given twice, used without, or closed.
Client::Unit Client::named() {
    const std::string name = fmt::format("s{}", dice_.below(3));
    const auto known = protocol_names_.find(name);
    const std::string ready = std::string("Z:") + status();
    Unit unit;
    if (known != protocol_names_.end() && dice_.one_in(5)) {
        protocol::write_close(unit.bytes, 'S', name);
        protocol::write_sync(unit.bytes);
        unit.expected = {"3", ready};
        unit.effect = [this, name] { protocol_names_.erase(name); };
        unit.stateful = true;
        return unit;
    }
    std::string gives;
    if (known == protocol_names_.end() && dice_.one_in(12)) {  // one that does not become its own
        protocol::write_parse(unit.bytes, name, "selec 1");
        protocol::write_bind(unit.bytes, "", name);
        protocol::write_execute(unit.bytes, "");
        protocol::write_sync(unit.bytes);
        return failing(std::move(unit), {"E:42601"});
    }
    if (known == protocol_names_.end()) {
        // Every client has texts of its own behind the same names, and some in common.
        gives = dice_.one_in(2) ? fmt::format("common {}", dice_.below(4)) : token("p");
        protocol::write_parse(unit.bytes, name, "select '" + gives + "'");
        unit.expected = {"1"};
        unit.stateful = true;
    } else if (tx_ == TxStatus::idle && !world_.troubled() && dice_.one_in(8)) {
        protocol::write_parse(unit.bytes, name, "select 'again'");
        protocol::write_sync(unit.bytes);
        unit.expected = {"E:42P05", ready};
        return unit;
    } else {
        gives = known->second;
    }
    protocol::write_bind(unit.bytes, "", name);
    protocol::write_execute(unit.bytes, "");
    protocol::write_sync(unit.bytes);
    for (const std::string& next :
         {std::string("2"), "D:" + gives, std::string("C:SELECT 1"), ready})
        unit.expected.push_back(next);
    unit.effect = [this, name, gives] { protocol_names_[name] = gives; };
    return unit;
}

/// The same in SQL.
Client::Unit Client::prepared() {
    const std::string name = fmt::format("q{}", dice_.below(2));
    const auto known = sql_names_.find(name);
    if (known == sql_names_.end()) {
        const std::string gives = token("q");
        Unit unit =
            simple("prepare " + name + " as select '" + gives + "'", {"C:PREPARE"}, status());
        unit.effect = [this, name, gives] { sql_names_[name] = gives; };
        unit.stateful = true;
        return unit;
    }
    if (dice_.one_in(4)) {
        Unit unit = simple("deallocate " + name, {"C:DEALLOCATE"}, status());
        unit.effect = [this, name] { sql_names_.erase(name); };
        unit.stateful = true;
        return unit;
    }
    return simple("execute " + name, {"T", "D:" + known->second, "C:SELECT 1"}, status());
}

Client::Unit Client::insert() {
    const std::string text = token("w");
    Unit unit;
    if (dice_.one_in(2)) {
        unit = simple("insert into t values ('" + text + "')", {"C:INSERT 0 1"}, status());
    } else {
        const protocol::Value value = text;
        protocol::write_parse(unit.bytes, "", "insert into t values ($1)");
        protocol::write_bind(unit.bytes, "", "", {&value, 1});
        protocol::write_execute(unit.bytes, "");
        protocol::write_sync(unit.bytes);
        unit.expected = {"1", "2", "C:INSERT 0 1", std::string("Z:") + status()};
    }
    unit.writes = {text};
    if (tx_ == TxStatus::idle) {
        unit.effect = [this, text] {
            world_.settle(text, Fate::done);
            known_.push_back(text);
        };
    } else {
        pending_.push_back(text);
    }
    return unit;
}

/// Reads what it has written: there, if it was told so, and wherever it is read.
Client::Unit Client::look() {
    if (known_.empty()) return echo();
    const std::string& text = dice_.one_in(2) ? known_.back() : dice_.pick(known_);
    const char* const there = world_.fate(text) == Fate::done ? "D:1" : "D:0";
    const bool hinted = tx_ == TxStatus::idle && !dice_.one_in(3);
    return simple(std::string(hinted ? "/* pgweir: replica */ " : "") +
                      "select count(*) from t where k = '" + text + "'",
                  {"T", there, "C:SELECT 1"}, status());
}

Client::Unit Client::variable() {
    static constexpr std::array names{"work_mem", "lock_timeout", "application_name", "TimeZone"};
    static constexpr std::array<std::array<const char*, 3>, 4> values{
        {{"1MB", "2MB", "3MB"}, {"1s", "2s", "0"}, {"one", "two", ""}, {"UTC", "CET", "EST"}}};
    const auto which = static_cast<std::size_t>(dice_.below(4));
    const std::string name = names[which];
    const std::string value = values[which][static_cast<std::size_t>(dice_.below(3))];
    const bool open = tx_ != TxStatus::idle;
    if (dice_.one_in(2))
        return simple("show " + name, {"T", "D:" + variables_.get(name), "C:SHOW"}, status());
    Unit unit;
    if (open && dice_.one_in(2)) {
        unit = simple("set local " + name + " = '" + value + "'", {"C:SET"}, status());
        unit.effect = [this, name, value] { variables_.set_local(name, value); };
    } else if (dice_.one_in(5) && !(world_.session_mode() && name == "application_name")) {
        unit = simple("reset " + name, {"C:RESET"}, status());
        unit.effect = [this, name] { variables_.reset(name), sets_ = true; };
    } else {
        unit = simple("set " + name + " = '" + value + "'", {"C:SET"}, status());
        unit.effect = [this, name, value] { variables_.set(name, value), sets_ = true; };
    }
    unit.stateful = !open;
    return unit;
}

Client::Unit Client::mistake() {
    const bool parses = dice_.one_in(2);
    if (dice_.one_in(2)) return failing_batch();
    Unit unit;
    protocol::write_query(unit.bytes, parses ? "select 1/0" : "selec 1");
    return failing(std::move(unit), {parses ? "E:22012" : "E:42601"});
}

/// In the middle of it: what comes behind is read over, and gives no name.
Client::Unit Client::failing_batch() {
    Unit unit;
    std::vector<std::string> answers;
    const auto execute = [&](const std::string& sql) {
        protocol::write_parse(unit.bytes, "", sql);
        protocol::write_bind(unit.bytes, "", "");
        protocol::write_execute(unit.bytes, "");
    };
    if (dice_.one_in(2)) {
        const std::string text = token("b");
        execute("select '" + text + "'");
        answers = {"1", "2", "D:" + text, "C:SELECT 1"};
    }
    execute("select 1/0");
    for (const char* const answer : {"1", "2", "E:22012"}) answers.emplace_back(answer);
    const std::string name = fmt::format("s{}", dice_.below(3));
    if (!protocol_names_.contains(name)) {
        protocol::write_parse(unit.bytes, name, "select 'never'");
        protocol::write_bind(unit.bytes, "", name);
        protocol::write_execute(unit.bytes, "");
    }
    protocol::write_sync(unit.bytes);
    return failing(std::move(unit), std::move(answers));
}

/// `unit` is answered so, the last of it an error.
Client::Unit Client::failing(Unit unit, std::vector<std::string> answers) {
    const bool open = tx_ != TxStatus::idle;
    unit.expected = std::move(answers);
    unit.expected.emplace_back(open ? "Z:E" : "Z:I");
    if (open) {
        unit.effect = [this] {
            tx_ = TxStatus::failed;
            for (const std::string& write : pending_) world_.settle(write, Fate::failed);
            pending_.clear();
        };
    }
    return unit;
}

/// An advisory lock nobody else wants; it is lost with the server, and so is the connection then.
Client::Unit Client::lock() {
    const std::string key = std::to_string(number_);
    if (locks_.contains(number_)) {
        Unit unit =
            simple("select pg_advisory_unlock(" + key + ")", {"T", "D:t", "C:SELECT 1"}, status());
        unit.effect = [this] { locks_.clear(); };
        unit.stateful = true;
        return unit;
    }
    Unit unit = simple("select pg_advisory_lock(" + key + ")", {"T", "D:", "C:SELECT 1"}, status());
    unit.effect = [this] { locks_.insert(number_); };
    unit.stateful = true;
    return unit;
}

Client::Unit Client::listening() {
    const std::string channel = fmt::format("c{}", dice_.below(3));
    if (!channels_.empty() && dice_.one_in(3)) {
        const bool all = dice_.one_in(3);
        Unit unit = simple(all ? "unlisten *" : "unlisten " + channel, {"C:UNLISTEN"}, 'I');
        unit.effect = [this, all, channel] {
            all ? channels_.clear() : static_cast<void>(channels_.erase(channel));
        };
        unit.stateful = true;
        return unit;
    }
    Unit unit = simple("listen " + channel, {"C:LISTEN"}, 'I');
    listens_next_ = channel;
    unit.effect = [this, channel] {
        const std::size_t now = world_.notices().size();
        channels_.try_emplace(channel, std::array{now, now});
        listens_next_.clear();
    };
    unit.stateful = true;
    return unit;
}

Client::Unit Client::notify() {
    const std::string channel = fmt::format("c{}", dice_.below(3));
    return simple("notify " + channel + ", '" + token("n") + "'", {"C:NOTIFY"}, status());
}

Client::Unit Client::idle_unit() {
    if (world_.listens() && dice_.one_in(6)) return dice_.one_in(3) ? listening() : notify();
    const std::int64_t kind = dice_.below(100);
    if (kind < 16) return echo();
    if (kind < 28) return extended_echo();
    if (kind < 40) return named();
    if (kind < 54) return insert();
    if (kind < 66) return look();
    if (kind < 78) return variable();
    if (kind < 83) return prepared();
    if (kind < 86) return mistake();
    if (kind < 88 && world_.pins()) return lock();
    const bool read_only = dice_.one_in(4);
    Unit unit = simple(read_only ? "begin read only" : "begin", {"C:BEGIN"}, 'T');
    unit.effect = [this, read_only] {
        tx_ = TxStatus::transaction;
        read_only_ = read_only;
        sets_ = false;
        variables_.begin();
    };
    return unit;
}

Client::Unit Client::transaction_unit() {
    const std::int64_t kind = dice_.below(100);
    if (world_.listens() && !read_only_ && dice_.one_in(12)) return notify();
    if (kind < 15) return echo();
    if (kind < 25) return extended_echo();
    if (kind < 35) return named();
    if (kind < 55 && !read_only_) return insert();
    if (kind < 63) return look();
    if (kind < 75) return variable();
    if (kind < 78) return mistake();
    return end(kind < 94);
}

Client::Unit Client::end(bool commit) {
    Unit unit = simple(commit ? "commit" : "rollback", {commit ? "C:COMMIT" : "C:ROLLBACK"}, 'I');
    unit.ends = commit;
    unit.effect = [this, commit] {
        tx_ = TxStatus::idle;
        read_only_ = false;
        for (const std::string& write : pending_) {
            world_.settle(write, commit ? Fate::done : Fate::failed);
            known_.push_back(write);
        }
        pending_.clear();
        commit ? variables_.commit() : variables_.rollback();
    };
    return unit;
}

Client::Unit Client::failed_unit() {
    if (dice_.one_in(3)) return simple("select 'not now'", {"E:25P02"}, 'E');
    const bool commit = dice_.one_in(3);
    Unit unit = simple(commit ? "commit" : "rollback", {"C:ROLLBACK"}, 'I');
    unit.effect = [this] {
        tx_ = TxStatus::idle;
        read_only_ = false;
        variables_.rollback();
    };
    return unit;
}

}  // namespace pgweir::simulation
