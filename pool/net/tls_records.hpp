// The records of TLS 1.3, and of TLS 1.2 where they are sealed as a whole (AEAD), after the
// handshake, without OpenSSL's 14 KiB of state for a connection.
// Source: RFC 8446, sections 5 and 7; RFC 5246, section 6; RFC 5288; RFC 7905.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "protocol/bytes.hpp"

namespace pgweir::net {

using protocol::Bytes;

struct TlsSuite;  // a cipher and a hash

/// The keys of one direction, and how many records they have served. Resource; secret, gone from
/// memory when dropped. It has no cipher context: those are the thread's, and a few are enough.
class TrafficKeys {
public:
    /// TLS 1.3. `secret`: the direction's application_traffic_secret; `sequence`: its records so
    /// far.
    TrafficKeys(const TlsSuite& suite, Bytes secret, std::uint64_t sequence);
    /// TLS 1.2, whose keys never change.
    TrafficKeys(const TlsSuite& suite, Bytes key, Bytes iv, std::uint64_t sequence);
    ~TrafficKeys();
    TrafficKeys(const TrafficKeys&) = delete;
    TrafficKeys& operator=(const TrafficKeys&) = delete;

    /// The keys that follow a KeyUpdate. TLS 1.3.
    void update();
    std::uint64_t sequence() const { return sequence_; }

    static constexpr std::size_t tag_size = 16;
    /// Both go on to the next sequence number. `header` is what goes with the text unsealed. What
    /// is sealed is as long as the text and a tag. open() is false for what the peer has not
    /// sealed; `nonce` is the part of it that the record tells, where it does.
    void seal(Bytes header, Bytes text, char* to);
    bool open(Bytes header, Bytes sealed, char* to, Bytes nonce = {});

private:
    static constexpr std::size_t nonce_size = 12;
    using Nonce = std::array<unsigned char, nonce_size>;

    void derive();
    Nonce next_nonce(Bytes told);

    const TlsSuite& suite_;
    std::uint64_t id_ = 0;  // of these keys, in the process; never used again
    std::uint64_t sequence_;
    std::array<unsigned char, 48> secret_{};
    std::array<unsigned char, 32> key_{};
    Nonce base_{};
};

/// What both sides of TLS 1.2 know after the handshake. Borrowed; secret.
struct TlsMaster {
    Bytes secret, client_random, server_random;
};

/// Both directions of one connection, on the accepting side. Resource; knows no socket: bytes in,
/// bytes out.
class TlsRecords {
public:
    static constexpr std::size_t header_size = 5;
    static constexpr std::size_t text_max = 16 * 1024;
    static constexpr std::size_t record_max = header_size + text_max + 256;
    /// A record's header, type and tag; and a KeyUpdate that may have to go before it.
    static constexpr std::size_t overhead = 2 * (header_size + 1 + TrafficKeys::tag_size) + 5;
    static constexpr std::uint64_t records_per_key = 1
                                                     << 23;  // AES-GCM is good for three times that

    /// `suite` is its number in the registry, see knows(). `sent`: records under `own_secret` so
    /// far.
    TlsRecords(std::uint16_t suite, Bytes peer_secret, Bytes own_secret, std::uint64_t sent,
               std::uint64_t limit = records_per_key);
    /// TLS 1.2, after both sides' Finished.
    TlsRecords(std::uint16_t suite, const TlsMaster& master);

    static bool knows(std::uint16_t suite);
    /// Is there a record, or enough of one to see that it is none?
    bool is_whole(Bytes input) const;
    /// Room that open() wants for the first record, of which the header is there.
    std::size_t room_for(Bytes input) const;

    enum class Kind : std::uint8_t {
        text,
        control,  // nothing for anybody but us
        end,      // the peer says that this was all
        broken,   // … the connection is; `alert` is what the peer should hear
    };
    struct Opened {
        Kind kind;
        std::size_t taken = 0;  // bytes of input
        std::size_t size = 0;   // bytes of text
        char alert = 0;
    };
    /// Opens the first record of `input`, which is whole.
    Opened open(Bytes input, char* to);

    /// Makes one record of up to text_max bytes; `to` has room for them and `overhead`. Returns the
    /// size of what is to be sent.
    std::size_t seal(Bytes text, char* to);
    /// An alert; the same for its two bytes.
    std::size_t seal_alert(bool fatal, char description, char* to);

    static constexpr char close_notify = 0;

private:
    struct KeyBlock;
    TlsRecords(const TlsSuite& suite, const KeyBlock& keys);

    bool is_record(Bytes input) const;
    Opened open_old(Bytes input, char* to, Opened opened);
    Opened open_control(char type, Bytes text, Opened opened);
    static Opened open_alert(Bytes text, Opened opened);
    std::size_t seal_as(char type, Bytes text, char* to);
    std::size_t seal_old(char type, Bytes text, char* to);

    const TlsSuite& suite_;
    TrafficKeys peer_, own_;
    const std::uint64_t limit_;
    bool owes_update_ = false;  // the peer has asked for new keys of ours
};

}  // namespace pgweir::net
