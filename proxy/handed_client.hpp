// What a process tells its successor of a client whose connection it hands over.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pool/backend.hpp"
#include "pool/handed_server.hpp"
#include "pool/net/address.hpp"
#include "pool/server_login.hpp"
#include "protocol/vars.hpp"
#include "proxy/cancel_keys.hpp"
#include "proxy/function_book.hpp"

namespace pgweir::proxy {

/// Two processes understand each other when they have the same number.
inline constexpr char handed_format = 3;

/// A client between transactions, with the server it holds if it does. Value; secret.
struct HandedClient {
    std::string user, database;
    net::Address address;
    std::int64_t connected_us = 0;  // on the machine's monotonic clock, which both read
    CancelKey cancel_key;
    bool long_cancel_key = false;
    bool session_mode = false;
    bool unasked = false;  // it has its server since its log-in, and has not used it
    /// What its pool logs in with, in case it learnt that from a client.
    pool::ServerCredentials credentials;
    /// What a RESET gives back, what of that new servers do not have, and what it has.
    protocol::VarSet::Entries startup, own, vars;
    router::Traces pins = 0;  // what keeps its server with it
    Doings prepared;          // of what it has PREPAREd

    struct Statement {
        std::string name;  // empty: the unnamed one
        std::string query;
        std::string types;    // as protocol::Statement::types()
        bool current = true;  // it means what it would mean if it were prepared now
    };
    std::vector<Statement> statements;

    /// What it listens to. Its predecessor goes on hearing for it until `payload` is said on
    /// `marker`, a channel of that process's own.
    struct Channels {
        std::vector<std::string> names;
        std::vector<pool::Notification> echoes;  // as Listening has them
        std::string marker, payload;
    };
    Channels channels;

    /// In a cluster.
    struct Route {
        protocol::VarSet::Entries startup, settings;  // as Routing has them
        bool has_seen =
            false;  // what it wrote or read is not to be missing from what it reads next
    };
    Route route;

    std::optional<pool::HandedServer> server;
};

std::string encode(const HandedClient& client);
/// Errors   08P01 when the bytes are none that encode() makes.
protocol::Result<HandedClient> decode_handed_client(protocol::Bytes bytes);

/// What a process still hears for a client that its successor has. Value.
struct HandedNotification {
    CancelKey client;
    /// Empty: that was all. It may not have been, if `missed` says so.
    std::optional<pool::Notification> said;
    std::uint32_t as_pid = 0;  // from whom it is for the client
    bool missed = false;
};

std::string encode(const HandedNotification& notification);
/// Errors   08P01 when the bytes are none that encode() makes.
protocol::Result<HandedNotification> decode_handed_notification(protocol::Bytes bytes);

}  // namespace pgweir::proxy
