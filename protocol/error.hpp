// What can go wrong in normal life, who is to blame, and the result type that carries it.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <boost/system/result.hpp>

#include "protocol/bytes.hpp"

namespace pgweir::protocol {

/// A five-character SQLSTATE, kept by value so that comparing two is one memcmp.
/// Source: PostgreSQL manual, appendix A.
struct Sqlstate {
    char code[6];  // five characters and a NUL

    std::string_view view() const { return {code, 5}; }
    friend bool operator==(const Sqlstate&, const Sqlstate&) = default;
};

/// The five characters of `text`, XX000 when it has not exactly five (a server that sends none).
Sqlstate make_sqlstate(std::string_view text);

namespace sqlstate {
inline constexpr Sqlstate successful_completion{"00000"};
inline constexpr Sqlstate warning{"01000"};
inline constexpr Sqlstate connection_failure{"08006"};
inline constexpr Sqlstate transaction_resolution_unknown{"08007"};
inline constexpr Sqlstate protocol_violation{"08P01"};
inline constexpr Sqlstate feature_not_supported{"0A000"};
inline constexpr Sqlstate invalid_sql_statement_name{"26000"};
inline constexpr Sqlstate invalid_authorization{"28000"};
inline constexpr Sqlstate invalid_password{"28P01"};
inline constexpr Sqlstate invalid_catalog_name{"3D000"};
inline constexpr Sqlstate serialization_failure{"40001"};
inline constexpr Sqlstate syntax_error{"42601"};
inline constexpr Sqlstate duplicate_prepared_statement{"42P05"};
inline constexpr Sqlstate out_of_memory{"53200"};
inline constexpr Sqlstate too_many_connections{"53300"};
inline constexpr Sqlstate undefined_object{"42704"};
inline constexpr Sqlstate invalid_parameter_value{"22023"};
inline constexpr Sqlstate program_limit_exceeded{"54000"};
inline constexpr Sqlstate query_canceled{"57014"};
inline constexpr Sqlstate admin_shutdown{"57P01"};
inline constexpr Sqlstate cannot_connect_now{"57P03"};
inline constexpr Sqlstate idle_in_transaction_timeout{"25P03"};
inline constexpr Sqlstate idle_session_timeout{"57P05"};
inline constexpr Sqlstate config_file_error{"F0000"};
inline constexpr Sqlstate internal_error{"XX000"};
}  // namespace sqlstate

/// Who is at fault. It decides who is told and which side of a link survives:
/// `client` closes the client only, `server` closes the server only, `proxy` is a bug or a limit of
/// ours.
enum class Origin : std::uint8_t { client, server, proxy };

/// A failure that is part of normal life: it ends as an ErrorResponse, a log line and a counter.
/// Broken invariants are no Error; they assert.
struct Error {
    Sqlstate sqlstate;
    Origin origin;
    std::string message;
    std::string detail = {}, hint = {};  // a server's, empty when there is none
};

[[noreturn]] void throw_exception_from_error(const Error& error,
                                             const boost::source_location& where);

template <class T>
using Result = boost::system::result<T, Error>;

/// 08P01, the sender's fault.
Error protocol_violation(Origin sender, std::string message);

enum class Severity : std::uint8_t { error, fatal, panic, warning, notice, debug, info, log };

std::string_view severity_text(Severity severity);

/// What an ErrorResponse or NoticeResponse says. Borrowed from the message; absent fields are
/// empty.
/// Source: PostgreSQL manual, "Error and Notice Message Fields".
struct Report {
    std::string_view severity;  // the unlocalised one (V) when there is one, else S
    std::string_view sqlstate;  // empty when the server sent none
    std::string_view message;
    std::string_view detail;
    std::string_view hint;
    std::string_view routine;  // R: in the server's source; never translated
};

/// Reads the body of an 'E' or 'N' message. Never fails: a malformed body gives what could be read.
Report read_report(Bytes body);

/// Appends an ErrorResponse with the fields S, V, C, M and, when not empty, D and H.
void write_error(std::string& out, Severity severity, const Sqlstate& sqlstate,
                 std::string_view message, std::string_view detail = {},
                 std::string_view hint = {});

/// Appends a NoticeResponse likewise.
void write_notice(std::string& out, Severity severity, const Sqlstate& sqlstate,
                  std::string_view message, std::string_view detail = {},
                  std::string_view hint = {});

}  // namespace pgweir::protocol
