#include "proxy/notify.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "pool/net/log.hpp"
#include "protocol/secret.hpp"
#include "proxy/handed_client.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

using net::log::Level;

namespace {

constexpr std::int64_t retry_us = 500'000;

std::string random_name() {
    std::string name = "pgweir_";
    for (const char byte : protocol::random_bytes(8))
        name += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return name;
}

constexpr std::string_view farewell_word = "over ";

/// Runs `visit` with the client, on its thread, if it is still there; or, if it has gone to the
/// next process, tells that of what `heard` makes.
template <class F, class G>
void on_client(Process& process, unsigned shard_index, std::uint32_t id, F visit, G heard) {
    Shard& shard = *process.shards()[shard_index];
    shard.worker.loop.post([&shard, id, visit = std::move(visit), heard = std::move(heard)] {
        const auto found = shard.clients.find(id);
        if (found != shard.clients.end()) return visit(*found->second);
        const auto departed = shard.departed.find(id);
        if (departed != shard.departed.end()) heard(shard, departed->second);
    });
}

/// The numbers of a text like "1 22 333".
template <class... Number>
void read_numbers(std::string_view text, Number&... numbers) {
    const char* at = text.data();
    const char* const end = at + text.size();
    const auto next = [&](auto& number) {
        const auto read = std::from_chars(at, end, number);
        at = read.ptr == end ? end : read.ptr + 1;
    };
    (next(numbers), ...);
}

}  // namespace

Hub::Hub(Hubs& hubs, Process& process, Shard& home, pool::Pool& pool)
    : pool::OwnErrand(home.worker),
      hubs_(hubs),
      process_(process),
      home_(home),
      pool_(pool),
      marker_(random_name()) {
    hearing_.keep_all = true;
}

std::string Hub::who(ClientPlace client, std::uint64_t number) {
    return fmt::format("{} {} {}", client.shard, client.client, number);
}

std::string Hub::farewell(ClientPlace client) {
    return fmt::format("{}{} {}", farewell_word, client.shard, client.client);
}

void Hub::take_over(ClientPlace client, std::uint64_t number, std::string marker,
                    std::string payload) {
    Arrival arrival{Key(client.shard, client.client), number, std::move(marker),
                    std::move(payload)};
    home_.worker.loop.post([this, arrival = std::move(arrival)] {
        arrivals_.push_back(arrival);
        advance();
    });
}

void Hub::set(ClientPlace client, WantedChannels channels, std::uint64_t number) {
    home_.worker.loop.post([this, key = Key(client.shard, client.client),
                            names = std::move(channels), number] { change(key, names, number); });
}

void Hub::change(Key key, const WantedChannels& channels, std::uint64_t number) {
    Subscriber& subscriber = subscribers_[key];
    forget_channels(key, subscriber);
    if (channels.empty()) {
        subscribers_.erase(key);
        return advance();
    }
    std::erase_if(subscriber.channels, [&](const auto& had) {
        const auto found = channels.find(had.first);
        return found == channels.end() || found->second != had.second.since;
    });
    for (const auto& [name, since] : channels) {
        by_channel_[name].insert(key);
        subscriber.channels.try_emplace(name, Subscription{.since = since});
    }
    subscriber.number = number;
    unready_.insert(key);
    advance();
}

void Hub::forget_channels(Key key, const Subscriber& subscriber) {
    for (const auto& [name, subscription] : subscriber.channels) {
        const auto found = by_channel_.find(name);
        found->second.erase(key);
        if (found->second.empty()) by_channel_.erase(found);
    }
}

void Hub::tick(const Shard& here) {
    if (&here != &home_) return;
    if (server_ && server_->close_needed) server_->close("obsolete connection");
    advance();
}

void Hub::advance() {
    if (subscribers_.empty() && arrivals_.empty()) {
        missed_ = false;
        if (server_ && !busy_) server_->close("nobody listens");
        return;
    }
    if (!server_) {
        const bool due = home_.worker.loop.now_us() >= retry_at_us_;
        if (opening_ || !due || pool_.paused()) return;
        opening_ = true;
        pool_.open_apart(home_.worker, *this);
        return;
    }
    if (busy_) return;
    const std::string sql = difference();
    if (!sql.empty()) {
        busy_ = true;
        server_->run_own(sql);
    } else if (!announce()) {
        tell_ready();
    }
}

/// To the hubs of the process before this one: where they are not needed any more.
bool Hub::announce() {
    std::string sql;
    for (Arrival& arrival : arrivals_) {
        if (std::exchange(arrival.said, true)) continue;
        sql += "NOTIFY " + protocol::quote_identifier(arrival.marker) + ", " +
               protocol::quote_literal(arrival.payload) + ";";
    }
    if (sql.empty()) return false;
    busy_ = true;
    server_->run_own(sql);
    return true;
}

/// What makes the server listen to what is wanted.
std::string Hub::difference() {
    ChannelNames wanted{marker_};
    for (const auto& [name, keys] : by_channel_) wanted.insert(name);
    for (const Arrival& arrival : arrivals_) wanted.insert(arrival.marker);
    std::string sql;
    for (const std::string& name : listened_) {
        if (!wanted.contains(name)) sql += "UNLISTEN " + protocol::quote_identifier(name) + ";";
    }
    for (const std::string& name : wanted) {
        if (!listened_.contains(name)) sql += "LISTEN " + protocol::quote_identifier(name) + ";";
    }
    asked_for_ = std::move(wanted);
    return sql;
}

void Hub::granted(pool::Server& server) {
    opening_ = false;
    server_ = &server;
    server.backend().hear(&hearing_);
    advance();
}

void Hub::own_done(pool::Backend::OwnAnswer answer) {
    busy_ = false;
    if (answer.error) {
        net::log::print(Level::warning, server_->log_context(), "cannot listen: {}",
                        answer.error->message);
        return server_->close("cannot listen");
    }
    listened_ = std::move(asked_for_);
    if (std::exchange(missed_, false)) tell_missed();
    advance();
}

void Hub::lost(const protocol::Error& error) {
    if (!listened_.empty() && !subscribers_.empty()) {
        missed_ = true;
        net::log::print(Level::warning, {}, "{}/{}: listening connection lost: {}",
                        pool_.database(), pool_.user(), error.message);
    }
    const std::int64_t now_us = home_.worker.loop.now_us();
    retry_at_us_ = server_ ? now_us : now_us + retry_us;
    server_ = nullptr;
    opening_ = busy_ = false;
    listened_.clear();
    for (Arrival& arrival : arrivals_) arrival.said = false;
}

void Hub::tell_ready() {
    for (const Key& key : unready_) {
        const auto found = subscribers_.find(key);
        if (found == subscribers_.end()) continue;
        on_client(
            process_, key.first, key.second,
            [number = found->second.number](Client& client) { client.hub_ready(number); },
            [](Shard&, const Departed&) {});
    }
    unready_.clear();
}

/// A marker may have been missed as well: everything is sent now, and clients know what is theirs.
void Hub::tell_missed() {
    for (auto& [key, subscriber] : subscribers_) {
        for (auto& [name, subscription] : subscriber.channels) subscription.active = true;
        on_client(
            process_, key.first, key.second, [](Client& client) { client.hub_missed(); },
            [id = key.second](Shard& shard, const Departed&) {
                shard.process.departed_is_heard(shard, id, true);
            });
    }
}

/// On the channel of our own: from here on we hear for a client, or another process does.
void Hub::marked(const pool::Notification& said) {
    std::string_view payload = said.payload;
    Key key;
    std::uint64_t number = 0;
    if (!payload.starts_with(farewell_word)) {
        read_numbers(payload, key.first, key.second, number);
        return activate(key, number);
    }
    payload.remove_prefix(farewell_word.size());
    read_numbers(payload, key.first, key.second);
    change(key, {}, 0);
    on_client(
        process_, key.first, key.second, [](Client&) {},
        [id = key.second](Shard& shard, const Departed&) {
            shard.process.departed_is_heard(shard, id, false);
        });
}

/// On that of the process before: the same for a client that has come from there.
void Hub::arrived(const pool::Notification& said) {
    const auto is_meant = [&said](const Arrival& arrival) {
        return arrival.marker == said.channel && arrival.payload == said.payload;
    };
    const auto found = std::find_if(arrivals_.begin(), arrivals_.end(), is_meant);
    if (found == arrivals_.end()) return;
    activate(found->key, found->number);
    arrivals_.erase(found);
}

void Hub::activate(Key key, std::uint64_t number) {
    const auto found = subscribers_.find(key);
    if (found == subscribers_.end()) return;
    for (auto& [name, subscription] : found->second.channels)
        subscription.active |= subscription.since <= number;
}

void Hub::notified(const std::vector<pool::Notification>& kept,
                   const std::vector<pool::Notification>&) {
    // It listens again, whether or not the answer that says so has been looked at: what was missed
    // came before.
    if (std::exchange(missed_, false)) tell_missed();
    using Said = std::shared_ptr<const pool::Notification>;
    for (const pool::Notification& said : kept) {
        if (!arrivals_.empty()) arrived(said);
        if (said.channel == marker_) {
            tell_due();
            marked(said);
            continue;
        }
        const auto found = by_channel_.find(said.channel);
        if (found == by_channel_.end()) continue;
        const Said shared = std::make_shared<const pool::Notification>(said);
        const std::uint32_t as_pid = hubs_.sender(server_->host(), said.pid);
        for (const Key& key : found->second) {
            const Subscription& wanted = subscribers_[key].channels[said.channel];
            if (wanted.active) due_[key].push_back({shared, as_pid, wanted.since});
        }
    }
    tell_due();
}

void Hub::tell_due() {
    for (auto& [key, all] : std::exchange(due_, {})) {
        const auto heard = std::make_shared<const std::vector<Heard>>(std::move(all));
        on_client(
            process_, key.first, key.second, [heard](Client& client) { client.hear(*heard); },
            [heard](Shard& shard, const Departed& departed) {
                for (const auto& [said, as_pid, since] : *heard)
                    shard.process.tell_departed({departed.key, *said, as_pid});
            });
    }
}

Hub& Hubs::of(pool::Pool& pool, Shard& here) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Hub>& hub = hubs_[&pool];
    if (!hub) hub = std::make_unique<Hub>(*this, process_, here, pool);
    none_.store(false, std::memory_order_relaxed);
    return *hub;
}

void Hubs::tick(const Shard& here) {
    if (none()) return;
    std::vector<Hub*> hubs;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [pool, hub] : hubs_) hubs.push_back(hub.get());
    }
    for (Hub* const hub : hubs) hub->tick(here);
}

void Hubs::notifies(const pool::Server& server, std::uint32_t client_pid) {
    const std::lock_guard lock(mutex_);
    senders_[{server.host(), server.backend_pid()}] = client_pid;
}

void Hubs::changes_hands(const pool::Server& server) {
    const std::lock_guard lock(mutex_);
    senders_.erase({server.host(), server.backend_pid()});
}

std::uint32_t Hubs::sender(const std::string& host, std::uint32_t server_pid) const {
    const std::lock_guard lock(mutex_);
    const auto found = senders_.find({host, server_pid});
    return found == senders_.end() ? server_pid : found->second;
}

}  // namespace pgweir::proxy
