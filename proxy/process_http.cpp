// The process's side of /metrics and the status page: where they are served, and its own figures.
#include "pool/net/log.hpp"
#include "proxy/admin/snapshot.hpp"
#include "proxy/http/listen.hpp"
#include "proxy/http/site.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

using net::log::Level;

/// At start: where the configuration says, or the predecessor's socket.
bool Process::open_http(std::vector<int>& inherited) {
    const std::string& address = config()->native.http;
    if (address.empty()) return true;
    const auto socket = http::listen(address, inherited);
    if (socket.has_error()) {
        net::log::print(Level::fatal, {}, "{}", socket.error().message);
        return false;
    }
    http_socket_ = *socket;
    http_address_ = address;
    return true;
}

void Process::serve_http() {
    if (http_socket_ < 0) return;
    http_ = std::make_unique<http::Site>(*this, std::exchange(http_socket_, -1));
}

/// False, and the log says why, when that address cannot be had: then all is as before.
bool Process::move_http(const std::string& address) {
    if (address == http_address_) return true;
    if (address.empty()) {
        http_.reset();
        http_address_.clear();
        return true;
    }
    std::vector<int> none;
    auto socket = http::listen(address, none);
    if (socket.has_error() && http_) {  // the old one may be in its way: every address, one address
        http_.reset();
        socket = http::listen(address, none);
    }
    if (socket.has_error()) {
        net::log::print(Level::error, {}, "{}", socket.error().message);
        if (http_ || http_address_.empty()) return false;
        const auto back = http::listen(http_address_, none);
        if (back.has_value()) http_ = std::make_unique<http::Site>(*this, *back);
        return false;
    }
    http_ = std::make_unique<http::Site>(*this, *socket);
    http_address_ = address;
    return true;
}

admin::ProcessState Process::state() const {
    admin::ProcessState state;
    state.started_us = started_us_;
    state.shutting_down = shutdown_ != Shutdown::none;
    state.handing_over = hands_over();
    state.reloads = reloads_;
    state.failed_reloads = failed_reloads_;
    state.reload_failed = reload_failed_;
    state.loaded_us = loaded_us_;
    state.clients = clients();
    state.consoles = consoles_.load(std::memory_order_relaxed);
    state.certificates = certificates_;
    state.held_bytes = memory_.held();
    state.closed_for_memory = memory_.closed();
    return state;
}

}  // namespace pgweir::proxy
