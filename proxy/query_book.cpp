#include "proxy/query_book.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "router/shown_text.hpp"
#include "router/skeleton.hpp"

namespace pgweir::proxy {

namespace {

constexpr std::size_t shown_max = 4096;      // bytes of a text that is shown
constexpr std::size_t key_max = 8 << 10;     // bytes by which texts are told apart
constexpr std::size_t room_kept = 16 << 10;  // bytes of scratch memory between calls
constexpr std::size_t known_size = 512;      // a power of two
constexpr double fading = 0.99;              // of usage, with every eviction
constexpr std::uint64_t mixer = 0x9e3779b97f4a7c15U;

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
    return std::rotl((hash ^ word) * mixer, 29);
}

/// Of short texts, in few instructions; equal hashes are told apart by the texts.
std::uint64_t hash_of(const pool::Pool* pool, std::string_view text) {
    std::uint64_t hash = mixed(reinterpret_cast<std::uintptr_t>(pool), text.size());
    const char* at = text.data();
    std::size_t left = text.size();
    std::uint64_t word;
    for (; left >= sizeof word; at += sizeof word, left -= sizeof word) {
        std::memcpy(&word, at, sizeof word);
        hash = mixed(hash, word);
    }
    if (left > 0) {
        word = 0;
        std::memcpy(&word, at, left);
        hash = mixed(hash, word);
    }
    return hash ^ (hash >> 32);
}

}  // namespace

QueryFigures& QueryFigures::operator+=(const QueryFigures& other) {
    calls += other.calls;
    replica_calls += other.replica_calls;
    timed += other.timed;
    total_us += other.total_us;
    max_us = std::max(max_us, other.max_us);
    rows += other.rows;
    bytes += other.bytes;
    durations += other.durations;
    return *this;
}

void QueryBook::set_max(std::size_t shapes_max) {
    if (shapes_max == shapes_max_) return;
    shapes_max_ = shapes_max;
    clear();
}

void QueryBook::clear() {
    entries_.clear();
    free_.clear();
    index_.assign(shapes_max_ == 0 ? 0 : std::bit_ceil(2 * shapes_max_), 0);
    known_.assign(shapes_max_ == 0 ? 0 : known_size, {});
}

const QueryBook::Entry* QueryBook::at(Id id) const {
    if (id.number == 0 || id.place >= entries_.size()) return nullptr;
    const Entry& entry = entries_[id.place];
    return entry.number == id.number ? &entry : nullptr;
}

QueryBook::Id QueryBook::count(Id id, bool on_replica) {
    if (!id) return id;
    QueryFigures& figures = entries_[id.place].figures;
    ++figures.calls;
    figures.replica_calls += on_replica ? 1 : 0;
    return id;
}

QueryBook::Id QueryBook::note(Id id, bool on_replica) {
    return at(id) ? count(id, on_replica) : Id();
}

QueryBook::Id QueryBook::note(const pool::Pool& pool, std::string_view sql, std::uint64_t number,
                              bool on_replica) {
    if (number == 0) return count(find(pool, sql), on_replica);
    Known& known = known_[number & (known_size - 1)];
    if (known.number != number || known.pool != &pool || !at(known.id))
        known = {number, &pool, find(pool, sql)};
    return count(known.id, on_replica);
}

QueryBook::Id QueryBook::find(const pool::Pool& pool, std::string_view sql) {
    return sql.size() > text_max ? Id() : look_up(pool, sql);
}

QueryBook::Id QueryBook::look_up(const pool::Pool& pool, std::string_view sql) {
    const auto skeleton = router::skeleton_of(sql, room_);
    if (!skeleton) {
        shown_ = router::shown_text(sql, shown_max);
        while (shown_.ends_with(';') || shown_.ends_with(' ')) shown_.pop_back();
    }
    const std::string_view key =
        (skeleton ? *skeleton : std::string_view(shown_)).substr(0, key_max);
    const std::uint64_t hash = hash_of(&pool, key);
    const std::size_t mask = index_.size() - 1;
    for (std::size_t i = hash & mask; index_[i] != 0; i = (i + 1) & mask) {
        const std::uint32_t place = index_[i] - 1;
        const Entry& entry = entries_[place];
        if (entry.hash == hash && entry.pool == &pool && entry.key == key)
            return {place, entry.number};
    }
    return insert(pool, key, hash, !skeleton);
}

QueryBook::Id QueryBook::insert(const pool::Pool& pool, std::string_view key, std::uint64_t hash,
                                bool shown) {
    if (free_.empty() && entries_.size() >= shapes_max_) evict();
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(entries_.size()));
        entries_.emplace_back();
    }
    const std::uint32_t place = free_.back();
    free_.pop_back();
    if (++numbers_ == 0) ++numbers_;
    entries_[place] = {.pool = &pool,
                       .key = std::string(key),
                       .text = shown ? std::string(key) : router::shown_text(key, shown_max),
                       .hash = hash,
                       .number = numbers_};
    index(place);
    if (room_.size() > room_kept) room_ = {};
    return {place, numbers_};
}

void QueryBook::index(std::uint32_t place) {
    const std::size_t mask = index_.size() - 1;
    std::size_t i = entries_[place].hash & mask;
    while (index_[i] != 0) i = (i + 1) & mask;
    index_[i] = place + 1;
}

/// A twentieth of them goes, the least used first: so what is new gets a chance to be used.
void QueryBook::evict() {
    std::vector<std::uint32_t> places;
    for (std::uint32_t place = 0; place < entries_.size(); ++place) {
        Entry& entry = entries_[place];
        const auto since = static_cast<double>(entry.figures.calls - entry.counted);
        entry.usage = entry.usage * fading + since;
        entry.counted = entry.figures.calls;
        places.push_back(place);
    }
    const std::size_t going = std::max<std::size_t>(1, places.size() / 20);
    std::nth_element(
        places.begin(), places.begin() + static_cast<std::ptrdiff_t>(going) - 1, places.end(),
        [&](std::uint32_t a, std::uint32_t b) { return entries_[a].usage < entries_[b].usage; });
    places.resize(going);
    for (const std::uint32_t place : places) entries_[place] = {};
    index_.assign(index_.size(), 0);
    for (std::uint32_t place = 0; place < entries_.size(); ++place) {
        if (entries_[place].number != 0) index(place);
    }
    free_ = std::move(places);
}

void QueryBook::take_back(Id id, bool on_replica) {
    Entry* const entry = at(id);
    if (!entry || entry->figures.calls == entry->counted) return;
    --entry->figures.calls;
    entry->figures.replica_calls -= on_replica ? 1 : 0;
}

void QueryBook::ended(Id id, std::int64_t took_us, std::uint64_t rows, std::uint64_t bytes) {
    Entry* const entry = at(id);
    if (!entry) return;
    const auto took = static_cast<std::uint64_t>(std::max<std::int64_t>(took_us, 0));
    QueryFigures& figures = entry->figures;
    ++figures.timed;
    figures.total_us += took;
    figures.max_us = std::max(figures.max_us, took);
    figures.rows += rows;
    figures.bytes += bytes;
    figures.durations.add(took_us);
}

std::string_view QueryBook::text(Id id) const {
    const Entry* const entry = at(id);
    return entry ? std::string_view(entry->text) : std::string_view();
}

}  // namespace pgweir::proxy
