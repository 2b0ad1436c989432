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
    held_back_.clear();
    channels_.clear();
    heard_.clear();
    listens_next_.clear();
    waited_ = may_repeat_ = false;
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
    if (frame.type == 'A')
        return "A:" + std::string(protocol::read_notification(frame.payload)->payload);
    return std::string(1, frame.type);
}

void Client::take(const protocol::Frame& frame) {
    world_.trace("C{} < {}", number_, brief(frame));
    if (frame.type == 'A') return hear(*protocol::read_notification(frame.payload));
    if (frame.type == 'N') {  // the only one there is: that notifications may have been missed
        may_repeat_ = true;
        for (auto& [channel, from] : channels_) from.fill(world_.notices().size());
        return;
    }
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

/// A notification: of a channel it listens to, once, and behind all that came before it there.
void Client::hear(const protocol::Notification& notification) {
    const std::string channel(notification.channel), payload(notification.payload);
    if (!channels_.contains(channel) && listens_next_ != channel)
        flaw("was notified of " + channel + ", which it does not listen to: " + payload);
    if (!heard_.insert(payload).second && !may_repeat_) flaw("was notified twice: " + payload);
    if (world_.troubled() || !channels_.contains(channel)) return;
    const auto& notices = world_.notices();
    const auto found = std::ranges::find(notices, payload, &Notice::payload);
    if (found == notices.end()) return flaw("was notified of what nobody said: " + payload);
    const auto place = static_cast<std::size_t>(found - notices.begin());
    const bool own = is_own(payload);
    if (place >= channels_[channel][own]) look_for_missed(channel, own, place);
}

bool Client::is_own(const std::string& notice) const {
    return notice.starts_with(fmt::format("n{}-", number_));
}

/// What was said there before that has come as well.
void Client::look_for_missed(const std::string& channel, bool own, std::size_t end) {
    const auto& notices = world_.notices();
    std::size_t& from = channels_[channel][own];
    for (; from < end; ++from) {
        const Notice& notice = notices[from];
        if (notice.channel != channel || is_own(notice.payload) != own) continue;
        if (!heard_.contains(notice.payload))
            flaw("was not notified of " + notice.payload + " on " + channel);
    }
}

/// Before it goes it gives what it has not heard of some time to come.
bool Client::waits_for_notices() {
    if (channels_.empty() || world_.troubled() || std::exchange(waited_, true)) return false;
    constexpr std::int64_t most_us = 2'000'000;
    world_.kernel().in(
        most_us, [this, connection = connections_.back().get(), end = world_.notices().size()] {
            if (connections_.back().get() != connection || done_) return;
            if (!world_.troubled()) {
                for (const auto& [channel, from] : channels_) {
                    for (const bool own : {false, true}) look_for_missed(channel, own, end);
                }
            }
            speak();
        });
    return true;
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
    if (left_ <= 0 && tx_ == TxStatus::idle) {
        if (waits_for_notices()) return;
        return disconnect(true);
    }
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
    // Now and then it is slow to say all of it; what comes next then comes behind.
    const bool slow = held_back_.empty() && dice_.one_in(10);
    const auto size = static_cast<std::int64_t>(bytes.size());
    const auto first = static_cast<std::size_t>(slow ? dice_.between(1, size) : size);
    if (!held_back_.empty()) {
        held_back_ += bytes;
    } else {
        world_.kernel().say(connections_.back()->wire, bytes.substr(0, first));
        held_back_ = bytes.substr(first);
    }
    if (!slow) return;
    world_.kernel().in(dice_.below(3'000), [this, connection = connections_.back().get()] {
        if (connections_.back().get() == connection && !done_) say_held_back();
    });
}

void Client::say_held_back() {
    world_.kernel().say(connections_.back()->wire, std::exchange(held_back_, {}));
}

std::string Client::token(const char* kind) {
    return fmt::format("{}{}-{}", kind, number_, ++tokens_);
}

}  // namespace pgweir::simulation
