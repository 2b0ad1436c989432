// What a cluster's client is answered without a server, and which of its requests may be read from
// a replica.
#include "proxy/routing.hpp"

#include <gtest/gtest.h>

#include "protocol/requests.hpp"
#include "router/router.hpp"

namespace pgweir::proxy {
namespace {

using protocol::TxStatus;

/// By the router as it is without a catalog; nothing is prepared.
struct Sources final : UnitSources {
    explicit Sources(router::Router& its) : router(its) {}
    Judged judge(std::string_view text, std::uint64_t number) const override {
        return {router.judge(text, {}, number)};
    }
    const protocol::Statement* prepared(std::string_view) const override { return nullptr; }
    router::Router& router;
};

/// A client that speaks simple queries.
struct Speaker {
    explicit Speaker(Routing::Rules rules = {.cluster = "c"}) : routing(std::move(rules)) {}

    Unit unit(std::string_view sql) {
        message.clear();
        protocol::write_query(message, sql);
        return examine(message, {1 << 20, 1 << 20}, Sources(router));
    }
    std::optional<LocalAnswer> ask(std::string_view sql) {
        const Unit asked = unit(sql);
        return routing.answer(asked, message, token);
    }
    bool to_replica(std::string_view sql, Routing::Defaults defaults = {}) {
        return routing.aim(unit(sql), defaults).replica;
    }

    router::Router router;
    Routing routing;
    std::string message;
    std::optional<health::Token> token;
};

TEST(Routing, ReadsMayBeReplicas) {
    Speaker speaker;
    EXPECT_TRUE(speaker.to_replica("SELECT 1"));
    EXPECT_FALSE(speaker.to_replica("INSERT INTO t VALUES (1)"));
    EXPECT_FALSE(speaker.to_replica("SELECT 1", {.serializable = true}));
    EXPECT_FALSE(Speaker({.cluster = "c", .split = false}).to_replica("SELECT 1"));
    EXPECT_FALSE(
        Speaker({.cluster = "c", .role = config::TargetRole::primary}).to_replica("SELECT 1"));
    EXPECT_TRUE(Speaker({.cluster = "c", .role = config::TargetRole::replica})
                    .to_replica("INSERT INTO t VALUES (1)"));
}

TEST(Routing, SomeSessionsPreferAPlace) {
    using Target = config::Preference::Target;
    const auto reads_at_replica = [](Target target, bool split, std::string_view first = {}) {
        Speaker speaker(
            {.cluster = "c", .split = split, .preferred = config::Preference{.target = target}});
        EXPECT_FALSE(speaker.to_replica("INSERT INTO t VALUES (1)"));
        if (!first.empty()) speaker.ask(first);
        return speaker.to_replica("SELECT 1");
    };
    EXPECT_FALSE(reads_at_replica(Target::primary, true));
    EXPECT_TRUE(reads_at_replica(Target::primary, true, "SET pgweir.route = 'replica'"));
    EXPECT_TRUE(reads_at_replica(Target::replica, false));
    EXPECT_TRUE(reads_at_replica(Target::node, false));
    EXPECT_FALSE(reads_at_replica(Target::node, true, "SET pgweir.route = 'primary'"));
}

TEST(Routing, ATransactionBeginsWithoutAServer) {
    Speaker speaker;
    const auto begun = speaker.ask("BEGIN");
    ASSERT_TRUE(begun);
    EXPECT_EQ(begun->tag, "BEGIN");
    EXPECT_EQ(begun->status, TxStatus::transaction);
    EXPECT_EQ(speaker.routing.begun(), "BEGIN");
    EXPECT_FALSE(speaker.to_replica("SELECT 1"));
    EXPECT_FALSE(speaker.ask("SELECT 1"));
    EXPECT_FALSE(speaker.ask("BEGIN")) << "the warning is the server's";
    const auto ended = speaker.ask("COMMIT");
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->tag, "COMMIT");
    EXPECT_EQ(ended->status, TxStatus::idle);
    EXPECT_FALSE(speaker.ask("COMMIT")) << "so is this one";
    EXPECT_EQ(speaker.ask("START TRANSACTION")->tag, "START TRANSACTION");
    EXPECT_EQ(speaker.ask("ABORT")->tag, "ROLLBACK");
}

TEST(Routing, AReadOnlyTransactionMayBeAReplicas) {
    Speaker speaker;
    ASSERT_TRUE(speaker.ask("BEGIN READ ONLY"));
    EXPECT_TRUE(speaker.to_replica("SELECT 1"));
    EXPECT_FALSE(speaker.to_replica("SELECT pg_advisory_lock(1)"));
    ASSERT_TRUE(speaker.ask("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"));
    EXPECT_FALSE(speaker.to_replica("SELECT 1"));
    EXPECT_EQ(speaker.routing.begun(),
              "BEGIN READ ONLY;SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    ASSERT_TRUE(speaker.ask("ROLLBACK"));
    ASSERT_TRUE(speaker.ask("BEGIN"));
    EXPECT_TRUE(speaker.to_replica("SELECT 1", {.read_only = true}));
    EXPECT_FALSE(speaker.to_replica("SELECT 1"));
}

TEST(Routing, SettingsOfOursAreKeptHere) {
    Speaker speaker;
    EXPECT_EQ(speaker.ask("SET pgweir.route = 'primary'")->tag, "SET");
    EXPECT_FALSE(speaker.to_replica("SELECT 1"));
    using Rows = std::vector<std::vector<std::string>>;
    EXPECT_EQ(speaker.ask("SHOW pgweir.route")->rows, (Rows{{"primary"}}));
    EXPECT_EQ(speaker.ask("RESET pgweir.route")->tag, "RESET");
    EXPECT_TRUE(speaker.to_replica("SELECT 1"));
    const auto refused = speaker.ask("SET pgweir.route = 'nowhere'");
    ASSERT_TRUE(refused && refused->error);
    EXPECT_EQ(refused->error->sqlstate.view(), "22023");
    EXPECT_EQ(speaker.ask("SET pgweir.nothing = 1")->error->sqlstate.view(), "42704");
    speaker.ask("SET pgweir.consistency = 'global'");
    EXPECT_EQ(speaker.routing.consistency(), config::Consistency::global);
}

TEST(Routing, SettingsOfOursBeginWithTheSession) {
    Speaker speaker;
    EXPECT_FALSE(speaker.routing.start({{"PgWeir.Route", "primary"}}));
    EXPECT_FALSE(speaker.to_replica("SELECT 1"));
    speaker.ask("SET pgweir.route = 'auto'");
    EXPECT_TRUE(speaker.to_replica("SELECT 1"));
    speaker.ask("RESET pgweir.route");
    EXPECT_FALSE(speaker.to_replica("SELECT 1"));
    EXPECT_EQ(Routing({}).start({{"pgweir.route", "nowhere"}})->sqlstate.view(), "22023");
    EXPECT_EQ(Routing({}).start({{"pgweir.nothing", "1"}})->sqlstate.view(), "42704");
}

TEST(Routing, SettingsOfOursAreHandedOver) {
    Speaker before, after;
    before.routing.start({{"pgweir.route", "primary"}});
    before.ask("SET pgweir.route = 'auto'");
    before.ask("SET pgweir.consistency = 'eventual'");
    after.routing.start(before.routing.startup());
    after.routing.move_in(before.routing.settings());
    EXPECT_TRUE(after.to_replica("SELECT 1"));
    EXPECT_EQ(after.routing.consistency(), config::Consistency::eventual);
    after.ask("RESET pgweir.consistency");
    after.ask("RESET pgweir.route");
    EXPECT_EQ(after.routing.consistency(), config::Consistency::session);
    EXPECT_FALSE(after.to_replica("SELECT 1"));
}

TEST(Routing, SetLocalEndsWithItsTransaction) {
    Speaker speaker;
    speaker.ask("SET LOCAL pgweir.route = 'primary'");
    EXPECT_TRUE(speaker.to_replica("SELECT 1")) << "there is no transaction";
    speaker.ask("BEGIN READ ONLY");
    speaker.ask("SET LOCAL pgweir.route = 'primary'");
    EXPECT_FALSE(speaker.to_replica("SELECT 1"));
    speaker.ask("COMMIT");
    EXPECT_TRUE(speaker.to_replica("SELECT 1"));
}

TEST(Routing, ALostTransactionFailsUntilItsEnd) {
    Speaker speaker;
    speaker.routing.fail(
        protocol::Error{protocol::Sqlstate{"40001"}, protocol::Origin::proxy, "lost"});
    EXPECT_EQ(speaker.ask("SELECT 1")->error->sqlstate.view(), "40001");
    EXPECT_EQ(speaker.ask("SELECT 1")->error->sqlstate.view(), "25P02");
    EXPECT_EQ(speaker.ask("SELECT 1")->status, TxStatus::failed);
    const auto ended = speaker.ask("COMMIT");
    EXPECT_EQ(ended->tag, "ROLLBACK");
    EXPECT_FALSE(ended->error);
    EXPECT_EQ(ended->status, TxStatus::idle);
    EXPECT_FALSE(speaker.ask("SELECT 1"));
}

TEST(Routing, ABatchThatOnlyClosesHearsNothingOfALostTransaction) {
    Speaker speaker;
    speaker.routing.fail(
        protocol::Error{protocol::Sqlstate{"40001"}, protocol::Origin::proxy, "lost"});
    std::string batch;
    protocol::write_close(batch, 'S', "name");
    protocol::write_sync(batch);
    Unit unit;
    unit.extent = Unit::Extent::closed;
    const auto closed = speaker.routing.answer(unit, batch, std::nullopt);
    ASSERT_TRUE(closed);
    EXPECT_FALSE(closed->error);
    EXPECT_EQ(closed->status, TxStatus::transaction);
    EXPECT_EQ(speaker.ask("SELECT 1")->error->sqlstate.view(), "40001");
}

TEST(Routing, ALostTransactionIsNotSaidToBeCommitted) {
    Speaker speaker;
    speaker.routing.fail(
        protocol::Error{protocol::Sqlstate{"40001"}, protocol::Origin::proxy, "lost"});
    const auto ended = speaker.ask("COMMIT");
    ASSERT_TRUE(ended->error);
    EXPECT_EQ(ended->error->sqlstate.view(), "40001");
    EXPECT_EQ(ended->status, TxStatus::idle);
    speaker.routing.fail(
        protocol::Error{protocol::Sqlstate{"40001"}, protocol::Origin::proxy, "lost"});
    EXPECT_FALSE(speaker.ask("ROLLBACK")->error);
}

}  // namespace
}  // namespace pgweir::proxy
