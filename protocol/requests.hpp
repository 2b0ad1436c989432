// What a client sends after start-up: frontend messages, read and written.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/error.hpp"

namespace pgweir::protocol {

// Readers take the payload: the body of one message without its type and length. What they return
// is borrowed from it. Each refuses a payload that does not end exactly where the message does,
// with 08P01 and Origin::client. Source: PostgreSQL manual, "Message Formats".

/// A value of a parameter; nullopt is NULL.
using Value = std::optional<Bytes>;

/// Is it of the data of a COPY, their end among them? Such a message is no request: where no COPY
/// wants it, a server reads over it.
constexpr bool is_copy_data(char type) { return type == 'd' || type == 'c' || type == 'f'; }

/// Is it a request, and not what only ends one or hurries it?
constexpr bool asks(char type) { return !is_copy_data(type) && type != 'S' && type != 'H'; }

struct Parse {
    std::string_view name;  // empty: the unnamed statement
    std::string_view query;
    Bytes types;  // Int16 count and as many Int32 oids, still in wire order
};
Result<Parse> read_parse(Bytes payload);

/// The front of a Bind, all that is needed to see which statement it is for.
struct BindNames {
    std::string_view portal;
    std::string_view statement;
    std::size_t size;  // bytes of the payload both names take, NULs included
};
/// Works on a prefix: nullopt while both NULs are not yet there.
std::optional<BindNames> read_bind_names(Bytes payload_prefix);

struct Bind {
    std::string_view portal;
    std::string_view statement;
    std::vector<std::uint16_t> formats;  // none: all text; one: for all; else one for each value
    std::vector<Value> values;
    std::vector<std::uint16_t> result_formats;
};
Result<Bind> read_bind(Bytes payload);

/// What a Describe or Close is about.
struct Target {
    char kind;  // 'S' statement or 'P' portal
    std::string_view name;
};
Result<Target> read_target(Bytes payload);

struct Execute {
    std::string_view portal;
    std::int32_t rows_max;  // 0 or less: all
};
Result<Execute> read_execute(Bytes payload);

/// The text of a Query, without its NUL.
Result<std::string_view> read_query(Bytes payload);

struct FunctionCall {
    std::uint32_t function_oid;
    std::vector<std::uint16_t> formats;  // as in Bind
    std::vector<Value> values;
    std::uint16_t result_format;
};
Result<FunctionCall> read_function_call(Bytes payload);

/// The reason a client gives for ending its COPY.
Result<std::string_view> read_copy_fail(Bytes payload);

/// A password or what was made of it; may be empty.
Result<std::string_view> read_password(Bytes payload);

struct SaslInitial {
    std::string_view mechanism;
    std::optional<Bytes> data;  // nullopt: the client waits to be asked first
};
Result<SaslInitial> read_sasl_initial(Bytes payload);

// Writers append one whole message. Lists hold 65535 items at most.

void write_query(std::string& out, std::string_view query);
/// `types` as in Parse; empty stands for no types.
void write_parse(std::string& out, std::string_view name, std::string_view query, Bytes types = {});
void write_bind(std::string& out, std::string_view portal, std::string_view statement,
                std::span<const Value> values = {}, std::span<const std::uint16_t> formats = {},
                std::span<const std::uint16_t> result_formats = {});
/// `kind` is 'S' or 'P', as in Target.
void write_describe(std::string& out, char kind, std::string_view name);
void write_close(std::string& out, char kind, std::string_view name);
void write_execute(std::string& out, std::string_view portal, std::int32_t rows_max = 0);
void write_sync(std::string& out);
void write_flush(std::string& out);
void write_terminate(std::string& out);
void write_copy_data(std::string& out, Bytes data);
void write_copy_done(std::string& out);
void write_copy_fail(std::string& out, std::string_view reason);
void write_password(std::string& out, std::string_view secret);
void write_sasl_initial(std::string& out, std::string_view mechanism, std::optional<Bytes> data);
void write_sasl_response(std::string& out, Bytes data);
void write_function_call(std::string& out, const FunctionCall& call);

}  // namespace pgweir::protocol
