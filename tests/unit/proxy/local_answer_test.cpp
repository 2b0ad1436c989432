// What a client reads when no server has answered.
#include "proxy/local_answer.hpp"

#include <gtest/gtest.h>

#include "protocol/requests.hpp"

namespace pgweir::proxy {
namespace {

using protocol::TxStatus;

/// The types of the messages, and the status of each ReadyForQuery.
std::string types_of(protocol::Bytes replies) {
    std::string types;
    while (!replies.empty()) {
        const auto cut = protocol::cut_frame(replies, 1 << 20);
        types += cut.frame.type;
        if (cut.frame.type == 'Z') types += cut.frame.payload;
        replies.remove_prefix(cut.frame.size());
    }
    return types;
}

std::string answered(std::string_view unit, const LocalAnswer& answer) {
    std::string out;
    write_local_answer(out, unit, answer);
    return types_of(out);
}

std::string query() {
    std::string out;
    protocol::write_query(out, "x");
    return out;
}

std::string batch() {
    std::string out;
    protocol::write_parse(out, "", "x");
    protocol::write_describe(out, 'S', "");
    protocol::write_bind(out, "", "");
    protocol::write_describe(out, 'P', "");
    protocol::write_execute(out, "");
    protocol::write_sync(out);
    return out;
}

TEST(LocalAnswer, ToASimpleQuery) {
    EXPECT_EQ(answered(query(), {.tag = "BEGIN", .status = TxStatus::transaction}), "CZT");
    EXPECT_EQ(answered(query(), {.tag = "SHOW", .columns = {"x"}, .rows = {{"a"}}}), "TDCZI");
    const protocol::Error error{protocol::Sqlstate{"25P02"}, protocol::Origin::proxy, "no"};
    EXPECT_EQ(answered(query(), {.tag = "", .error = error, .status = TxStatus::failed}), "EZE");
}

TEST(LocalAnswer, HasAsManyColumnsAsItSays) {
    std::string out;
    write_local_answer(out, query(),
                       {.tag = "SELECT 2", .columns = {"a", "b"}, .rows = {{"1", "2"}, {"3", ""}}});
    EXPECT_EQ(types_of(out), "TDDCZI");
    const auto description = protocol::cut_frame(out, 1 << 20);
    EXPECT_EQ(description.frame.payload.substr(0, 2), std::string_view("\0\2", 2));
}

TEST(LocalAnswer, ToABatch) {
    EXPECT_EQ(answered(batch(), {.tag = "SET"}), "1tn2nCZI");
    EXPECT_EQ(answered(batch(), {.tag = "SHOW", .columns = {"x"}, .rows = {{"a"}}}), "1tT2TDCZI");
}

TEST(LocalAnswer, AnErrorSkipsTheBatch) {
    const protocol::Error error{protocol::Sqlstate{"25P02"}, protocol::Origin::proxy, "no"};
    const LocalAnswer answer{.tag = "", .error = error, .status = TxStatus::failed};
    EXPECT_EQ(answered(batch(), answer), "EZE");
    EXPECT_EQ(answered(batch() + batch(), answer), "EZEEZE");
}

}  // namespace
}  // namespace pgweir::proxy
