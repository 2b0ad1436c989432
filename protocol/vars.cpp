#include "protocol/vars.hpp"

#include <algorithm>
#include <functional>

#include "protocol/ascii.hpp"

namespace pgweir::protocol {

namespace {

bool name_less(std::string_view a, std::string_view b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                        [](char x, char y) { return folded(x) < folded(y); });
}

auto lower_bound(const VarSet::Entries& entries, std::string_view name) {
    return std::lower_bound(
        entries.begin(), entries.end(), name,
        [](const auto& entry, std::string_view n) { return name_less(entry.first, n); });
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return folded(x) == folded(y); });
}

VarSet::VarSet(Entries entries) : entries_(std::move(entries)) {
    for (const auto& [name, value] : entries_)
        bytes_ += sizeof(Entries::value_type) + name.size() + value.size();
}

const std::string* VarSet::find(std::string_view name) const {
    const auto place = lower_bound(entries_, name);
    return place != entries_.end() && same_name(place->first, name) ? &place->second : nullptr;
}

VarTable::VarTable() : empty_(std::make_shared<const VarSet>(VarSet::Entries{})) {}

Vars VarTable::of(VarSet::Entries entries) {
    if (entries.empty()) return empty_;
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto& a, const auto& b) { return name_less(a.first, b.first); });
    const auto overruled = [](const auto& a, const auto& b) { return same_name(a.first, b.first); };
    // unique() keeps the first of each name: seen from the end that is the last.
    const auto first = std::unique(entries.rbegin(), entries.rend(), overruled).base();
    entries.erase(entries.begin(), first);
    return intern(std::move(entries));
}

Vars VarTable::with(const Vars& base, std::string_view name, std::string_view value) {
    if (const std::string* present = base->find(name); present && *present == value) return base;
    VarSet::Entries entries = base->entries();
    const auto place = entries.begin() + (lower_bound(entries, name) - entries.begin());
    if (place != entries.end() && same_name(place->first, name)) {
        place->second = value;
    } else {
        entries.emplace(place, name, value);
    }
    return intern(std::move(entries));
}

Vars VarTable::without(const Vars& base, std::string_view name) {
    if (!base->find(name)) return base;
    VarSet::Entries entries = base->entries();
    entries.erase(entries.begin() + (lower_bound(entries, name) - entries.begin()));
    return entries.empty() ? empty_ : intern(std::move(entries));
}

Vars VarTable::intern(VarSet::Entries entries) {
    std::size_t hash = 0;
    for (const auto& [name, value] : entries) {
        hash = hash * 31 + std::hash<std::string_view>{}(name);
        hash = hash * 31 + std::hash<std::string_view>{}(value);
    }
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = sets_.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
        Vars set = it->second.lock();
        if (set && set->entries() == entries) return set;
    }
    if (sets_.size() >= sweep_at_) {
        std::erase_if(sets_, [](const auto& item) { return item.second.expired(); });
        sweep_at_ = 2 * sets_.size() + 64;
    }
    Vars fresh = std::make_shared<const VarSet>(std::move(entries));
    sets_.emplace(hash, fresh);
    return fresh;
}

std::size_t VarTable::size() const {
    const std::lock_guard lock(mutex_);
    return sets_.size();
}

std::string set_script(const VarSet& have, const VarSet& want, const VarSet& fresh) {
    static constexpr std::string_view who[] = {"session_authorization", "role"};
    const auto is_who = [](std::string_view name) {
        return std::any_of(std::begin(who), std::end(who),
                           [name](std::string_view n) { return same_name(n, name); });
    };
    const auto differs = [&](std::string_view name) {
        const std::string* const old = have.find(name);
        const std::string* const wanted = want.find(name);
        return old && wanted ? *old != *wanted : old != wanted;
    };
    const auto is_fresh = [&](std::string_view name, const std::string& value) {
        const std::string* const first = fresh.find(name);
        return first && *first == value;
    };
    const bool other = std::any_of(std::begin(who), std::end(who), differs);
    std::string script;
    if (other) {  // a role is bound to its session authorization: both, in this order
        for (const std::string_view name : who) script += "RESET " + quote_identifier(name) + ";";
    }
    for (const auto& [name, value] : have.entries()) {
        if (!is_who(name) && !want.find(name)) script += "RESET " + quote_identifier(name) + ";";
    }
    for (const auto& [name, value] : want.entries()) {
        if (!is_who(name) && differs(name) && is_fresh(name, value))
            script += "RESET " + quote_identifier(name) + ";";
    }
    bool first = true;
    const auto set = [&](std::string_view name, std::string_view value) {
        script += first ? "SELECT " : ",";
        first = false;
        script += set_config(name, value);
    };
    for (const auto& [name, value] : want.entries()) {
        if (!is_who(name) && differs(name) && !is_fresh(name, value)) set(name, value);
    }
    if (!other) return script;
    for (const std::string_view name : who) {
        if (const std::string* const value = want.find(name)) set(name, *value);
    }
    return script;
}

std::string set_config(std::string_view name, std::string_view value) {
    return "pg_catalog.set_config(" + quote_literal(name) + "," + quote_literal(value) + ",false)";
}

std::string quote_literal(std::string_view text) {
    std::string quoted;
    if (text.find('\\') != std::string_view::npos) quoted += " E";
    quoted += '\'';
    for (const char c : text) {
        if (c == '\'' || c == '\\') quoted += c;
        quoted += c;
    }
    return quoted += '\'';
}

std::string quote_identifier(std::string_view text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"') quoted += c;
        quoted += c;
    }
    return quoted += '"';
}

}  // namespace pgweir::protocol
