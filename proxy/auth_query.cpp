#include "proxy/auth_query.hpp"

#include <fmt/format.h>

#include "protocol/replies.hpp"
#include "protocol/requests.hpp"

namespace pgweir::proxy {

namespace {

constexpr std::int64_t kept_us = 2'000'000;
constexpr std::size_t kept_max = 10'000;          // answers
constexpr std::size_t replies_max = 1 << 20;      // bytes
constexpr std::size_t message_max = replies_max;  // likewise

protocol::Error bad_answer(std::string text) {
    return {protocol::sqlstate::config_file_error, protocol::Origin::proxy, std::move(text)};
}

protocol::Result<FoundSecret> read_row(protocol::Bytes payload, const std::string& user) {
    const auto values = protocol::read_data_row(payload);
    if (values.has_error()) return values.error();
    if (values->size() != 2) {
        return bad_answer(
            fmt::format("expected 2 columns from auth_query, not {}", values->size()));
    }
    // A function that finds nobody may return a row of NULLs.
    const auto& name = (*values)[0];
    if (!name) return FoundSecret();
    if (*name != user) return bad_answer("auth_query returned another user");
    return FoundSecret(protocol::Secret((*values)[1].value_or(std::string_view())));
}

}  // namespace

std::optional<FoundSecret> FoundSecrets::find(const std::string& question, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    const auto at = answers_.find(question);
    if (at == answers_.end() || at->second.until_us < now_us) return std::nullopt;
    return at->second.found;
}

void FoundSecrets::keep(const std::string& question, FoundSecret found, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    if (answers_.size() >= kept_max) answers_.clear();  // they are asked for again
    answers_.insert_or_assign(question, Answer{std::move(found), now_us + kept_us});
}

void FoundSecrets::forget(const std::string& question) {
    const std::lock_guard lock(mutex_);
    answers_.erase(question);
}

AuthQuery::~AuthQuery() {
    if (server_) {
        pool_.give_back(*server_);
    } else {
        pool_.stop_waiting(*this);
    }
}

net::Task<protocol::Result<FoundSecret>> AuthQuery::run(std::string query, std::string user) {
    if (Outcome failure = co_await get_server()) co_return *failure;
    ask(query, user);
    if (Outcome failure = co_await event_) co_return *failure;
    pool_.give_back(*std::exchange(server_, nullptr));
    co_return read_auth_reply(replies_, user);
}

net::Task<AuthQuery::Outcome> AuthQuery::get_server() {
    while (true) {
        server_ = pool_.checkout(on_, *this);
        if (!server_) {
            if (Outcome failure = co_await event_) co_return failure;
        }
        if (server_->startup() != none_) {  // RESET would go back to what a client asked for
            server_->close("startup parameters differ");
            server_ = nullptr;
            continue;
        }
        if (server_->lend(*this)) co_return Outcome();
        co_return co_await event_;
    }
}

void AuthQuery::ask(const std::string& query, const std::string& user) {
    using protocol::Reply;
    using protocol::Request;
    pool::Backend& backend = server_->backend();
    std::string bytes;
    const auto push = [&backend](Request request, Reply reply) {
        backend.pipeline().push({request, reply, {}, {}});
    };
    const auto execute = [&](std::string_view sql, std::span<const protocol::Value> values,
                             Reply reply) {
        protocol::write_parse(bytes, "", sql);
        protocol::write_bind(bytes, "", "", values);
        protocol::write_execute(bytes, "");
        for (const Request request : {Request::parse, Request::bind, Request::execute})
            push(request, reply);
    };
    backend.statements().set_unnamed({}, 0);
    // In transaction pooling the last client may have left any search_path behind.
    execute("RESET search_path", {}, Reply::skip);
    const protocol::Value value = user;
    execute(query, {&value, 1}, Reply::forward);
    protocol::write_sync(bytes);
    push(Request::sync, Reply::forward);
    protocol::Segments out;
    out.own(std::move(bytes));
    server_->send(out);
}

void AuthQuery::granted(pool::Server& server) {
    server_ = &server;
    event_.set(std::nullopt);
}

void AuthQuery::deliver(const protocol::Segments& replies) {
    if (replies_.size() + replies.size() <= replies_max) {
        for (const protocol::Bytes slice : replies.slices()) replies_.append(slice);
    }
}

void AuthQuery::settled() {
    if (server_->backend().settled()) event_.set(std::nullopt);
}

void AuthQuery::own_done(pool::Backend::OwnAnswer answer) { event_.set(std::move(answer.error)); }

void AuthQuery::lost(const protocol::Error& error) {
    server_ = nullptr;
    event_.set(error);
}

protocol::Result<FoundSecret> read_auth_reply(protocol::Bytes replies, const std::string& user) {
    std::optional<FoundSecret> found;
    while (true) {
        const auto frame = protocol::first_frame(replies, message_max, protocol::Origin::server);
        if (frame.has_error()) return frame.error();
        if (!*frame || (*frame)->missing > 0) {
            return bad_answer("the answer to auth_query is too large");
        }
        const protocol::Bytes payload = (*frame)->payload;
        switch ((*frame)->type) {
            case 'E':
                return protocol::Error{
                    protocol::make_sqlstate(protocol::read_report(payload).sqlstate),
                    protocol::Origin::server, std::string(protocol::read_report(payload).message)};
            case 'D': {
                if (found) return bad_answer("auth_query returned more than one row");
                auto row = read_row(payload, user);
                if (row.has_error()) return row.error();
                found = *std::move(row);
                break;
            }
            case 'Z': return found.value_or(FoundSecret());
            default: break;
        }
        replies.remove_prefix((*frame)->size());
    }
}

}  // namespace pgweir::proxy
