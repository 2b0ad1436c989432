#include "proxy/listening.hpp"

#include <algorithm>

#include "protocol/ascii.hpp"
#include "protocol/requests.hpp"
#include "protocol/vars.hpp"
#include "proxy/session.hpp"

namespace pgweir::proxy {

namespace trace = router::trace;

namespace {

constexpr std::size_t due_max = 1 << 20;   // bytes that wait for a client
constexpr std::size_t echoes_max = 1'000;  // a hub that is lost sends no copy

bool same(const pool::Notification& a, const pool::Notification& b) {
    return a.pid == b.pid && a.channel == b.channel && a.payload == b.payload;
}

std::size_t size_of(const pool::Notification& said) {
    return sizeof said + said.channel.size() + said.payload.size();
}

bool may_touch(std::string_view sql) {
    constexpr router::Traces touching = trace::channels | trace::notifies | trace::executes |
                                        trace::functions | trace::anything | trace::savepoints;
    return (traces_in(sql) & touching) != 0 || protocol::mentions(sql, "begin") ||
           protocol::mentions(sql, "start") || protocol::mentions(sql, "listening_channels");
}

}  // namespace

std::string Listening::restoring() const {
    std::string sql;
    for (const std::string& name : hearing.elsewhere)
        sql += "LISTEN " + protocol::quote_identifier(name) + ";";
    return sql;
}

void Listening::learn(const std::vector<std::string>& there,
                      const std::vector<router::Details::Channel>& changes) {
    ChannelNames now(there.begin(), there.end());
    now.erase(hearing.hidden);
    if (!complete_) {  // what the hub sends is not among them: the text has to do
        ChannelNames before = hearing.elsewhere;
        for (const auto& change : changes) {
            using What = router::Details::Channel::What;
            if (change.what == What::unlisten_all) before.clear();
            if (change.what == What::unlisten) before.erase(change.name);
        }
        now.merge(before);
    }
    std::erase_if(hearing.elsewhere, [&](const auto& name) { return !now.contains(name); });
    const auto is_over = [&](const Told& due) { return !now.contains(due.said.channel); };
    std::erase_if(hub_due_, is_over);
    std::erase_if(held_back_, is_over);
    count_due();
    const std::size_t gone =
        std::erase_if(wanted_, [&](const auto& wanted) { return !now.contains(wanted.first); });
    news_ |= gone > 0 || wanted_.size() != now.size();
    for (const std::string& name : now) wanted_.try_emplace(name, told_number_ + 1);
}

void Listening::server_lost() {
    for (const auto& [name, since] : wanted_) missed_ |= hearing.elsewhere.insert(name).second;
}

/// The hub sends all that the client listens to.
bool Listening::heard_elsewhere() const {
    return std::equal(wanted_.begin(), wanted_.end(), hearing.elsewhere.begin(),
                      hearing.elsewhere.end(),
                      [](const auto& wanted, const auto& name) { return wanted.first == name; });
}

bool Listening::news_for_hub() {
    if (!std::exchange(news_, false)) return false;
    ++told_number_;
    ready_ = failed_ = tried_again_ = false;
    return true;
}

Listening::Due Listening::due() const {
    if (failed_) return Due::nothing;
    if (heard_elsewhere()) return Due::unlisten;
    return ready_ && !news_ ? Due::mark : Due::nothing;
}

std::string Listening::marking(const std::string& name, const std::string& who) {
    hearing.hidden = name;
    who_ = who;
    const std::string quoted = protocol::quote_identifier(name);
    return "LISTEN " + quoted + "; NOTIFY " + quoted + ", " + protocol::quote_literal(who);
}

void Listening::from_server(const pool::Notification& said) {
    if (said.channel == hearing.hidden) {
        if (said.payload != who_) return;
        for (const auto& [name, since] : wanted_) hearing.elsewhere.insert(name);
        return;
    }
    if (hearing.elsewhere.contains(said.channel) || !has_room(said)) return;
    server_due_.push_back({said, said.pid == hearing.server_pid ? hearing.pid : said.pid});
}

void Listening::from_hub(const Heard& heard) {
    const pool::Notification& said = *heard.said;
    const auto wanted = wanted_.find(said.channel);
    if (wanted == wanted_.end() || wanted->second != heard.since) return;  // before an UNLISTEN
    if (has_room(said)) (follows_ ? held_back_ : hub_due_).push_back({said, heard.as_pid});
}

bool Listening::can_move() const {
    return !any_due() && !follows_ && !news_ && !failed_ && heard_elsewhere();
}

void Listening::move_in(const std::vector<std::string>& channels,
                        const std::vector<pool::Notification>& echoes) {
    hearing.elsewhere.insert(channels.begin(), channels.end());
    echoes_.assign(echoes.begin(), echoes.end());
    for (const std::string& name : channels) wanted_.try_emplace(name, told_number_ + 1);
    news_ = follows_ = true;
}

void Listening::from_predecessor(const pool::Notification& said, std::uint32_t as_pid) {
    constexpr std::uint64_t first = 1;  // the number with which move_in() tells the hub
    const auto wanted = wanted_.find(said.channel);
    if (!follows_ || wanted == wanted_.end() || wanted->second != first) return;
    if (has_room(said)) hub_due_.push_back({said, as_pid});
}

void Listening::followed(bool missed) {
    if (!std::exchange(follows_, false)) return;
    missed_ |= missed;
    for (Told& told : held_back_) hub_due_.push_back(std::move(told));
    held_back_.clear();
}

bool Listening::has_room(const pool::Notification& said) {
    if (due_bytes_ + size_of(said) > due_max) {
        missed_ = true;
        return false;
    }
    due_bytes_ += size_of(said);
    return true;
}

bool Listening::is_echo(const pool::Notification& said) {
    const auto found =
        std::find_if(echoes_.begin(), echoes_.end(),
                     [&](const pool::Notification& echo) { return same(echo, said); });
    if (found == echoes_.end()) return false;
    echoes_.erase(found);
    return true;
}

void Listening::count_due() {
    due_bytes_ = 0;
    for (const auto* const all : {&server_due_, &hub_due_, &held_back_}) {
        for (const Told& told : *all) due_bytes_ += size_of(told.said);
    }
}

void Listening::Told::write(std::string& out) const {
    protocol::write_notification(out, as_pid, said.channel, said.payload);
}

std::string Listening::take_servers_due() {
    std::string out;
    if (server_due_.empty()) return out;
    for (const Told& told : server_due_) told.write(out);
    server_due_.clear();
    count_due();
    return out;
}

std::string Listening::take_due() {
    std::string out;
    if (std::exchange(missed_, false)) {
        protocol::write_notice(out, protocol::Severity::warning, protocol::sqlstate::warning,
                               "notifications may have been missed");
    }
    out += take_servers_due();
    for (const Told& told : hub_due_) {
        if (hearing.elsewhere.contains(told.said.channel) && !is_echo(told.said)) told.write(out);
    }
    hub_due_.clear();
    count_due();
    if (echoes_.size() > echoes_max) echoes_.clear();
    return out;
}

bool may_touch_channels(protocol::Bytes requests) {
    bool unnamed = false;  // the unnamed statement is one of these requests
    while (!requests.empty()) {
        constexpr std::size_t payload_max = 1 << 20;
        const protocol::CutFrame cut = protocol::cut_frame(requests, payload_max);
        if (cut.cut != protocol::Cut::frame || cut.frame.missing > 0) return true;
        const protocol::Bytes payload = cut.frame.payload;
        if (cut.frame.type == 'Q') {
            const auto query = protocol::read_query(payload);
            if (query.has_error() || may_touch(*query)) return true;
        } else if (cut.frame.type == 'P') {
            const auto parse = protocol::read_parse(payload);
            if (parse.has_error() || may_touch(parse->query)) return true;
            unnamed |= parse->name.empty();
        } else if (cut.frame.type == 'B') {
            const auto names = protocol::read_bind_names(payload);
            if (!names || !names->statement.empty() || !unnamed) return true;
        }
        requests.remove_prefix(cut.frame.size());
    }
    return false;
}

}  // namespace pgweir::proxy
