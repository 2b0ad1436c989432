// Clients and servers linked as the program links them, with strings where it has sockets: for
// tests of whole conversations. Frontend and Backend are the real ones; lending and giving back are
// Pool's rules in their shortest form: last in, first out; first come, first served.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>

#include "pool/release.hpp"
#include "proxy/frontend.hpp"
#include "tests/unit/spoken.hpp"

namespace pgweir::tests {

struct LinkOptions {
    config::PoolMode mode = config::PoolMode::transaction;
    int servers_max = 1;
    std::size_t statements_max = 100;  // 0: names are passed on as they are
};

/// Resource. A client and a server are numbers, as in a transcript; they begin when first heard of.
class Link {
public:
    explicit Link(const LinkOptions& options) : options_(options) {}

    struct Client {
        proxy::Frontend frontend;
        std::string inbox;
        std::string received;
        int server = 0;  // 0: not linked
        bool waiting = false;
        bool undecided = false;  // what comes next hangs on an answer of the server's
        bool gone = false;
    };
    struct Server {
        pool::Backend backend;
        std::string inbox;
        std::string received;
        int client = 0;  // 0: idle
        bool gone = false;
        std::size_t heard = 0;    // bytes of `received` that are in `open_batch` already
        bool open_batch = false;  // extended requests have come that no Sync has ended
    };

    /// Bytes of a client. Nothing happens when it is gone.
    void client_says(int id, Bytes bytes) {
        Client& client = this->client(id);
        if (client.gone) return;
        client.inbox += bytes;
        pump(id);
    }

    /// Bytes of a server, whoever is linked to it.
    void server_says(int id, Bytes bytes) {
        Server& server = this->server(id);
        if (server.gone) return;
        server.inbox += bytes;
        protocol::Segments out;
        const auto taken = server.backend.scan(server.inbox, out);
        if (!taken) return lose_server(id, taken.error().message);
        const std::string joined = out.joined();
        server.inbox.erase(0, *taken);
        report(server);
        if (server.client != 0) {
            client(server.client).received += joined;
        } else if (!joined.empty()) {
            nobody_heard += joined;
        }
        if (!server.backend.findings().ready || server.client == 0) return;
        const int client_id = server.client;
        settled(id);
        Client& asker = client(client_id);
        if (asker.undecided && asker.server != 0) forward(client_id);
    }

    /// The connection to a server ends; its client is told so and closed.
    void lose_server(int id, const std::string& reason) {
        Server& server = this->server(id);
        if (server.gone) return;
        server.gone = true;
        last_loss = reason;
        std::erase(idle_, id);
        const int client_id = std::exchange(server.client, 0);
        if (client_id == 0) return;
        Client& client = this->client(client_id);
        client.server = 0;
        client.gone = true;
        serve_waiter();
    }

    /// A client's connection ends.
    void lose_client(int id) {
        Client& client = this->client(id);
        if (client.gone) return;
        client.gone = true;
        std::erase(waiters_, id);
        if (const int server_id = std::exchange(client.server, 0)) give_back(server_id);
    }

    Client& client(int id) { return clients_[id]; }
    Server& server(int id) { return servers_[id]; }
    std::map<int, Client>& clients() { return clients_; }
    std::map<int, Server>& servers() { return servers_; }
    const std::vector<int>& idle() const { return idle_; }
    protocol::StatementTable& table() { return table_; }

    /// Everything that holds whenever nobody is in the middle of a call.
    void check() {
        for (auto& [id, server] : servers_) {
            if (server.gone || server.client != 0) continue;
            EXPECT_TRUE(server.backend.settled()) << "S" << id << " is idle and not settled";
            EXPECT_TRUE(server.backend.pipeline().empty());
            EXPECT_TRUE(server.backend.pipeline().undone().empty());
            if (options_.mode != config::PoolMode::statement) {
                EXPECT_EQ(server.backend.tx(), protocol::TxStatus::idle);
            }
            EXPECT_FALSE(listen(server)) << "S" << id << " is idle within a batch";
        }
        EXPECT_TRUE(waiters_.empty() || idle_.empty()) << "somebody waits while a server is idle";
        EXPECT_EQ(nobody_heard, "") << "a reply came and nobody was linked";
    }

    /// Who is linked to whom, for the message of a test that failed.
    std::string state() {
        std::string text;
        for (auto& [id, server] : servers_) {
            if (server.gone) continue;
            text += "S" + std::to_string(id) +
                    (server.client ? " of C" + std::to_string(server.client) : "");
            text += std::string(" is ") + static_cast<char>(server.backend.tx());
            text += server.backend.settled() ? ", settled\n" : ", not settled\n";
        }
        for (const int id : waiters_) text += "C" + std::to_string(id) + " waits\n";
        return text;
    }

    std::string nobody_heard;  // what servers said that nobody had asked for
    std::string last_loss;     // why the last server was closed

private:
    proxy::RequestRules rules() {
        proxy::RequestRules rules;
        if (options_.mode != config::PoolMode::session) rules.server_max = options_.statements_max;
        rules.table = &table_;
        return rules;
    }

    void pump(int id) {
        Client& client = this->client(id);
        if (client.server == 0) {
            if (client.waiting || !needs_server(id)) return;
            if (!checkout(id)) {
                client.waiting = true;
                waiters_.push_back(id);
                return;
            }
        }
        forward(id);
    }

    bool needs_server(int id) {
        Client& client = this->client(id);
        protocol::Segments replies;
        const auto step = client.frontend.answer_alone(client.inbox, rules(), replies);
        if (!step) return lose_client(id), false;
        client.received += replies.joined();
        client.inbox.erase(0, step->consumed);
        if (step->terminate) return lose_client(id), false;
        return step->wants_server;
    }

    bool checkout(int id) {
        int server_id = 0;
        if (!idle_.empty()) {
            server_id = idle_.back();
            idle_.pop_back();
        } else {
            const auto is_open = [](const auto& item) { return !item.second.gone; };
            if (std::count_if(servers_.begin(), servers_.end(), is_open) >= options_.servers_max) {
                return false;
            }
            server_id = servers_.empty() ? 1 : servers_.rbegin()->first + 1;
        }
        lend(server_id, id);
        return true;
    }

    void lend(int server_id, int client_id) {
        server(server_id).client = client_id;
        client(client_id).server = server_id;
        client(client_id).waiting = false;
    }

    void forward(int id) {
        Client& client = this->client(id);
        Server& server = this->server(client.server);
        protocol::Segments out;
        const auto step = client.frontend.translate(client.inbox, rules(), server.backend, out);
        server.received += out.joined();
        if (!step) return lose_client(id);
        client.inbox.erase(0, step->consumed);
        client.undecided = step->undecided;
        if (step->terminate) return lose_client(id);
        out.clear();
        server.backend.flush_fakes(out);
        client.received += out.joined();
    }

    void report(Server& server) {
        const auto& found = server.backend.findings();
        auto& undone = server.backend.pipeline().undone();
        server.received += found.again;
        if (server.client != 0) {
            proxy::Frontend& frontend = client(server.client).frontend;
            if (!undone.empty()) frontend.statements().undo(undone);
            if (found.discarded_all && options_.mode != config::PoolMode::session) {
                frontend.statements().discard_all(server.backend.pipeline());
            }
        }
        undone.clear();
    }

    void settled(int server_id) {
        Server& server = this->server(server_id);
        Client& client = this->client(server.client);
        if (!server.backend.settled()) return;
        if (options_.mode == config::PoolMode::statement &&
            server.backend.tx() != protocol::TxStatus::idle) {
            return lose_client(server.client);
        }
        if (!pool::may_release(options_.mode, server.backend.tx(),
                               !client.frontend.mid_message())) {
            return;
        }
        client.server = 0;
        client.frontend.released();
        const int client_id = server.client;
        give_back(server_id);
        pump(client_id);
    }

    void give_back(int id) {
        Server& server = this->server(id);
        server.client = 0;
        if (!server.backend.settled() || server.backend.tx() != protocol::TxStatus::idle) {
            server.gone = true;
        } else {
            idle_.push_back(id);
        }
        serve_waiter();
    }

    void serve_waiter() {
        if (waiters_.empty() || !checkout(waiters_.front())) return;
        const int id = waiters_.front();
        waiters_.pop_front();
        forward(id);
    }

    /// Whether the server, by what it has been sent, is between two extended requests of one batch.
    static bool listen(Server& server) {
        Bytes rest = Bytes(server.received).substr(server.heard);
        while (!rest.empty()) {
            const auto cut = protocol::first_frame(rest, 0x7fffffff, protocol::Origin::proxy);
            if (!cut || !*cut || (*cut)->missing > 0) break;
            const char type = (*cut)->type;
            if (type == 'S' || type == 'Q' || type == 'F') server.open_batch = false;
            if (Bytes("PBDEC").find(type) != Bytes::npos) server.open_batch = true;
            rest.remove_prefix((*cut)->size());
        }
        server.heard = server.received.size() - rest.size();
        return server.open_batch;
    }

    LinkOptions options_;
    protocol::StatementTable table_;
    std::map<int, Client> clients_;
    std::map<int, Server> servers_;
    std::vector<int> idle_;
    std::deque<int> waiters_;
};

}  // namespace pgweir::tests
