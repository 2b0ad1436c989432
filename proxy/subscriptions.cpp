#include "proxy/subscriptions.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "protocol/vars.hpp"

namespace pgweir::proxy::subscriptions {

using protocol::quote_literal;

namespace {

/// Of the objects that logical replication has to bring: none of PostgreSQL's own, nobody's
/// temporary ones, and none that comes with an extension.
constexpr std::string_view of_users = " join pg_namespace n on n.oid = c.relnamespace"
                                      " where n.nspname not in ('pg_catalog', 'information_schema')"
                                      " and c.relpersistence = 'p' and not exists (select from"
                                      " pg_depend d where d.classid = 'pg_class'::regclass"
                                      " and d.objid = c.oid and d.deptype = 'e')";

std::string text(const Row& row, std::size_t place) {
    return place < row.size() && row[place] ? *row[place] : std::string();
}

bool is_true(const Row& row, std::size_t place) { return text(row, place) == "t"; }

std::string dotted(const Row& row, std::size_t place) {
    return text(row, place) + '.' + text(row, place + 1);
}

/// schema, name, last value of those that were used.
std::string values(const std::vector<Sequence>& all) {
    std::string list;
    for (const Sequence& one : all) {
        list += fmt::format("{}({}::name,{}::name,{})", list.empty() ? "" : ",",
                            quote_literal(one.schema), quote_literal(one.name),
                            one.last.empty() ? "null" : quote_literal(one.last) + "::int8");
    }
    return list;
}

}  // namespace

std::string subscriptions_sql() {
    return "select d.datname, s.subname, s.subslotname, s.subenabled"
           " from pg_subscription s"
           " join pg_database d on d.oid = s.subdbid";
}

std::vector<Subscription> read_subscriptions(const Rows& rows) {
    std::vector<Subscription> all;
    for (const Row& row : rows)
        all.push_back({text(row, 0), text(row, 1), text(row, 2), is_true(row, 3)});
    return all;
}

Trouble find_unsubscribed(const std::vector<Subscription>& all,
                          const std::set<std::string>& databases) {
    for (const Subscription& one : all) {
        if (!databases.contains(one.database)) continue;
        if (!one.enabled || one.slot.empty())
            return fmt::format("subscription \"{}\" of database \"{}\" is not enabled", one.name,
                               one.database);
    }
    for (const std::string& database : databases) {
        if (std::ranges::find(all, database, &Subscription::database) == all.end())
            return fmt::format("database \"{}\" has no subscription there", database);
    }
    return std::nullopt;
}

std::string tables_sql() {
    return fmt::format("select n.nspname, c.relname, rn.nspname, r.relname from pg_class c{}"
                       " and c.relkind = 'r'",
                       " left join pg_class r on r.oid ="
                       " pg_partition_root(c.oid)"
                       " left join pg_namespace rn on rn.oid = r.relnamespace" +
                           std::string(of_users));
}

std::string subscribed_sql() {
    return "select n.nspname, c.relname, s.srsubstate from pg_subscription_rel s"
           " join pg_class c on c.oid = s.srrelid"
           " join pg_namespace n on n.oid = c.relnamespace";
}

Trouble find_unready(const std::string& database, const Rows& tables, const Rows& subscribed) {
    std::set<std::string> ready;
    for (const Row& row : subscribed) {
        if (text(row, 2) != "r")
            return fmt::format("database \"{}\": table {} is still being copied", database,
                               dotted(row, 0));
        ready.insert(dotted(row, 0));
    }
    for (const Row& row : tables) {
        if (!ready.contains(dotted(row, 0)) && !ready.contains(dotted(row, 2)))
            return fmt::format("database \"{}\": table {} is not subscribed to", database,
                               dotted(row, 0));
    }
    return std::nullopt;
}

std::string slots_sql(const std::vector<Subscription>& all) {
    std::string names;
    for (const Subscription& one : all)
        names += (names.empty() ? "" : ",") + quote_literal(one.slot);
    return fmt::format("select slot_name, active, confirmed_flush_lsn from pg_replication_slots"
                       " where slot_name in ({})",
                       names.empty() ? "null" : names);
}

Trouble find_inactive(const std::vector<Subscription>& all, const Rows& slots) {
    for (const Subscription& one : all) {
        const auto slot =
            std::ranges::find(slots, one.slot, [](const Row& row) { return text(row, 0); });
        if (slot == slots.end())
            return fmt::format("subscription \"{}\": there is no slot \"{}\" at the primary",
                               one.name, one.slot);
        if (!is_true(*slot, 1))
            return fmt::format("subscription \"{}\": nobody reads its slot at the primary",
                               one.name);
    }
    return std::nullopt;
}

Trouble find_behind(const Rows& slots, const protocol::Lsn& lsn) {
    for (const Row& row : slots) {
        const auto confirmed = protocol::parse_lsn(text(row, 2));
        if (confirmed && *confirmed >= lsn) continue;
        return fmt::format("slot \"{}\" is at {}, not at {}", text(row, 0), text(row, 2),
                           protocol::format_lsn(lsn));
    }
    return std::nullopt;
}

std::string sequences_sql() {
    return fmt::format("select n.nspname, c.relname, has_sequence_privilege(c.oid, 'SELECT,USAGE'),"
                       " case when has_sequence_privilege(c.oid, 'SELECT,USAGE')"
                       " then pg_sequence_last_value(c.oid) end from pg_class c{}"
                       " and c.relkind = 'S'",
                       of_users);
}

std::vector<Sequence> read_sequences(const Rows& rows) {
    std::vector<Sequence> all;
    for (const Row& row : rows)
        all.push_back({text(row, 0), text(row, 1), is_true(row, 2), text(row, 3)});
    return all;
}

Trouble find_unreadable(const std::string& database, const std::vector<Sequence>& all) {
    const auto found = std::ranges::find(all, false, &Sequence::readable);
    if (found == all.end()) return std::nullopt;
    return fmt::format("database \"{}\": the account that probes may not read sequence {}.{}",
                       database, found->schema, found->name);
}

std::string unsettable_sql(const std::vector<Sequence>& all) {
    if (all.empty()) return {};
    return fmt::format(
        "select v.schema, v.name, c.oid is null from (values {}) v(schema, name, last)"
        " left join pg_namespace n on n.nspname = v.schema"
        " left join pg_class c on c.relnamespace = n.oid"
        " and c.relname = v.name and c.relkind = 'S'"
        " where c.oid is null or not has_sequence_privilege(c.oid, 'UPDATE')",
        values(all));
}

Trouble find_unsettable(const std::string& database, const Rows& unsettable) {
    if (unsettable.empty()) return std::nullopt;
    const Row& row = unsettable.front();
    const std::string name = dotted(row, 0);
    if (is_true(row, 2))
        return fmt::format("database \"{}\": there is no sequence {} there", database, name);
    return fmt::format("database \"{}\": the account that probes may not set sequence {} there",
                       database, name);
}

std::string set_sql(const std::vector<Sequence>& all) {
    std::vector<Sequence> used;
    std::ranges::copy_if(all, std::back_inserter(used),
                         [](const Sequence& one) { return !one.last.empty(); });
    if (used.empty()) return {};
    return fmt::format(
        "select setval(c.oid::regclass, v.last) from (values {}) v(schema, name, last)"
        " join pg_namespace n on n.nspname = v.schema"
        " join pg_class c on c.relnamespace = n.oid"
        " and c.relname = v.name and c.relkind = 'S'",
        values(used));
}

}  // namespace pgweir::proxy::subscriptions
