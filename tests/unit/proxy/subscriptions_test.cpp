// What speaks against an upgrade by logical replication (proxy/subscriptions).
#include "proxy/subscriptions.hpp"

#include <gtest/gtest.h>

namespace pgweir::proxy::subscriptions {
namespace {

const std::vector<Subscription> both = {{"app", "moves", "slot_a", true},
                                        {"other", "moves", "slot_b", true}};

TEST(Subscriptions, EveryDatabaseHasOneThatWorks) {
    EXPECT_EQ(find_unsubscribed(both, {"app", "other"}), std::nullopt);
    EXPECT_EQ(find_unsubscribed(both, {"app", "third"}),
              "database \"third\" has no subscription there");
    const auto read =
        read_subscriptions({{"app", "moves", std::nullopt, "t"}, {"app", "idle", "s", "f"}});
    EXPECT_EQ(find_unsubscribed({read[0]}, {"app"}),
              "subscription \"moves\" of database \"app\" is not enabled");
    EXPECT_EQ(find_unsubscribed({read[1]}, {"app"}),
              "subscription \"idle\" of database \"app\" is not enabled");
    EXPECT_EQ(find_unsubscribed(both, {"app"}), std::nullopt) << "what nobody uses does not matter";
}

TEST(Subscriptions, EveryTableIsThere) {
    const Rows tables = {{"public", "a", std::nullopt, std::nullopt},
                         {"public", "part", "public", "whole"}};
    EXPECT_EQ(find_unready("app", tables, {{"public", "a", "r"}, {"public", "whole", "r"}}),
              std::nullopt);
    EXPECT_EQ(find_unready("app", tables, {{"public", "a", "r"}, {"public", "part", "r"}}),
              std::nullopt);
    EXPECT_EQ(find_unready("app", tables, {{"public", "a", "r"}}),
              "database \"app\": table public.part is not subscribed to");
    EXPECT_EQ(find_unready("app", tables, {{"public", "a", "d"}, {"public", "whole", "r"}}),
              "database \"app\": table public.a is still being copied");
}

TEST(Subscriptions, SlotsAreReadToTheEnd) {
    const Rows slots = {{"slot_a", "t", "0/200"}, {"slot_b", "t", "0/100"}};
    EXPECT_EQ(find_inactive(both, slots), std::nullopt);
    EXPECT_EQ(find_inactive(both, {slots[0]}),
              "subscription \"moves\": there is no slot \"slot_b\" at the primary");
    EXPECT_EQ(find_inactive(both, {slots[0], {"slot_b", "f", "0/100"}}),
              "subscription \"moves\": nobody reads its slot at the primary");
    EXPECT_EQ(find_behind(slots, {0x100}), std::nullopt);
    EXPECT_EQ(find_behind(slots, {0x101}), "slot \"slot_b\" is at 0/100, not at 0/101");
    EXPECT_TRUE(find_behind({{"slot_a", "t", std::nullopt}}, {1}));
}

TEST(Subscriptions, Sequences) {
    const auto all =
        read_sequences({{"public", "it's", "t", "12"}, {"public", "unused", "t", std::nullopt}});
    EXPECT_EQ(all, (std::vector<Sequence>{{"public", "it's", true, "12"},
                                          {"public", "unused", true, ""}}));
    EXPECT_EQ(find_unreadable("app", all), std::nullopt);
    EXPECT_EQ(find_unreadable("app", {{"public", "s", false, ""}}),
              "database \"app\": the account that probes may not read sequence public.s");
    EXPECT_EQ(find_unsettable("app", {}), std::nullopt);
    EXPECT_EQ(find_unsettable("app", {{"public", "s", "t"}}),
              "database \"app\": there is no sequence public.s there");
    EXPECT_EQ(find_unsettable("app", {{"public", "s", "f"}}),
              "database \"app\": the account that probes may not set sequence public.s there");
    EXPECT_NE(set_sql(all).find("('public'::name,'it''s'::name,'12'::int8)"), std::string::npos);
    EXPECT_EQ(set_sql(all).find("unused"), std::string::npos);
    EXPECT_EQ(set_sql({all[1]}), "") << "there is nothing to set";
    EXPECT_NE(unsettable_sql(all).find("('public'::name,'unused'::name,null)"), std::string::npos);
    EXPECT_EQ(unsettable_sql({}), "");
}

}  // namespace
}  // namespace pgweir::proxy::subscriptions
