#include "proxy/catalog_reader.hpp"

#include "protocol/replies.hpp"
#include "protocol/requests.hpp"

namespace pgweir::proxy {

namespace {

constexpr std::size_t message_max = 64U << 20;  // bytes: the tree of one view

protocol::Error bad_answer(std::string text) {
    return {protocol::sqlstate::protocol_violation, protocol::Origin::server, std::move(text)};
}

}  // namespace

CatalogReader::~CatalogReader() { give_back(); }

void CatalogReader::give_back() {
    pool::Server* const server = std::exchange(server_, nullptr);
    if (way_ == Way::borrowed) {
        if (server) {
            pool_.give_back(*server);
        } else {
            pool_.stop_waiting(*this);
        }
        return;
    }
    const auto found = on_.servers.find(std::exchange(server_id_, 0));
    if (found == on_.servers.end()) return;
    found->second->release();
    found->second->close("the catalog is read");
}

net::Task<protocol::Result<router::CatalogPtr>> CatalogReader::load(router::CatalogLists lists) {
    auto builder = std::make_unique<router::CatalogBuilder>(std::move(lists));
    TakeRow take = [&builder](router::CatalogBuilder::Row row) { return builder->take(row); };
    Outcome failure = co_await run(router::load_queries(), std::move(take));
    if (failure) co_return *std::move(failure);
    // Tens of milliseconds for a database of many tables, in which the loop serves its clients.
    auto build = [rows = std::move(builder)] { return rows->build(); };
    co_return co_await on_.shared.catalogs.run<router::CatalogPtr>(on_.loop, std::move(build));
}

net::Task<protocol::Result<std::string>> CatalogReader::poll() {
    std::string version;
    TakeRow take = [&version](router::CatalogBuilder::Row row) {
        if (row.size() != 2 || !row[1]) return false;
        version = *row[1];
        return true;
    };
    Outcome failure = co_await run(router::poll_query(), std::move(take));
    if (failure) co_return *std::move(failure);
    co_return version;
}

net::Task<CatalogReader::Outcome> CatalogReader::run(const std::string& sql, TakeRow take) {
    if (Outcome failure = co_await get_server()) co_return failure;
    take_ = std::move(take);
    rest_.clear();
    failure_.reset();
    std::string bytes;
    protocol::write_query(bytes, sql);
    server_->backend().pipeline().push(
        {protocol::Request::query, protocol::Reply::forward, {}, {}});
    protocol::Segments out;
    out.own(std::move(bytes));
    server_->send(out);
    if (Outcome failure = co_await event_) co_return failure;
    if (server_) give_back();
    co_return std::exchange(failure_, {});
}

net::Task<CatalogReader::Outcome> CatalogReader::get_server() {
    if (way_ == Way::own) {
        const std::uint32_t id = pool_.open_apart(on_, *this);
        if (on_.servers.contains(id)) server_id_ = id;
        co_return co_await event_;
    }
    while (true) {
        server_ = pool_.checkout(on_, *this);
        if (!server_) {
            if (Outcome failure = co_await event_) co_return failure;
        }
        if (server_->startup() == none_) break;  // else its search_path may be a client's
        server_->close("startup parameters differ");
        server_ = nullptr;
    }
    if (server_->lend(*this)) co_return Outcome();
    co_return co_await event_;
}

void CatalogReader::granted(pool::Server& server) {
    server_ = &server;
    event_.set(std::nullopt);
}

void CatalogReader::deliver(const protocol::Segments& replies) {
    for (protocol::Bytes slice : replies.slices()) {
        if (!rest_.empty()) {
            rest_.append(slice);
            protocol::Bytes whole = rest_;
            read(whole);
            rest_.erase(0, rest_.size() - whole.size());
        } else {
            read(slice);
            rest_ = slice;
        }
    }
}

/// Takes the whole messages off `replies`.
void CatalogReader::read(protocol::Bytes& replies) {
    while (true) {
        const auto frame = protocol::first_frame(replies, message_max, protocol::Origin::server);
        if (frame.has_error()) return replies = {}, fail(frame.error());
        if (!*frame || (*frame)->missing > 0) return;
        const protocol::Bytes payload = (*frame)->payload;
        if ((*frame)->type == 'E') {
            const auto report = protocol::read_report(payload);
            fail({protocol::make_sqlstate(report.sqlstate), protocol::Origin::server,
                  std::string(report.message)});
        } else if ((*frame)->type == 'D') {
            const auto row = protocol::read_data_row(payload);
            if (row.has_error()) {
                fail(row.error());
            } else if (!take_(*row)) {
                fail(bad_answer("the catalog's rows are not what was asked for"));
            }
        }
        replies.remove_prefix((*frame)->size());
    }
}

void CatalogReader::fail(protocol::Error error) {
    if (!failure_) failure_ = std::move(error);
}

void CatalogReader::settled() {
    if (server_->backend().settled()) event_.set(std::nullopt);
}

void CatalogReader::lost(const protocol::Error& error) {
    server_ = nullptr;
    server_id_ = 0;
    event_.set(error);
}

}  // namespace pgweir::proxy
