#include "proxy/handed_client.hpp"

#include <concepts>
#include <limits>

namespace pgweir::proxy {

namespace {

template <class U, class T>
concept Is = std::same_as<std::remove_const_t<U>, T>;

// What each value consists of, in the order in which it is handed over: said once, for writing
// (where the values are constant) and for reading.

template <class Wire>
void parts(Wire& wire, Is<CancelKey> auto& key) {
    wire(key.pid, key.secret);
}

template <class Wire>
void parts(Wire& wire, Is<pool::Notification> auto& said) {
    wire(said.pid, said.channel, said.payload);
}

template <class Wire>
void parts(Wire& wire, Is<pool::ServerCredentials> auto& known) {
    wire(known.user, known.secret, known.client_key, known.server_key, known.listed);
}

template <class Wire>
void parts(Wire& wire, Is<Doings> auto& doings) {
    wire(doings.traces, doings.variables, doings.all_variables, doings.functions);
}

template <class Wire>
void parts(Wire& wire, Is<HandedClient::Statement> auto& statement) {
    wire(statement.name, statement.query, statement.types, statement.current);
}

template <class Wire>
void parts(Wire& wire, Is<HandedClient::Channels> auto& channels) {
    wire(channels.names, channels.echoes, channels.marker, channels.payload);
}

template <class Wire>
void parts(Wire& wire, Is<HandedClient::Route> auto& route) {
    wire(route.startup, route.settings, route.has_seen);
}

template <class Wire>
void parts(Wire& wire, Is<pool::HandedServer> auto& server) {
    wire(server.address, server.host, server.connected_us, server.backend_pid, server.cancel_key,
         server.close_needed, server.holders_sequences, server.startup, server.vars,
         server.fresh_vars);
}

template <class Wire>
void parts(Wire& wire, Is<HandedClient> auto& client) {
    wire(client.user, client.database, client.address, client.connected_us, client.cancel_key,
         client.long_cancel_key, client.session_mode, client.unasked, client.credentials,
         client.startup, client.own, client.vars, client.pins, client.prepared, client.statements,
         client.channels, client.route, client.server);
}

template <class Wire>
void parts(Wire& wire, Is<HandedNotification> auto& notification) {
    wire(notification.client, notification.said, notification.as_pid, notification.missed);
}

class Writing {
public:
    template <class... T>
    void operator()(const T&... values) {
        (put(values), ...);
    }
    std::string take() { return std::move(bytes_); }

private:
    void put(bool flag) { out_.u8(flag ? 1 : 0); }
    void put(std::uint32_t number) { out_.u32(number); }
    void put(std::int64_t number) {
        const auto bits = static_cast<std::uint64_t>(number);
        out_.u32(static_cast<std::uint32_t>(bits >> 32)).u32(static_cast<std::uint32_t>(bits));
    }
    void put(std::string_view text) {
        out_.u32(static_cast<std::uint32_t>(text.size())).bytes(text);
    }
    void put(const std::string& text) { put(std::string_view(text)); }
    void put(const protocol::Secret& text) { put(std::string_view(text)); }
    void put(const net::Address& address) {
        const void* const bytes = address.raw();
        put(std::string_view(static_cast<const char*>(bytes), address.size()));
    }
    void put(const std::pair<std::string, std::string>& pair) { (*this)(pair.first, pair.second); }
    template <class T>
    void put(const std::vector<T>& values) {
        out_.u32(static_cast<std::uint32_t>(values.size()));
        for (const T& value : values) put(value);
    }
    template <class T>
    void put(const std::optional<T>& value) {
        put(value.has_value());
        if (value) put(*value);
    }
    template <class T>
    void put(const T& value) {
        parts(*this, value);
    }

    std::string bytes_;
    protocol::Writer out_{bytes_};
};

class Reading {
public:
    explicit Reading(protocol::Bytes bytes) : in_(bytes) {}

    template <class... T>
    void operator()(T&... values) {
        (get(values), ...);
    }
    bool done() const { return in_.done(); }

private:
    void get(bool& flag) { flag = in_.u8() != 0; }
    void get(std::uint32_t& number) { number = in_.u32(); }
    void get(std::int64_t& number) {
        const std::uint64_t upper = in_.u32();
        number = static_cast<std::int64_t>(upper << 32 | in_.u32());
    }
    void get(std::string& text) { text = in_.take(in_.u32()); }
    void get(protocol::Secret& text) { text = protocol::Secret(in_.take(in_.u32())); }
    void get(net::Address& address) {
        const protocol::Bytes bytes = in_.take(in_.u32());
        address = net::Address(bytes.data(), bytes.size());
        if (address.empty()) in_.take(std::numeric_limits<std::size_t>::max());  // none of ours
    }
    void get(std::pair<std::string, std::string>& pair) { (*this)(pair.first, pair.second); }
    template <class T>
    void get(std::vector<T>& values) {
        for (std::uint32_t left = in_.u32(); left > 0 && in_.ok(); --left)
            get(values.emplace_back());
    }
    template <class T>
    void get(std::optional<T>& value) {
        if (in_.u8() != 0) get(value.emplace());
    }
    template <class T>
    void get(T& value) {
        parts(*this, value);
    }

    protocol::Reader in_;
};

template <class T>
std::string encoded(const T& value) {
    Writing out;
    out(value);
    return out.take();
}

template <class T>
protocol::Result<T> decoded(protocol::Bytes bytes) {
    T value;
    Reading in(bytes);
    in(value);
    if (in.done()) return value;
    return protocol::protocol_violation(protocol::Origin::proxy,
                                        "what a process hands over cannot be read");
}

}  // namespace

std::string encode(const HandedClient& client) { return encoded(client); }

protocol::Result<HandedClient> decode_handed_client(protocol::Bytes bytes) {
    return decoded<HandedClient>(bytes);
}

std::string encode(const HandedNotification& notification) { return encoded(notification); }

protocol::Result<HandedNotification> decode_handed_notification(protocol::Bytes bytes) {
    return decoded<HandedNotification>(bytes);
}

}  // namespace pgweir::proxy
