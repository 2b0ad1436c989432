// auth_query: asking a database for a user's secret.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "pool/net/task.hpp"
#include "pool/pool.hpp"
#include "protocol/cleanse.hpp"

namespace pgweir::proxy {

/// nullopt: there is no such user. An empty secret (NULL in the database) fits no password.
using FoundSecret = std::optional<protocol::Secret>;

/// What auth_query found, kept for so short a time that a changed password is soon noticed and a
/// rush of log-ins asks once. Thread-safe.
class FoundSecrets {
public:
    /// nullopt: it has to be asked (again).
    std::optional<FoundSecret> find(const std::string& question, std::int64_t now_us);
    void keep(const std::string& question, FoundSecret found, std::int64_t now_us);
    /// It did not let somebody in: what is true may have changed.
    void forget(const std::string& question);

private:
    struct Answer {
        FoundSecret found;
        std::int64_t until_us;
    };

    std::mutex mutex_;
    std::map<std::string, Answer, std::less<>> answers_;
};

/// One run of the query, on a server of `pool`. Resource; lives in the frame of the story that
/// asks. The server is given none of the asking client's variables, and its search_path is the
/// role's own.
class AuthQuery final : public pool::Errand {
public:
    AuthQuery(pool::Worker& on, pool::Pool& pool) : on_(on), pool_(pool) {}
    ~AuthQuery();
    AuthQuery(const AuthQuery&) = delete;
    AuthQuery& operator=(const AuthQuery&) = delete;

    /// Runs `query` with `user` as its parameter $1.
    /// Errors   the server's or the pool's own; F0000 when the answer is not a name and a secret.
    net::Task<protocol::Result<FoundSecret>> run(std::string query, std::string user);

    // pool::Errand
    void granted(pool::Server& server) override;
    void refused(const protocol::Error& error) override { event_.set(error); }
    void deliver(const protocol::Segments& replies) override;
    const protocol::Vars& startup() const override { return none_; }
    const protocol::Vars& vars() const override { return none_; }
    void settled() override;
    void own_done(pool::Backend::OwnAnswer answer) override;
    void lost(const protocol::Error& error) override;

private:
    using Outcome = std::optional<protocol::Error>;  // empty: well

    net::Task<Outcome> get_server();
    void ask(const std::string& query, const std::string& user);

    pool::Worker& on_;
    pool::Pool& pool_;
    pool::Server* server_ = nullptr;
    protocol::Vars none_ = on_.shared.vars.empty();
    std::string replies_;
    net::Signal<Outcome> event_;
};

/// The secret of `user` in the replies to the query.
protocol::Result<FoundSecret> read_auth_reply(protocol::Bytes replies, const std::string& user);

}  // namespace pgweir::proxy
