#include "tests/simulation/client.hpp"

#include <array>

#include <fmt/format.h>

#include "protocol/error.hpp"
#include "protocol/requests.hpp"
#include "protocol/startup.hpp"
#include "tests/simulation/world.hpp"

namespace pgweir::simulation {

using protocol::TxStatus;

Client::Client(World& world, int number, std::string database, int requests)
    : world_(world),
      dice_(world.kernel().dice),
      number_(number),
      database_(std::move(database)),
      left_(requests) {}

Client::~Client() = default;

void Client::begin() { connect(); }

void Client::flaw(const std::string& what) {
    world_.violation(fmt::format("client {}: {}", number_, what));
}

std::string Client::text() const {
    std::string text = fmt::format("client {} of {}, {}, status {}, {} to say", number_, database_,
                                   logged_in_ ? "logged in" : "logging in", status(), left_);
    for (const Unit& unit : sent_)
        text += fmt::format("; waits for {}", unit.next < unit.expected.size()
                                                  ? unit.expected[unit.next]
                                                  : std::string("the end"));
    return text;
}

// ---------------------------------------------------------------- connections

void Client::connect() {
    variables_ = {};
    told_.clear();
    protocol_names_.clear();
    sql_names_.clear();
    locks_.clear();
    pending_.clear();
    sent_.clear();
    known_.clear();  // a new session need not see what an old one has written
    tx_ = TxStatus::idle;
    logged_in_ = read_only_ = sets_ = cancels_ = false;
    connections_.push_back(std::make_unique<Connection>(*this));
    Connection& connection = *connections_.back();
    connection.wire = world_.kernel().dial(connection, cable_);
    if (!connection.wire) return flaw("nobody listens");
    protocol::StartupParameters parameters{{"user", "app"}, {"database", database_}};
    if (dice_.one_in(3)) {
        const std::string value = fmt::format("client {}.{}", number_, ++connects_);
        parameters.emplace_back("application_name", value);
        variables_.start("application_name", value);
    }
    if (dice_.one_in(5)) {
        parameters.emplace_back("work_mem", "9MB");
        variables_.start("work_mem", "9MB");
    }
    std::string packet;
    protocol::write_startup(
        packet, dice_.one_in(4) ? protocol::protocol_3_2 : protocol::protocol_3_0, parameters);
    world_.kernel().say(connection.wire, packet);
}

void Client::Connection::heard(std::string_view bytes) {
    if (client.connections_.back().get() != this || client.done_) return;
    inbox += bytes;
    while (client.connections_.back().get() == this) {
        const auto cut = protocol::first_frame(inbox, 1 << 24, protocol::Origin::server);
        if (cut.has_error()) return client.flaw("heard what is no message");
        if (!*cut || (*cut)->missing > 0) return;
        const std::string whole = inbox.substr(0, (*cut)->size());
        inbox.erase(0, whole.size());
        client.take({whole[0], std::string_view(whole).substr(protocol::header_size), 0});
    }
}

void Client::Connection::hung_up() {
    if (client.connections_.back().get() == this && !client.done_) client.lost();
}

/// What was said and not answered may have happened or not.
void Client::lost() {
    if (!world_.troubled()) flaw("the connection was closed");
    for (const Unit& unit : sent_) {
        if (unit.ends) {
            for (const std::string& write : pending_) world_.settle(write, Fate::unknown);
            pending_.clear();
        }
    }
    // Without a COMMIT it is rolled back.
    for (const std::string& write : pending_) world_.settle(write, Fate::failed);
    pending_.clear();
    if (left_ <= 0) {
        done_ = true;
        return;
    }
    world_.kernel().in(dice_.between(100, 20'000), [this] { connect(); });
    connections_.push_back(std::make_unique<Connection>(*this));
}

void Client::disconnect(bool politely) {
    Connection& connection = *connections_.back();
    if (politely) {
        std::string goodbye;
        protocol::write_terminate(goodbye);
        world_.kernel().say(connection.wire, goodbye);
        world_.kernel().hang_up(connection.wire);
    } else if (dice_.one_in(2)) {
        world_.kernel().hang_up(connection.wire);
    } else {
        world_.kernel().reset(connection.wire, 104);
    }
    const bool commits = std::ranges::any_of(sent_, &Unit::ends);
    for (const std::string& write : pending_)
        world_.settle(write, commits ? Fate::unknown : Fate::failed);
    pending_.clear();
    connections_.push_back(std::make_unique<Connection>(*this));
    if (left_ <= 0) {
        done_ = true;
        return;
    }
    world_.kernel().in(dice_.between(10, 20'000), [this] { connect(); });
}

void Client::cancel() {
    cancellers_.push_back(std::make_unique<Canceller>());
    Canceller& canceller = *cancellers_.back();
    canceller.wire = world_.kernel().dial(canceller, cable_);
    std::string packet;
    protocol::write_cancel_request(packet, pid_, key_);
    world_.kernel().say(canceller.wire, packet);
    cancels_ = true;
}

// ---------------------------------------------------------------- what is heard

/// A message in short.
std::string Client::brief(const protocol::Frame& frame) {
    if (frame.type == 'C') {
        std::string tag(frame.payload);
        tag.pop_back();
        return "C:" + tag;
    }
    if (frame.type == 'D') {
        const auto row = protocol::read_data_row(frame.payload);
        return "D:" + std::string(row.has_value() && row->front() ? *row->front() : "?");
    }
    if (frame.type == 'E') return "E:" + std::string(protocol::read_report(frame.payload).sqlstate);
    if (frame.type == 'Z') return "Z:" + std::string(frame.payload);
    return std::string(1, frame.type);
}

void Client::take(const protocol::Frame& frame) {
    world_.trace("C{} < {}", number_, brief(frame));
    if (frame.type == 'N') return;
    if (frame.type == 'S') {
        const auto parameter = protocol::read_parameter_status(frame.payload);
        world_.trace("C{}   {} = {}", number_, parameter->name, parameter->value);
        told_[std::string(parameter->name)] = std::string(parameter->value);
        return;
    }
    if (!logged_in_) return start_up(frame);
    if (frame.type == 'E') {
        const auto report = protocol::read_report(frame.payload);
        if (report.severity == "FATAL") {
            if (!world_.troubled()) flaw("FATAL " + std::string(report.message));
            return;  // the end follows
        }
        if (!sent_.empty()) world_.trace("    {}", report.message);
    }
    compare(brief(frame));
}

void Client::start_up(const protocol::Frame& frame) {
    switch (frame.type) {
        case 'R':
        case 'v': return;
        case 'K': {
            const auto key = protocol::read_backend_key_data(frame.payload);
            pid_ = key->pid;
            key_ = key->key;
            return;
        }
        case 'E':
            if (!world_.troubled())
                flaw("log-in: " + std::string(protocol::read_report(frame.payload).message));
            return;
        case 'Z': logged_in_ = true; return think();
        default: return flaw("heard in its log-in: " + brief(frame));
    }
}

void Client::compare(const std::string& message) {
    if (sent_.empty()) return flaw("heard without having asked: " + message);
    Unit& unit = sent_.front();
    const bool end = message.starts_with("Z:");
    if (unit.failed && end) {
        Unit over = std::move(unit);
        sent_.pop_front();
        return unit_over(std::move(over), message[2]);
    }
    if (unit.failed) return flaw("heard behind an error: " + message);
    const std::string& expected = unit.expected[unit.next];
    if (message == expected) {
        ++unit.next;
        if (!end) return;
        Unit over = std::move(unit);
        sent_.pop_front();
        return unit_over(std::move(over), message[2]);
    }
    if (message.starts_with("E:")) return unit_failed(unit, message.substr(2));
    flaw(fmt::format("heard {} in the place of {}", message, expected));
}

/// An error that PostgreSQL would not have given had it been left alone.
void Client::unit_failed(Unit& unit, const std::string& code) {
    constexpr std::array known{"08007", "40001", "57P03", "57P01"};
    const bool trouble = std::ranges::find(known, code) != known.end() && world_.troubled();
    // What is no read, behind reads of a transaction that a replica has.
    const bool misplaced = code == "0A000" && read_only_ && tx_ == TxStatus::transaction;
    // A name given before its server was lost may be forgotten with it; the client begins anew.
    const bool forgotten = code == "26000" && world_.troubled();
    unit.stateful |= forgotten;
    const bool cancelled = code == "57014" && cancels_;
    if (!trouble && !cancelled && !misplaced && !forgotten) return flaw("failed with " + code);
    unit.failed = true;
    const bool unknown = code == "08007" || code == "57P01";
    for (const std::string& write : unit.writes)
        if (tx_ == TxStatus::idle) world_.settle(write, unknown ? Fate::unknown : Fate::failed);
    if (tx_ != TxStatus::idle) {
        for (const std::string& write : pending_)
            world_.settle(write, unit.ends && unknown ? Fate::unknown : Fate::failed);
        pending_.clear();
        told_.clear();  // what the transaction had set: nobody tells that it is undone
    }
}

void Client::unit_over(Unit unit, char ready) {
    if (!unit.failed) {
        if (unit.effect) unit.effect();
        if (ready == 'I') {
            for (const auto& [name, value] : told_) {
                if (Variables::is_reported(name) && value != variables_.get(name))
                    flaw(fmt::format("was told that {} is \"{}\", and it is \"{}\"", name, value,
                                     variables_.get(name)));
            }
        }
    } else {
        const bool was_open = tx_ != TxStatus::idle;
        if (was_open && ready == 'T') flaw("an error left its transaction open");
        if (!was_open && ready != 'I') flaw("an error left it in a transaction");
        tx_ = ready == 'E' ? TxStatus::failed : TxStatus::idle;
        if (was_open && ready == 'I') {
            variables_.rollback();
            read_only_ = false;
        }
        // It does not know its own session any more.
        if (unit.stateful || (unit.ends && sets_)) return disconnect(true);
    }
    if (sent_.empty()) think();
}

// ---------------------------------------------------------------- what is said

void Client::think() {
    const std::int64_t pause_us = dice_.one_in(10) ? dice_.between(0, 100'000) : dice_.below(500);
    world_.kernel().in(pause_us, [this, connection = connections_.back().get()] {
        if (connections_.back().get() == connection && !done_) speak();
    });
}

void Client::speak() {
    if (left_ <= 0 && tx_ == TxStatus::idle) return disconnect(true);
    --left_;
    if (world_.clients_drop() && dice_.one_in(40)) return disconnect(dice_.one_in(2));
    const bool autonomous = tx_ == TxStatus::idle && dice_.one_in(6);
    const int units = autonomous ? static_cast<int>(dice_.between(2, 4)) : 1;
    for (int i = 0; i < units; ++i) {
        if (units > 1) {
            send(dice_.one_in(2) ? insert() : dice_.one_in(2) ? echo() : extended_echo());
        } else if (tx_ == TxStatus::failed) {
            send(failed_unit());
        } else if (tx_ == TxStatus::transaction) {
            send(left_ <= 0 ? end(false) : transaction_unit());
        } else {
            send(idle_unit());
        }
    }
    const auto still = [this, connection = connections_.back().get()] {
        return connections_.back().get() == connection && !done_ && !sent_.empty();
    };
    if (world_.clients_drop() && dice_.one_in(60)) {
        world_.kernel().in(dice_.below(3'000), [this, still] {
            if (still()) disconnect(false);
        });
    } else if (dice_.one_in(25)) {
        world_.kernel().in(dice_.below(3'000), [this, still] {
            if (still()) cancel();
        });
    }
}

void Client::send(Unit unit) {
    if (unit.bytes[0] == 'Q') {
        world_.trace("C{} > {}", number_, unit.bytes.substr(protocol::header_size));
    } else {
        world_.trace("C{} > a batch for {}", number_, unit.expected.front());
    }
    const std::string bytes = unit.bytes;
    for (const std::string& write : unit.writes) world_.settle(write, Fate::unknown);
    sent_.push_back(std::move(unit));
    world_.kernel().say(connections_.back()->wire, bytes);
}

std::string Client::token(const char* kind) {
    return fmt::format("{}{}-{}", kind, number_, ++tokens_);
}

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
    const bool open = tx_ != TxStatus::idle;
    Unit unit = simple(parses ? "select 1/0" : "selec 1", {parses ? "E:22012" : "E:42601"},
                       open ? 'E' : 'I');
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

Client::Unit Client::idle_unit() {
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
