#include "router/router.hpp"

#include <algorithm>
#include <array>
#include <list>
#include <unordered_map>
#include <vector>

#include "router/classify.hpp"
#include "router/hints.hpp"
#include "router/lexer.hpp"
#include "router/names_walk.hpp"
#include "router/own_objects.hpp"
#include "router/recent_texts.hpp"
#include "router/shape.hpp"
#include "router/skeleton.hpp"

namespace pgweir::router {

namespace {

using VerdictPtr = std::shared_ptr<const Verdict>;

constexpr std::size_t exact_max = 4096;        // bytes of a text that is remembered as it is
constexpr std::size_t room_kept = 256U << 10;  // bytes of the scratch memory between calls
constexpr std::size_t paths_max = 4096;
constexpr std::size_t known_size = 256;  // a power of two

VerdictPtr for_primary(Reason reason, std::string_view detail = {}) {
    auto verdict = std::make_shared<Verdict>();
    verdict->read = true;
    refuse_read(*verdict, reason, detail);
    return verdict;
}

/// What texts are known by: their skeleton, that with the names of settings, or all of them.
enum class By : std::uint8_t { skeleton, settings, text };

struct Key {
    std::string_view text;
    By by;
    friend bool operator==(const Key&, const Key&) = default;
};

struct KeyHash {
    std::size_t operator()(const Key& key) const {
        const auto salt = static_cast<std::size_t>(key.by) * 0x9e3779b97f4a7c15U;
        return std::hash<std::string_view>()(key.text) ^ salt;
    }
};

/// What a verdict was made for, besides the shape.
struct Grounds {
    std::uint64_t catalog = 0;  // its number
    std::uint64_t path = 0;     // see Paths
    bool suspect = false, seeded = false;
    friend bool operator==(const Grounds&, const Grounds&) = default;
};

struct Entry {
    std::string text{};
    By by = By::skeleton;
    bool stands_in = false;  // texts of this skeleton are known by more of them
    bool learned = false;
    Shape shape{};
    Grounds grounds{};
    VerdictPtr verdict{};
    std::size_t bytes = 0;
    std::list<Entry>::iterator self{};  // its place in the list
};

/// Entries up to a bound, the last used first.
struct Kept {
    const std::size_t entries_max, bytes_max;
    std::list<Entry> entries{};
    std::size_t bytes = 0;

    bool is_over() const {
        return entries.size() > 1 && (entries.size() > entries_max || bytes > bytes_max);
    }
};

std::optional<std::string_view> path_of(const Conditions& conditions) {
    if (conditions.search_path || !conditions.catalog || conditions.user.empty())
        return conditions.search_path;
    return conditions.catalog->default_search_path(conditions.user);
}

/// Search paths that came up, each with a number of its own, resolved against the newest catalog.
class Paths {
public:
    struct Known {
        std::uint64_t id = 0;
        std::uint64_t catalog = 0;
        SearchPath path;
    };

    /// nullptr: the path is not known.
    Known* find(const Conditions& conditions) {
        const std::uint64_t unset =
            !conditions.search_path && conditions.catalog ? conditions.catalog->number() : 0;
        if (unset != 0 && unset == last_unset_ && conditions.user == last_user_) return last_;
        last_unset_ = 0;
        const auto given = path_of(conditions);
        if (!given) return nullptr;
        const std::string_view text = *given;
        if (!last_ || text != last_text_ || conditions.user != last_user_) {
            if (known_.size() >= paths_max) known_.clear();
            last_text_ = text;
            last_user_ = conditions.user;
            const bool by_user = text.find("$user") != std::string_view::npos;
            Known& known = known_[by_user ? last_user_ + '\0' + last_text_ : last_text_];
            if (known.id == 0) known.id = ++issued_;
            last_ = &known;
        }
        last_unset_ = unset;
        return last_;
    }

private:
    std::unordered_map<std::string, Known> known_;
    std::string last_text_, last_user_;
    Known* last_ = nullptr;
    std::uint64_t last_unset_ = 0;  // number of the catalog that `last_` was the user's path by
    std::uint64_t issued_ = 0;      // never the same again, so no verdict is taken for another's
};

/// A bucket of time that fills up at a steady rate.
class ParseBudget {
public:
    explicit ParseBudget(std::int64_t us_second) : rate_(us_second), left_(us_second) {}

    bool spend(std::size_t bytes, std::int64_t now_us) {
        if (now_us == 0) return true;
        constexpr std::int64_t second = 1'000'000;
        const std::int64_t passed = std::clamp<std::int64_t>(now_us - filled_us_, 0, second);
        left_ = std::min(rate_, left_ + passed * rate_ / second);
        filled_us_ = now_us;
        if (left_ <= 0) return false;
        left_ -= 20 + static_cast<std::int64_t>(bytes) / 2;  // measured: 0.3 to 0.5 µs a byte
        return true;
    }

private:
    const std::int64_t rate_;
    std::int64_t left_;
    std::int64_t filled_us_ = 0;
};

/// INSERT, UPDATE and DELETE alone say what they are by their first word.
VerdictPtr write_by_word(std::string_view skeleton) {
    static const std::array<std::pair<std::string_view, VerdictPtr>, 3> writes = [] {
        const auto write = [](std::string_view word) {
            Verdict verdict;
            verdict.read = true;
            refuse_read(verdict, Reason::write, word);
            verdict.refused_read_only = true;
            return std::make_shared<const Verdict>(std::move(verdict));
        };
        return std::array<std::pair<std::string_view, VerdictPtr>, 3>{
            {{"insert", write("INSERT")},
             {"update", write("UPDATE")},
             {"delete", write("DELETE")}}};
    }();
    while (!skeleton.empty() && skeleton.back() == ';') skeleton.remove_suffix(1);
    if (skeleton.find(';') != std::string_view::npos) return nullptr;
    const Token first = Lexer(skeleton).next();
    for (const auto& [word, verdict] : writes) {
        if (is_word(first, word)) return verdict;
    }
    return nullptr;
}

/// May a COPY of this skeleton name a file? Then its name counts, which may be empty.
bool names_file(std::string_view skeleton) {
    Lexer lexer(skeleton);
    bool behind_to = false;
    for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
        if (token.kind == TokenKind::error) return true;
        if (behind_to && token.text().ends_with('\'')) return true;
        behind_to = is_word(token, "to");
    }
    return false;
}

VerdictPtr hinted(Hint hint, VerdictPtr base) {
    if (base->kind != Verdict::Kind::statement || base->follows) return base;
    const bool read = hint == Hint::replica;
    if (base->read == read || (read && base->refused_read_only)) return base;
    auto verdict = std::make_shared<Verdict>(*base);
    verdict->read = read;
    verdict->reason = Reason::hint;
    verdict->detail.clear();
    return verdict;
}

}  // namespace

bool is_unsafe_encoding(std::string_view client_encoding) {
    std::string name;
    for (const char c : client_encoding) {
        if (c != '_' && c != '-' && c != ' ') name += folded(c);
    }
    constexpr std::array unsafe = std::to_array<std::string_view>(
        {"sjis", "mskanji", "shiftjis", "win932", "windows932", "shiftjis2004", "sjis2004", "big5",
         "win950", "windows950", "gbk", "win936", "windows936", "uhc", "win949", "windows949",
         "gb18030", "johab"});
    return std::ranges::find(unsafe, name) != unsafe.end();
}

struct Router::Memory {
    explicit Memory(RouterLimits given) : limits(given), budget(given.parse_us_second) {}

    /// Texts with literals that count are as many as somebody makes them up, most for one use: they
    /// are kept apart, and do not make shapes go.
    Kept& kept(const Entry& entry) { return entry.by == By::skeleton ? shapes : by_literals; }

    void touch(Entry& entry) {
        std::list<Entry>& entries = kept(entry).entries;
        if (&entry != &entries.front()) entries.splice(entries.begin(), entries, entry.self);
    }

    Entry* find(Key key) {
        const auto at = index.find(key);
        if (at == index.end()) return nullptr;
        touch(*at->second);
        return at->second;
    }

    Entry& keep(Key key, Shape shape) {
        // It may be there still, when what stood in for it has gone.
        if (Entry* const there_still = find(key)) return *there_still;
        Entry fresh{.text = std::string(key.text), .by = key.by, .shape = std::move(shape)};
        fresh.shape.setting_names = {};
        fresh.bytes =
            sizeof(Entry) + sizeof(Verdict) + 128 + fresh.text.capacity() + fresh.shape.bytes();
        Kept& there = kept(fresh);
        there.entries.push_front(std::move(fresh));
        Entry& entry = there.entries.front();
        entry.self = there.entries.begin();
        index.emplace(Key{entry.text, entry.by}, &entry);
        there.bytes += entry.bytes;
        while (there.is_over()) forget_oldest(there);
        stats.entries = index.size();
        stats.bytes = shapes.bytes + by_literals.bytes;
        return entry;
    }

    void forget_oldest(Kept& there) {
        ++forgotten;
        const Entry& oldest = there.entries.back();
        there.bytes -= oldest.bytes;
        index.erase(Key{oldest.text, oldest.by});
        there.entries.pop_back();
    }

    /// After a long text.
    void shrink() {
        for (std::string* used : {&room, &setting_room}) {
            if (used->size() > room_kept) *used = {};
        }
    }

    const VerdictPtr& judged(Entry& entry, const Conditions& conditions) {
        Paths::Known* const path = paths.find(conditions);
        const Grounds grounds{.catalog = conditions.catalog ? conditions.catalog->number() : 0,
                              .path = path ? path->id : 0,
                              .suspect = conditions.suspect,
                              .seeded = conditions.seeded};
        if (entry.verdict && entry.grounds == grounds) return entry.verdict;
        static const SearchPath any;
        if (path && conditions.catalog && path->catalog != grounds.catalog) {
            path->path = conditions.catalog->search_path(*path_of(conditions), conditions.user);
            path->catalog = grounds.catalog;
        }
        Verdict verdict = classify(entry.shape, conditions, path ? path->path : any);
        if (entry.learned) refuse_read(verdict, Reason::learned, "");
        entry.verdict = std::make_shared<const Verdict>(std::move(verdict));
        entry.grounds = grounds;
        return entry.verdict;
    }

    /// The entry of a text that was parsed before; nullptr when none was.
    Entry* remembered(std::string_view sql, std::optional<std::string_view> skeleton) {
        if (skeleton) {
            Entry* const entry = find({*skeleton, By::skeleton});
            if (!entry || !entry->stands_in) return entry;
            const auto longer = setting_skeleton_of(sql, setting_room);
            if (Entry* const named = longer ? find({*longer, By::settings}) : nullptr) return named;
        }
        return sql.size() <= exact_max ? find({sql, By::text}) : nullptr;
    }

    std::optional<std::string_view> with_settings(std::string_view sql, const Shape& shape,
                                                  std::int64_t now_us);
    VerdictPtr parse(std::string_view sql, std::optional<std::string_view> skeleton,
                     const Conditions& conditions);
    VerdictPtr judge(std::string_view sql, const Conditions& conditions, std::uint64_t number);

    /// What a number stands for: most recent ones only.
    struct Known {
        std::uint64_t number = 0;
        std::uint64_t forgotten = 0;  // what that was then: the entry may be gone since
        Entry* entry = nullptr;
        VerdictPtr always{};  // where there is no entry
    };
    /// nullptr: it has no number.
    Known* known_place(std::uint64_t number) {
        return number == 0 ? nullptr : &known[number & (known_size - 1)];
    }
    VerdictPtr recall(Known& place, std::uint64_t number, const Conditions& conditions) {
        if (place.number != number) return nullptr;
        if (place.always) return place.always;
        if (place.forgotten != forgotten) return nullptr;
        touch(*place.entry);
        return judged(*place.entry, conditions);
    }

    const RouterLimits limits;
    RouterStats stats;
    ParseBudget budget;
    Paths paths;
    std::string room, setting_room;
    std::uint64_t forgotten = 0;
    std::vector<Known> known = std::vector<Known>(known_size);
    Kept shapes{limits.entries_max, limits.bytes_max};
    Kept by_literals{limits.texts_max, limits.texts_bytes_max};
    std::unordered_map<Key, Entry*, KeyHash> index;
};

/// The skeleton by which such a text may be known although names of settings in it count; nullopt:
/// it does not hold all of them as the text has them, so other texts of it may name others.
std::optional<std::string_view> Router::Memory::with_settings(std::string_view sql,
                                                              const Shape& shape,
                                                              std::int64_t now_us) {
    if (shape.literals != Shape::Literals::setting_names) return std::nullopt;
    // What is no literal in the skeleton is "" there.
    if (std::ranges::find(shape.setting_names, "") != shape.setting_names.end())
        return std::nullopt;
    const auto longer = setting_skeleton_of(sql, setting_room);
    if (!longer || !budget.spend(longer->size(), now_us)) return std::nullopt;
    const Shape named = shape_of(*longer);
    // Where a list of constants was cut it may be a call that sets one of ours: that has its value.
    const bool same =
        named.literals == shape.literals && named.setting_names == shape.setting_names;
    return same ? longer : std::nullopt;
}

VerdictPtr Router::Memory::parse(std::string_view sql, std::optional<std::string_view> skeleton,
                                 const Conditions& conditions) {
    // Literals that make a text long say nothing, so it is read without them.
    const bool shortened = sql.size() > limits.parse_max && skeleton;
    const std::string_view text = shortened ? *skeleton : sql;
    if (text.size() > limits.parse_max || is_too_deep(skeleton.value_or(sql))) {
        ++stats.refused;
        static const VerdictPtr verdict = for_primary(Reason::too_long);
        return verdict;
    }
    if (!budget.spend(text.size(), conditions.now_us)) {
        ++stats.refused;
        static const VerdictPtr verdict = for_primary(Reason::too_many);
        return verdict;
    }
    ++stats.parses;
    Shape shape = shape_of(text);
    if (shape.to_stdout && skeleton && names_file(*skeleton)) shape.literals = Shape::Literals::all;
    const bool literals = shape.literals != Shape::Literals::nothing;
    if (literals && shortened) return for_primary(Reason::too_long);
    // An error within a literal says nothing of other texts of this skeleton.
    const bool wrong = shape.verdict.reason == Reason::parse_error;
    const bool own =
        wrong && skeleton && shape_of(*skeleton).verdict.reason != shape.verdict.reason;
    // Where something stands in for it, literals count in another text of this skeleton.
    const Entry* const there = skeleton ? find({*skeleton, By::skeleton}) : nullptr;
    if (skeleton && !literals && !own && !there)
        return judged(keep({*skeleton, By::skeleton}, std::move(shape)), conditions);
    if (skeleton && !own) {
        if (!there) keep({*skeleton, By::skeleton}, {}).stands_in = true;
        if (const auto longer = with_settings(sql, shape, conditions.now_us))
            return judged(keep({*longer, By::settings}, std::move(shape)), conditions);
    }
    if (sql.size() <= exact_max && !own)
        return judged(keep({sql, By::text}, std::move(shape)), conditions);
    Entry once;
    once.shape = std::move(shape);
    return judged(once, conditions);
}

VerdictPtr Router::Memory::judge(std::string_view sql, const Conditions& conditions,
                                 std::uint64_t number) {
    static const VerdictPtr unsure = for_primary(Reason::text_unsure);
    if (!conditions.standard_strings && sql.find('\\') != std::string_view::npos) return unsure;
    if (conditions.unsafe_encoding &&
        std::ranges::any_of(sql, [](char c) { return (c & 0x80) != 0; }))
        return unsure;

    Known* const place = known_place(number);
    if (place) {
        if (VerdictPtr verdict = recall(*place, number, conditions)) {
            ++stats.hits;
            return verdict;
        }
    }
    const auto skeleton = skeleton_of(sql, room);
    if (Entry* const entry = remembered(sql, skeleton)) {
        ++stats.hits;
        // Of what is known by its literals not all that has the number is.
        const bool whole = (number & RecentTexts::number_bit) == 0;
        if (place && (whole || entry->by == By::skeleton))
            *place = {number, forgotten, entry, nullptr};
        VerdictPtr verdict = judged(*entry, conditions);
        shrink();
        return verdict;
    }
    ++stats.misses;
    if (skeleton) {
        if (VerdictPtr write = write_by_word(*skeleton)) {
            if (place) *place = {number, forgotten, nullptr, write};
            return write;
        }
    }
    VerdictPtr verdict = parse(sql, skeleton, conditions);
    shrink();
    return verdict;
}

Router::Router(RouterLimits limits) : memory_(std::make_unique<Memory>(limits)) {}

Router::~Router() = default;

const RouterStats& Router::stats() const { return memory_->stats; }

std::shared_ptr<const Verdict> Router::judge(std::string_view sql, const Conditions& conditions,
                                             std::uint64_t number) {
    // What RecentTexts remembers has no comments.
    const Hint hint = (number & RecentTexts::number_bit) != 0 ? Hint::none : hint_of(sql);
    VerdictPtr verdict = memory_->judge(sql, conditions, number);
    return hint == Hint::none ? verdict : hinted(hint, std::move(verdict));
}

void Router::learn_primary(std::string_view sql, const Conditions& conditions) {
    if (!memory_->judge(sql, conditions, 0)->read) return;
    const auto skeleton = skeleton_of(sql, memory_->room);
    if (Entry* const entry = memory_->remembered(sql, skeleton)) {
        entry->learned = true;
        entry->verdict = nullptr;
    }
}

Verdict presume(std::string_view sql) {
    Shape shape = shape_of(sql);
    for (const QualifiedName& name : shape.names.functions) {
        const auto own = own_function(name.name);
        const bool named = name.schema.empty() || name.schema == "pg_catalog";
        if (!named || !own || own->effect == Effect::reads) continue;
        refuse_read(shape.verdict, own->reason, name.name, own->effect == Effect::writes);
    }
    const Hint hint = hint_of(sql);
    auto verdict = std::make_shared<const Verdict>(std::move(shape.verdict));
    return hint == Hint::none ? *verdict : *hinted(hint, std::move(verdict));
}

}  // namespace pgweir::router
