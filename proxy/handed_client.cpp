#include "proxy/handed_client.hpp"

#include <cstring>

namespace pgweir::proxy {

namespace {

constexpr std::uint8_t format_version = 1;

void write_text(protocol::Writer& out, std::string_view text) {
    out.u32(static_cast<std::uint32_t>(text.size())).bytes(text);
}

std::string read_text(protocol::Reader& in) { return std::string(in.take(in.u32())); }

void write_entries(protocol::Writer& out, const protocol::VarSet::Entries& entries) {
    out.u32(static_cast<std::uint32_t>(entries.size()));
    for (const auto& [name, value] : entries) {
        write_text(out, name);
        write_text(out, value);
    }
}

protocol::VarSet::Entries read_entries(protocol::Reader& in) {
    protocol::VarSet::Entries entries;
    for (std::uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
        std::string name = read_text(in);
        entries.emplace_back(std::move(name), read_text(in));
    }
    return entries;
}

}  // namespace

std::string encode(const HandedClient& client) {
    std::string bytes;
    protocol::Writer out(bytes);
    out.u8(format_version);
    write_text(out, client.user);
    write_text(out, client.database);
    write_text(out, {static_cast<const char*>(static_cast<const void*>(client.address.raw())),
                     client.address.size()});
    out.u32(static_cast<std::uint32_t>(client.connected_us >> 32));
    out.u32(static_cast<std::uint32_t>(client.connected_us));
    out.u32(client.cancel_key.pid);
    write_text(out, client.cancel_key.secret);
    out.u8(client.long_cancel_key ? 1 : 0);
    for (const std::string* const text :
         {&client.credentials.user, &client.credentials.secret, &client.credentials.client_key,
          &client.credentials.server_key}) {
        write_text(out, *text);
    }
    write_entries(out, client.startup);
    write_entries(out, client.own);
    write_entries(out, client.vars);
    out.u32(static_cast<std::uint32_t>(client.statements.size()));
    for (const HandedClient::Statement& statement : client.statements) {
        write_text(out, statement.name);
        write_text(out, statement.query);
        write_text(out, statement.types);
        out.u8(statement.current ? 1 : 0);
    }
    return bytes;
}

protocol::Result<HandedClient> decode_handed_client(protocol::Bytes bytes) {
    const auto bad = [] {
        return protocol::protocol_violation(protocol::Origin::proxy,
                                            "what a process hands over cannot be read");
    };
    protocol::Reader in(bytes);
    if (in.u8() != format_version) return bad();
    HandedClient client;
    client.user = read_text(in);
    client.database = read_text(in);
    const std::string address = read_text(in);
    client.address = net::Address(address.data(), address.size());
    if (client.address.empty()) return bad();
    const std::uint64_t upper = in.u32();
    client.connected_us = static_cast<std::int64_t>(upper << 32 | in.u32());
    client.cancel_key.pid = in.u32();
    client.cancel_key.secret = read_text(in);
    client.long_cancel_key = in.u8() != 0;
    for (std::string* const text :
         {&client.credentials.user, &client.credentials.secret, &client.credentials.client_key,
          &client.credentials.server_key}) {
        *text = read_text(in);
    }
    client.startup = read_entries(in);
    client.own = read_entries(in);
    client.vars = read_entries(in);
    for (std::uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
        HandedClient::Statement statement;
        statement.name = read_text(in);
        statement.query = read_text(in);
        statement.types = read_text(in);
        statement.current = in.u8() != 0;
        client.statements.push_back(std::move(statement));
    }
    if (!in.done()) return bad();
    return client;
}

}  // namespace pgweir::proxy
