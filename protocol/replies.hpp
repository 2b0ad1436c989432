// What a server sends after start-up: backend messages, read and written. ErrorResponse and
// NoticeResponse are in protocol/error.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/error.hpp"

namespace pgweir::protocol {

/// The transaction status that ends every ReadyForQuery.
enum class TxStatus : char { idle = 'I', transaction = 'T', failed = 'E' };

/// What an AuthenticationRequest asks for: its first Int32.
namespace authentication {
inline constexpr std::uint32_t ok = 0;
inline constexpr std::uint32_t kerberos_v5 = 2;
inline constexpr std::uint32_t cleartext = 3;
inline constexpr std::uint32_t md5 = 5;
inline constexpr std::uint32_t gss = 7;
inline constexpr std::uint32_t gss_continue = 8;
inline constexpr std::uint32_t sspi = 9;
inline constexpr std::uint32_t sasl = 10;
inline constexpr std::uint32_t sasl_continue = 11;
inline constexpr std::uint32_t sasl_final = 12;
}  // namespace authentication

/// Types as pg_type numbers them.
namespace oid {
inline constexpr std::uint32_t boolean = 16;
inline constexpr std::uint32_t bytea = 17;
inline constexpr std::uint32_t int8 = 20;
inline constexpr std::uint32_t int4 = 23;
inline constexpr std::uint32_t text = 25;
inline constexpr std::uint32_t numeric = 1700;
}  // namespace oid

// Messages without a body, ready to send: static memory, so they need no copy.
inline constexpr std::string_view parse_complete{"1\0\0\0\4", 5};
inline constexpr std::string_view bind_complete{"2\0\0\0\4", 5};
inline constexpr std::string_view close_complete{"3\0\0\0\4", 5};
inline constexpr std::string_view no_data{"n\0\0\0\4", 5};
inline constexpr std::string_view portal_suspended{"s\0\0\0\4", 5};
inline constexpr std::string_view empty_query{"I\0\0\0\4", 5};
inline constexpr std::string_view copy_done{"c\0\0\0\4", 5};

// Readers take the payload: the body of one message without its type and length. What they return
// is borrowed from it. Each refuses a payload that does not end exactly where the message does,
// with 08P01 and Origin::server. Source: PostgreSQL manual, "Message Formats".

struct ParameterStatus {
    std::string_view name;
    std::string_view value;
};
Result<ParameterStatus> read_parameter_status(Bytes payload);

struct BackendKey {
    std::uint32_t pid;
    Bytes key;  // 4 bytes; up to 256 in protocol 3.2
};
Result<BackendKey> read_backend_key_data(Bytes payload);

/// nullopt: not one byte, or not a status.
std::optional<TxStatus> read_ready_for_query(Bytes payload);

/// The text of a CommandComplete, "INSERT 0 1"; empty when there is no NUL.
std::string_view read_command_tag(Bytes payload);

struct Authentication {
    std::uint32_t kind;  // one of namespace authentication, or one we do not know
    Bytes data;          // what follows: md5's salt, SASL's mechanisms or challenge
};
/// Refuses also an md5 whose salt is not 4 bytes and an ok that carries data.
Result<Authentication> read_authentication(Bytes payload);

/// The mechanisms in the data of an authentication::sasl, as the server prefers them.
Result<std::vector<std::string_view>> read_sasl_mechanisms(Bytes data);

/// Whether `mechanism` is among them; false also when the data is malformed.
bool offers_mechanism(Bytes data, std::string_view mechanism);

struct NegotiateProtocolVersion {
    std::uint32_t newest;  // a whole version number: protocol_3_0
    std::vector<std::string_view> unknown_options;
};
Result<NegotiateProtocolVersion> read_negotiate_protocol_version(Bytes payload);

struct Notification {
    std::uint32_t pid;  // of the process that notified
    std::string_view channel;
    std::string_view payload;
};
Result<Notification> read_notification(Bytes payload);

/// One column of a RowDescription as a server describes it.
struct Field {
    std::string_view name;
    std::uint32_t table_oid;  // 0: not a column of a table
    std::uint16_t column_number;
    std::uint32_t type_oid;
    std::int16_t type_size;  // below 0: of varying size
    std::int32_t type_modifier;
    std::uint16_t format;  // 0 text, 1 binary
};
Result<std::vector<Field>> read_row_description(Bytes payload);

/// The values of one row; nullopt is NULL.
Result<std::vector<std::optional<std::string_view>>> read_data_row(Bytes payload);

Result<std::vector<std::uint32_t>> read_parameter_description(Bytes payload);

/// CopyInResponse, CopyOutResponse and CopyBothResponse have one layout.
struct CopyResponse {
    bool binary;
    std::vector<std::uint16_t> formats;  // one for each column
};
Result<CopyResponse> read_copy_response(Bytes payload);

// Writers append one whole message. Lists hold 65535 items at most.

void write_ready_for_query(std::string& out, TxStatus status);
void write_parameter_status(std::string& out, std::string_view name, std::string_view value);
void write_backend_key_data(std::string& out, std::uint32_t pid, Bytes key);
void write_authentication_ok(std::string& out);
void write_authentication_cleartext(std::string& out);
/// `salt` is 4 bytes.
void write_authentication_md5(std::string& out, Bytes salt);
void write_authentication_sasl(std::string& out, std::span<const std::string_view> mechanisms);
void write_authentication_sasl_continue(std::string& out, Bytes data);
void write_authentication_sasl_final(std::string& out, Bytes data);

/// `newest_minor` may also be a whole version number: that is what goes out, because PostgreSQL
/// sends and libpq expects one although the manual speaks of the minor version.
void write_negotiate_protocol_version(std::string& out, std::uint32_t newest_minor,
                                      std::span<const std::string> unknown_options);

void write_command_complete(std::string& out, std::string_view tag);
void write_notification(std::string& out, std::uint32_t pid, std::string_view channel,
                        std::string_view payload);

/// `columns` is their number; all have the same format.
void write_copy_in(std::string& out, bool binary, std::uint16_t columns);
void write_copy_out(std::string& out, bool binary, std::uint16_t columns);
void write_copy_both(std::string& out, bool binary, std::uint16_t columns);

/// A column of a result made here.
struct Column {
    std::string name;
    std::uint32_t type_oid = oid::text;
    std::int16_t type_size = -1;  // bytes; -1 for text and others of varying size
    std::uint16_t format = 0;     // 0 text, 1 binary
};
void write_row_description(std::string& out, std::span<const Column> columns);
void write_data_row(std::string& out, std::span<const std::optional<std::string_view>> values);
void write_parameter_description(std::string& out, std::span<const std::uint32_t> type_oids);

}  // namespace pgweir::protocol
