#include "protocol/startup.hpp"

#include <algorithm>

#include "protocol/vars.hpp"

namespace pgweir::protocol {

namespace {

constexpr std::size_t packet_head_size = 8;  // bytes: length and code

Error refused(std::string message) {
    return protocol_violation(Origin::client, std::move(message));
}

Error unsupported_version(std::uint32_t version) {
    const std::uint32_t major = version >> 16;
    std::string message = "old V2 protocol not supported";
    if (major != 2) {
        message = "unsupported frontend protocol " + std::to_string(major) + "." +
                  std::to_string(version & 0xffffu) + ": server supports 3.0 to 3.2";
    }
    return {sqlstate::feature_not_supported, Origin::client, std::move(message)};
}

Result<FirstPacket> read_cancel_request(Bytes body) {
    Reader reader(body);
    const std::uint32_t pid = reader.u32();
    const Bytes key = reader.rest();
    if (!reader.ok() || key.size() < cancel_key_size_min || key.size() > cancel_key_size_max) {
        return refused("invalid length of query cancel packet");
    }
    return CancelRequest{pid, std::string(key)};
}

/// Name and value pairs up to an empty name, which must be the last byte.
Result<StartupParameters> read_parameters(Bytes body) {
    StartupParameters parameters;
    Reader reader(body);
    for (;;) {
        const std::string_view name = reader.cstring();
        if (name.empty()) break;
        const std::string_view value = reader.cstring();
        if (!reader.ok()) break;
        parameters.emplace_back(name, value);
    }
    if (!reader.done()) {
        return refused("invalid startup packet layout: expected terminator as last byte");
    }
    return parameters;
}

Result<FirstPacket> read_startup(std::uint32_t version, Bytes body) {
    if (version >> 16 != 3) return unsupported_version(version);

    Result<StartupParameters> parameters = read_parameters(body);
    if (!parameters) return parameters.error();

    // Whoever is checked must be whoever logs in: two values for one of these would leave it open
    // which of them each part of the program looks at.
    for (const std::string_view name : {"user", "database"}) {
        const auto same = [name](const auto& parameter) { return parameter.first == name; };
        if (std::ranges::count_if(*parameters, same) > 1) {
            return refused("duplicate startup parameter: " + std::string(name));
        }
    }
    StartupPacket packet{version, std::move(*parameters)};
    const std::string* user = packet.find("user");
    if (user == nullptr || user->empty()) {
        return Error{sqlstate::invalid_authorization, Origin::client, "no username supplied"};
    }
    return packet;
}

Result<FirstPacket> read_packet(std::uint32_t code, Bytes body) {
    switch (code) {
        case cancel_request_code: return read_cancel_request(body);
        case ssl_request_code:
            if (!body.empty()) return refused("invalid length of SSL request");
            return SslRequest{};
        case gss_request_code:
            if (!body.empty()) return refused("invalid length of GSSAPI request");
            return GssRequest{};
        default: return read_startup(code, body);
    }
}

}  // namespace

const std::string* StartupPacket::find(std::string_view name) const {
    const auto at = std::ranges::find(parameters, name, &StartupParameters::value_type::first);
    return at == parameters.end() ? nullptr : &at->second;
}

Result<std::optional<CutPacket>> first_packet(Bytes bytes) {
    if (bytes.size() < 4) return std::optional<CutPacket>{};
    const std::size_t size = load_u32(bytes.data());
    if (size < packet_head_size || size > startup_size_max) {
        return refused("invalid length of startup packet");
    }
    if (bytes.size() < size) return std::optional<CutPacket>{};

    const std::uint32_t code = load_u32(bytes.data() + 4);
    Result<FirstPacket> packet =
        read_packet(code, bytes.substr(packet_head_size, size - packet_head_size));
    if (!packet) return packet.error();
    std::optional<CutPacket> cut(std::in_place);
    cut->packet = std::move(*packet);
    cut->size = size;
    return cut;
}

std::optional<bool> read_bool(std::string_view text) {
    struct Word {
        std::string_view text;
        std::size_t enough;  // characters of it
        bool means;
    };
    constexpr Word words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true},
                              {"no", 1, false},  {"on", 2, true},     {"off", 2, false},
                              {"1", 1, true},    {"0", 1, false}};
    for (const Word& word : words) {
        if (text.size() < word.enough || text.size() > word.text.size()) continue;
        if (same_name(text, word.text.substr(0, text.size()))) return word.means;
    }
    return std::nullopt;
}

void write_startup(std::string& out, std::uint32_t version, const StartupParameters& parameters) {
    Writer writer(out);
    writer.begin_untyped().u32(version);
    for (const auto& [name, value] : parameters) writer.cstring(name).cstring(value);
    writer.u8(0).end();
}

void write_cancel_request(std::string& out, std::uint32_t pid, Bytes key) {
    Writer(out).begin_untyped().u32(cancel_request_code).u32(pid).bytes(key).end();
}

void write_ssl_request(std::string& out) {
    Writer(out).begin_untyped().u32(ssl_request_code).end();
}

void write_gss_request(std::string& out) {
    Writer(out).begin_untyped().u32(gss_request_code).end();
}

}  // namespace pgweir::protocol
