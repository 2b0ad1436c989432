// The answers to auth_query and how long they are kept (proxy/auth_query).
#include "proxy/auth_query.hpp"

#include <gtest/gtest.h>

#include "protocol/replies.hpp"

namespace pgweir::proxy {
namespace {

using Value = std::optional<std::string_view>;

std::string answer(std::initializer_list<std::vector<Value>> rows) {
    std::string replies;
    for (const auto& row : rows) protocol::write_data_row(replies, row);
    protocol::write_command_complete(replies, "SELECT");
    protocol::write_ready_for_query(replies, protocol::TxStatus::idle);
    return replies;
}

std::string read(const std::string& replies) {
    const auto found = read_auth_reply(replies, "bob");
    if (found.has_error()) return "error: " + found.error().message;
    return found->value_or("nobody");
}

TEST(AuthQuery, Answers) {
    EXPECT_EQ(read(answer({{"bob", "secret"}})), "secret");
    EXPECT_EQ(read(answer({{"bob", std::nullopt}})), "");
    EXPECT_EQ(read(answer({})), "nobody");
    EXPECT_EQ(read(answer({{std::nullopt, std::nullopt}})), "nobody");
    EXPECT_EQ(read(answer({{std::nullopt, "secret"}})), "nobody");
}

TEST(AuthQuery, RefusesOtherAnswers) {
    EXPECT_EQ(read(answer({{"bob"}})), "error: expected 2 columns from auth_query, not 1");
    EXPECT_EQ(read(answer({{"bob", "a", "b"}})),
              "error: expected 2 columns from auth_query, not 3");
    EXPECT_EQ(read(answer({{"eve", "a"}})), "error: auth_query returned another user");
    EXPECT_EQ(read(answer({{"bob", "a"}, {"bob", "a"}})),
              "error: auth_query returned more than one row");
    std::string failed;
    protocol::write_error(failed, protocol::Severity::error, protocol::sqlstate::syntax_error,
                          "no");
    EXPECT_EQ(read(failed), "error: no");
    const std::string whole = answer({{"bob", "secret"}});
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_TRUE(read(whole.substr(0, size)).starts_with("error: ")) << size;
    }
}

TEST(FoundSecrets, AreKeptForAMoment) {
    FoundSecrets found;
    EXPECT_FALSE(found.find("q", 0).has_value());
    found.keep("q", "secret", 0);
    found.keep("r", std::nullopt, 0);
    EXPECT_EQ(found.find("q", 1'000'000), FoundSecret("secret"));
    ASSERT_TRUE(found.find("r", 1'000'000).has_value());
    EXPECT_EQ(*found.find("r", 1'000'000), std::nullopt);
    EXPECT_FALSE(found.find("q", 10'000'000).has_value());
    found.forget("r");
    EXPECT_FALSE(found.find("r", 1'000'000).has_value());
}

TEST(FoundSecrets, AreNotKeptWithoutBound) {
    FoundSecrets found;
    for (int i = 0; i < 20'000; ++i) found.keep(std::to_string(i), "x", 0);
    int kept = 0;
    for (int i = 0; i < 20'000; ++i) kept += found.find(std::to_string(i), 0).has_value() ? 1 : 0;
    EXPECT_LE(kept, 10'000);
    EXPECT_TRUE(found.find("19999", 0).has_value());
}

}  // namespace
}  // namespace pgweir::proxy
