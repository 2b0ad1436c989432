// A PostgreSQL of the simulated cluster: its process, its log, and the connections to it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/kernel.hpp"
#include "tests/simulation/variables.hpp"

namespace pgweir::simulation {

class Backend;
class Cluster;

/// A committed write.
struct Record {
    std::string token;
    std::uint32_t timeline;

    friend bool operator==(const Record&, const Record&) = default;
};

/// A NOTIFY that was committed.
struct Notice {
    std::uint32_t pid;
    std::string channel, payload;
};

/// Resource; lives as long as the simulation.
class Node {
public:
    Node(Kernel& kernel, Cluster& cluster, std::string address, bool primary);
    ~Node();

    const std::string address;
    Kernel& kernel;
    Cluster& cluster;

    bool up = true;
    bool hung = false;     // it is there and does nothing
    bool primary = false;  // it says so
    std::uint32_t timeline = 1;
    std::int64_t start_us = 1;
    std::vector<Record> log;  // received; of a primary: written
    std::size_t replayed = 0;
    std::shared_ptr<Cable> cable = std::make_shared<Cable>();
    std::map<int, const Backend*> locks;  // advisory ones
    std::vector<Notice> notices;          // in the order of their commits

    /// The program connects.
    void connected(const WirePtr& wire);
    /// The process ends: connections break, nobody listens.
    void crash();
    void start();
    /// Everything waits, new connections too.
    void hang(bool hangs);
    /// The connections to a node whose role changes end.
    void end_connections();
    /// A transaction has notified: sessions that are idle hear of it at once.
    void notify();
    const Backend* find(std::uint32_t pid) const;
    /// A cancel request.
    void cancel(std::uint32_t pid, std::string_view key);

    /// How much of the log a query sees.
    std::size_t visible() const { return primary ? log.size() : replayed; }
    std::size_t count(const std::string& token) const;
    /// Connections that have logged in as the application's user.
    std::size_t connections() const;
    const std::vector<std::unique_ptr<Backend>>& backends() const { return backends_; }

private:
    std::vector<std::unique_ptr<Backend>> backends_;
};

}  // namespace pgweir::simulation
