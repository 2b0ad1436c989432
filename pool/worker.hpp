// What every connection on one thread shares.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "config/config.hpp"
#include "pool/net/address.hpp"
#include "pool/net/dns.hpp"
#include "pool/net/loop.hpp"
#include "pool/net/offload.hpp"
#include "pool/net/socket.hpp"
#include "pool/tls_contexts.hpp"
#include "protocol/frame.hpp"
#include "protocol/statement.hpp"
#include "protocol/vars.hpp"

namespace pgweir::pool {

class Server;

/// Tables that all workers use. Thread-safe; live as long as the process.
struct Shared {
    explicit Shared(protocol::StatementTable::Examiner examiner = nullptr) : statements(examiner) {}

    protocol::StatementTable statements;
    protocol::VarTable vars;
    net::Offload offload{2};
    net::Offload catalogs{1};  // which are not to wait for a name server that does not answer
    net::Dns dns{offload};
    std::atomic<std::uint64_t> schema_epoch = 0;  // goes up with every CREATE, ALTER and DROP
    std::atomic<std::uint32_t> next_id = 1;  // one counter for clients and servers, as PgBouncer's
};

/// One thread's world. Resource; everything in it belongs to its thread, but post() on its loop.
struct Worker {
    Worker(unsigned which, Shared& shared_tables, config::ConfigPtr initial);
    ~Worker();

    /// Goes by this configuration from here on.
    void adopt(config::ConfigPtr anew);

    static constexpr std::size_t page_size = 64 * 1024;

    const unsigned index;
    Shared& shared;
    net::Loop loop;
    config::ConfigPtr config;
    TlsContextsPtr tls = std::make_shared<const TlsContexts>();  // of that configuration
    /// Where input is read to. In use between a read and the return to the loop, never across.
    std::unique_ptr<char[]> page = std::make_unique<char[]>(page_size);
    /// For what is too large to be worth a look.
    net::Pipe pipe;
    /// What a pump step sends; same rule.
    protocol::Segments segments;
    std::unordered_map<std::uint32_t, std::unique_ptr<Server>> servers;
};

net::TcpOptions tcp_options(const config::Settings& settings);

}  // namespace pgweir::pool
