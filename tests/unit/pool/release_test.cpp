// When a server may leave its client (pool/release).
#include "pool/release.hpp"

#include <gtest/gtest.h>

namespace pgweir::pool {
namespace {

using config::PoolMode;
using protocol::TxStatus;

struct ReleaseCase {
    const char* name;
    PoolMode mode;
    TxStatus tx;
    bool settled;
    bool may;
};

constexpr ReleaseCase release_cases[] = {
    {"session keeps it", PoolMode::session, TxStatus::idle, true, false},
    {"session keeps it in a transaction", PoolMode::session, TxStatus::transaction, true, false},
    {"session keeps it after an error", PoolMode::session, TxStatus::failed, true, false},
    {"transaction is over", PoolMode::transaction, TxStatus::idle, true, true},
    {"transaction goes on", PoolMode::transaction, TxStatus::transaction, true, false},
    {"transaction has failed but not ended", PoolMode::transaction, TxStatus::failed, true, false},
    {"transaction is over, replies are not", PoolMode::transaction, TxStatus::idle, false, false},
    {"statement is over", PoolMode::statement, TxStatus::idle, true, true},
    {"statement is over, whatever it began", PoolMode::statement, TxStatus::transaction, true,
     true},
    {"statement failed in a transaction", PoolMode::statement, TxStatus::failed, true, true},
    {"statement is not over", PoolMode::statement, TxStatus::idle, false, false},
    {"session is never over", PoolMode::session, TxStatus::idle, false, false},
};

TEST(Release, OnlyBetweenTransactions) {
    for (const ReleaseCase& c : release_cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(may_release(c.mode, c.tx, c.settled), c.may);
    }
}

}  // namespace
}  // namespace pgweir::pool
