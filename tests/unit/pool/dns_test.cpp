#include "pool/net/dns.hpp"

#include <gtest/gtest.h>

#include <map>

namespace pgweir::net {
namespace {

constexpr std::int64_t long_us = 3'600'000'000;

/// Names with their addresses, as a name server would have them; "?" is a server that fails.
class Names : public testing::Test {
protected:
    Names() { dns_.set_times(long_us, long_us); }

    /// The addresses that so many connections would go to.
    std::string resolve(const std::string& host, int times = 1) {
        std::string all;
        Loop loop;
        detach(loop, story(loop, host, times, all));
        loop.run();
        return all;
    }

    void refresh() {
        Loop loop;
        dns_.refresh(loop);
        detach(loop, end(loop));
        loop.run();
    }

    bool has(const char* address) { return dns_.has("db", *numeric_address(address, 5432)); }

    std::map<std::string, std::vector<std::string>> zone_{{"db", {"10.0.0.1", "10.0.0.2"}}};
    std::atomic<int> asked_ = 0;
    std::map<std::string, std::optional<std::uint32_t>> serials_;
    std::atomic<int> serials_asked_ = 0;

private:
    Lookup ask(const std::string& host) {
        ++asked_;
        Lookup answer;
        const auto found = zone_.find(host);
        answer.no_such_name = found == zone_.end();
        if (answer.no_such_name || found->second == std::vector<std::string>{"?"}) return answer;
        for (const std::string& address : found->second)
            answer.addresses.push_back(*numeric_address(address, 0));
        return answer;
    }

    Task<> story(Loop& loop, std::string host, int times, std::string& all) {
        for (int i = 0; i < times; ++i) {
            const auto found = co_await dns_.resolve(loop, host, 5432);
            all += (all.empty() ? "" : " ") +
                   (found.has_error() ? found.error().message : found->text());
        }
        loop.stop();
    }

    /// Behind whatever has been asked by now: there is one thread, which takes it in order.
    Task<> end(Loop& loop) {
        auto nothing = [] { return 0; };
        co_await offload_.run<int>(loop, nothing);
        loop.stop();
    }

    Offload offload_{1};

protected:
    Dns dns_{offload_, [this](const std::string& host) { return ask(host); },
             [this](const std::string& zone) {
                 ++serials_asked_;
                 return serials_[zone];
             }};
};

TEST_F(Names, AreAskedForOnceAndTakenInTurn) {
    EXPECT_EQ(resolve("db", 3), "10.0.0.1:5432 10.0.0.2:5432 10.0.0.1:5432");
    EXPECT_EQ(resolve("db"), "10.0.0.2:5432");
    EXPECT_EQ(asked_, 1);
}

TEST_F(Names, ThatAreNumbersAreNotAskedFor) {
    EXPECT_EQ(resolve("10.1.2.3"), "10.1.2.3:5432");
    EXPECT_EQ(resolve("::1"), "[::1]:5432");
    EXPECT_EQ(asked_, 0);
    EXPECT_TRUE(dns_.known(0).empty());
}

TEST_F(Names, ThatAreNotThereAreRememberedToo) {
    EXPECT_EQ(resolve("nowhere", 2), "server DNS lookup failed server DNS lookup failed");
    EXPECT_EQ(asked_, 1);
    dns_.set_times(long_us, 0);
    zone_["elsewhere"] = {"?"};
    resolve("elsewhere", 2);
    EXPECT_EQ(asked_, 3);
}

TEST_F(Names, AreAskedForAgainInTime) {
    dns_.set_times(0, long_us);
    EXPECT_EQ(resolve("db"), "10.0.0.1:5432");
    zone_["db"] = {"10.0.0.3"};
    EXPECT_EQ(resolve("db"), "10.0.0.3:5432");
    EXPECT_EQ(asked_, 2);
}

TEST_F(Names, LoseAddresses) {
    dns_.set_times(0, 0);
    resolve("db");
    EXPECT_TRUE(has("10.0.0.1"));
    EXPECT_TRUE(has("10.0.0.2"));
    EXPECT_FALSE(has("10.0.0.3"));
    zone_["db"] = {"10.0.0.2", "10.0.0.3"};
    refresh();
    EXPECT_FALSE(has("10.0.0.1"));
    EXPECT_TRUE(has("10.0.0.2"));
    EXPECT_TRUE(has("10.0.0.3"));
}

TEST_F(Names, KeepAddressesWhenNobodyCanBeAsked) {
    dns_.set_times(0, 0);
    resolve("db");
    for (const bool gone : {false, true}) {
        SCOPED_TRACE(gone);
        zone_["db"] = {"?"};
        if (gone) zone_.erase("db");
        EXPECT_TRUE(has("10.0.0.1"));
        refresh();
        EXPECT_TRUE(has("10.0.0.1"));
        EXPECT_EQ(resolve("db"), gone ? "server DNS lookup failed" : "10.0.0.2:5432");
    }
}

TEST_F(Names, NotInUseAreLeftAlone) {
    dns_.set_times(0, 0);
    resolve("db");
    refresh();
    EXPECT_EQ(asked_, 1);
    has("10.0.0.1");
    refresh();
    EXPECT_EQ(asked_, 2);
    refresh();
    EXPECT_EQ(asked_, 2);
}

TEST_F(Names, AreAskedForAgainWhenTheirZoneChanges) {
    zone_["a.example"] = {"10.0.0.1"};
    zone_["b.example"] = {"10.0.0.2"};
    zone_["a.elsewhere"] = {"10.0.0.3"};
    serials_ = {{"example", 7}, {"elsewhere", 1}};
    for (const char* const host : {"a.example", "b.example", "a.elsewhere", "db"}) resolve(host);
    refresh();
    EXPECT_EQ(serials_asked_, 0) << "zones are not looked at";
    dns_.set_zone_period(1);
    refresh();
    const auto zones = dns_.zones();
    ASSERT_EQ(zones.size(), 2u);
    EXPECT_EQ(zones[0].zone, "elsewhere");
    EXPECT_EQ(zones[1].zone, "example");
    EXPECT_EQ(zones[1].serial, 7u);
    EXPECT_EQ(zones[1].hosts, 2u);
    EXPECT_EQ(asked_, 4);
    refresh();
    for (const char* const host : {"a.example", "b.example", "a.elsewhere"}) resolve(host);
    EXPECT_EQ(asked_, 4) << "nothing has changed";
    serials_["example"] = 8;
    zone_["a.example"] = {"10.0.0.9"};
    refresh();
    EXPECT_EQ(resolve("a.example"), "10.0.0.9:5432");
    EXPECT_EQ(resolve("b.example"), "10.0.0.2:5432");
    EXPECT_EQ(resolve("a.elsewhere"), "10.0.0.3:5432");
    EXPECT_EQ(asked_, 6);
    serials_["example"] = std::nullopt;  // nobody can be asked
    refresh();
    resolve("a.example");
    EXPECT_EQ(asked_, 6);
    EXPECT_EQ(dns_.zones()[1].serial, 8u);
    dns_.set_zone_period(long_us);
    refresh();
    const int before = serials_asked_;
    refresh();
    EXPECT_EQ(serials_asked_, before) << "not yet";
    dns_.set_zone_period(0);
    refresh();
    EXPECT_TRUE(dns_.zones().empty());
}

TEST_F(Names, AreShown) {
    resolve("db");
    resolve("nowhere");
    const auto known = dns_.known(Loop().now_us());
    ASSERT_EQ(known.size(), 2u);
    EXPECT_EQ(known[0].host, "db");
    EXPECT_EQ(known[0].addresses.size(), 2u);
    EXPECT_EQ(known[0].addresses[1].text(), "10.0.0.2:0");
    EXPECT_GT(known[0].ttl_us, long_us / 2);
    EXPECT_TRUE(known[1].addresses.empty());
}

}  // namespace
}  // namespace pgweir::net
