// Reading a database's catalog for the router: load_queries() and poll_query() on one of its
// servers.
#pragma once

#include <functional>
#include <string>

#include "pool/net/task.hpp"
#include "pool/pool.hpp"
#include "router/catalog_builder.hpp"

namespace pgweir::proxy {

/// One reading, of the primary or any copy of it. Resource; lives in the frame of the story that
/// asks, on the worker it was made for. It runs as whoever the pool's servers are for, and leaves
/// nothing behind in their session.
class CatalogReader final : public pool::Errand {
public:
    /// Borrowed: a server of the pool, in turn with its clients. Own: one beyond the pool's size,
    /// closed afterwards.
    enum class Way : std::uint8_t { borrowed, own };

    CatalogReader(pool::Worker& on, pool::Pool& pool, Way way = Way::borrowed)
        : on_(on),
          pool_(pool),
          way_(way) {}
    ~CatalogReader();
    CatalogReader(const CatalogReader&) = delete;
    CatalogReader& operator=(const CatalogReader&) = delete;

    /// Errors   the server's or the pool's own; 08P01 when the answer is not what was asked for.
    net::Task<protocol::Result<router::CatalogPtr>> load(router::CatalogLists lists);
    /// What Catalog::version() has to be, or the catalog is no longer right. Errors as above.
    net::Task<protocol::Result<std::string>> poll();

    // pool::Errand
    void granted(pool::Server& server) override;
    void refused(const protocol::Error& error) override { event_.set(error); }
    void deliver(const protocol::Segments& replies) override;
    const protocol::Vars& startup() const override { return none_; }
    const protocol::Vars& vars() const override { return none_; }
    void settled() override;
    void own_done(pool::Backend::OwnAnswer answer) override { event_.set(std::move(answer.error)); }
    void lost(const protocol::Error& error) override;

private:
    using Outcome = std::optional<protocol::Error>;  // empty: well
    /// False: the row is not what it should be.
    using TakeRow = std::function<bool(router::CatalogBuilder::Row)>;

    net::Task<Outcome> run(const std::string& sql, TakeRow take);
    net::Task<Outcome> get_server();
    void give_back();
    void read(protocol::Bytes& replies);
    void fail(protocol::Error error);

    pool::Worker& on_;
    pool::Pool& pool_;
    const Way way_;
    pool::Server* server_ = nullptr;
    std::uint32_t server_id_ = 0;  // of an own one, while it logs in as well
    protocol::Vars none_ = on_.shared.vars.empty();
    TakeRow take_;
    std::string rest_;  // of a message that is not whole yet
    Outcome failure_;
    net::Signal<Outcome> event_;
};

}  // namespace pgweir::proxy
