// The router's knowledge of the databases whose reads are split, kept fresh.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "config/config.hpp"
#include "pool/aim.hpp"
#include "router/catalog.hpp"

namespace pgweir::proxy {

class CatalogKeeper;
class Process;

/// One database: its cluster, and its name at the servers.
using CatalogKey = std::pair<std::string, std::string>;

/// What one worker knows of one database. Belongs to that worker's thread but for `changes`.
struct KnownCatalog {
    router::CatalogPtr catalog;  // nullptr: not read yet
    std::uint64_t as_of = 0;     // what `changes` was when its reading began
    /// Goes up when a client of ours may have changed what the catalog says. Shared by all workers.
    std::shared_ptr<std::atomic<std::uint64_t>> changes;

    bool suspect() const { return as_of != changes->load(std::memory_order_relaxed); }
};

/// Resource; one a process.
class Catalogs {
public:
    explicit Catalogs(Process& process);
    ~Catalogs();
    Catalogs(const Catalogs&) = delete;
    Catalogs& operator=(const Catalogs&) = delete;

    /// From here on that database's catalog is read, and read anew when it changes: every shard
    /// gets it. Any thread. Returns  KnownCatalog::changes.
    std::shared_ptr<std::atomic<std::uint64_t>> want(const CatalogKey& key);
    /// Something was created, altered or dropped there: it is read again at once. Any thread.
    void changed(const CatalogKey& key);

    // The main thread.
    /// The cluster's primary is there now.
    void aim(const std::string& cluster, const pool::Aim& primary);
    /// Its nodes are other ones, with other catalogs.
    void renew(const std::string& cluster);
    /// A new configuration, or the first: what is kept is read again by its rules, and what its
    /// entries name is read before the first client comes, whose reads would all be the primary's.
    void apply(const config::Config& config);
    /// No reading goes on from here on.
    void stop();

private:
    void make_keeper(const CatalogKey& key, std::shared_ptr<std::atomic<std::uint64_t>> changes);

    Process& process_;
    std::map<CatalogKey, std::unique_ptr<CatalogKeeper>> keepers_;
    std::map<std::string, pool::Aim> aims_;
    std::mutex mutex_;  // guards what follows
    std::map<CatalogKey, std::shared_ptr<std::atomic<std::uint64_t>>> changes_;
};

}  // namespace pgweir::proxy
