// The packets that come before everything else: a length, no type byte.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/error.hpp"

namespace pgweir::protocol {

inline constexpr std::uint32_t protocol_3_0 = 0x00030000u;
inline constexpr std::uint32_t protocol_3_2 = 0x00030002u;
inline constexpr std::uint32_t cancel_request_code = 1234u << 16 | 5678u;
inline constexpr std::uint32_t ssl_request_code = 1234u << 16 | 5679u;
inline constexpr std::uint32_t gss_request_code = 1234u << 16 | 5680u;

inline constexpr std::size_t startup_size_max = 10'004;  // bytes: PostgreSQL's 10000 and the length
inline constexpr std::size_t cancel_key_size_min = 4;    // bytes: all there is before protocol 3.2
inline constexpr std::size_t cancel_key_size_max = 256;  // bytes: protocol 3.2

using StartupParameters = std::vector<std::pair<std::string, std::string>>;

/// What a client asks for when it arrives. Owns its text: it outlives the buffer it came in.
/// When read, `user` is there and not empty, and neither `user` nor `database` is there twice.
struct StartupPacket {
    std::uint32_t version;         // major in the upper half; the minor may be above what we speak
    StartupParameters parameters;  // in the order sent, `_pq_.` options among them

    /// The first value under this exact name, or nullptr.
    const std::string* find(std::string_view name) const;
};

/// A request to cancel what the owner of this key is running. Nobody answers it.
struct CancelRequest {
    std::uint32_t pid;
    std::string key;  // 4 bytes in protocol 3.0, up to 256 in 3.2
};

struct SslRequest {};
struct GssRequest {};

using FirstPacket = std::variant<StartupPacket, CancelRequest, SslRequest, GssRequest>;

struct CutPacket {
    FirstPacket packet;
    std::size_t size;  // bytes it takes off the front of the input
};

/// Cuts one start-up packet off `bytes`.
///
/// Returns  nullopt while it is not all there; a bad length is refused as soon as it is known.
/// Errors   08P01 for a bad length or layout and for `user` or `database` given twice; 28000
///          without a user; 0A000 for a major version other than 3. All the client's.
/// Source   PostgreSQL manual, "Message Formats": StartupMessage, CancelRequest, SSLRequest,
///          GSSENCRequest; the limits are the server's own.
Result<std::optional<CutPacket>> first_packet(Bytes bytes);

/// A Boolean as PostgreSQL reads it: 1, 0, on, off, or the beginning of true, false, yes, no.
std::optional<bool> read_bool(std::string_view text);

void write_startup(std::string& out, std::uint32_t version, const StartupParameters& parameters);
void write_cancel_request(std::string& out, std::uint32_t pid, Bytes key);
void write_ssl_request(std::string& out);
void write_gss_request(std::string& out);

}  // namespace pgweir::protocol
