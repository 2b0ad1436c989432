#include "protocol/requests.hpp"

#include <cassert>

namespace pgweir::protocol {

namespace {

constexpr std::uint32_t absent = 0xffffffffu;  // a length of -1: NULL, or no data at all

Error malformed(std::string_view message) {
    return protocol_violation(Origin::client, "invalid " + std::string(message) + " message");
}

/// Int16 count and as many Int16. Empty, and the reader failed, when they are not all there.
std::vector<std::uint16_t> read_formats(Reader& reader) {
    const std::size_t count = reader.u16();
    Reader list(reader.take(count * 2));
    std::vector<std::uint16_t> formats;
    if (!reader.ok()) return formats;
    formats.reserve(count);
    while (!list.done()) formats.push_back(list.u16());
    return formats;
}

/// Int16 count and as many values, each behind its length. Stops at the first that is not there.
std::vector<Value> read_values(Reader& reader) {
    const std::size_t count = reader.u16();
    std::vector<Value> values;
    for (std::size_t i = 0; i < count && reader.ok(); ++i) {
        const std::uint32_t size = reader.u32();
        if (size == absent) {
            values.emplace_back(std::nullopt);
        } else {
            values.emplace_back(reader.take(size));
        }
    }
    return values;
}

bool formats_fit(const std::vector<std::uint16_t>& formats, const std::vector<Value>& values) {
    return formats.size() <= 1 || formats.size() == values.size();
}

std::uint16_t count_of(std::size_t size) {
    assert(size <= 0xffff);
    return static_cast<std::uint16_t>(size);
}

void put_formats(Writer& writer, std::span<const std::uint16_t> formats) {
    writer.u16(count_of(formats.size()));
    for (const std::uint16_t format : formats) writer.u16(format);
}

void put_values(Writer& writer, std::span<const Value> values) {
    writer.u16(count_of(values.size()));
    for (const Value& value : values) {
        writer.u32(value ? static_cast<std::uint32_t>(value->size()) : absent);
        if (value) writer.bytes(*value);
    }
}

Result<std::string_view> read_only_text(Bytes payload, std::string_view what) {
    Reader reader(payload);
    const std::string_view text = reader.cstring();
    if (!reader.done()) return malformed(what);
    return text;
}

void write_target(std::string& out, char type, char kind, std::string_view name) {
    assert(kind == 'S' || kind == 'P');
    Writer(out).begin(type).u8(static_cast<std::uint8_t>(kind)).cstring(name).end();
}

}  // namespace

Result<Parse> read_parse(Bytes payload) {
    Reader reader(payload);
    Parse parse{};
    parse.name = reader.cstring();
    parse.query = reader.cstring();
    parse.types = reader.rest();
    const std::size_t count = reader.u16();
    reader.take(count * 4);
    if (!reader.done()) return malformed("Parse");
    return parse;
}

std::optional<BindNames> read_bind_names(Bytes payload_prefix) {
    Reader reader(payload_prefix);
    const std::string_view portal = reader.cstring();
    const std::string_view statement = reader.cstring();
    if (!reader.ok()) return std::nullopt;
    return BindNames{portal, statement, payload_prefix.size() - reader.rest().size()};
}

Result<Bind> read_bind(Bytes payload) {
    Reader reader(payload);
    Bind bind{};
    bind.portal = reader.cstring();
    bind.statement = reader.cstring();
    bind.formats = read_formats(reader);
    bind.values = read_values(reader);
    bind.result_formats = read_formats(reader);
    if (!reader.done() || !formats_fit(bind.formats, bind.values)) return malformed("Bind");
    return bind;
}

Result<Target> read_target(Bytes payload) {
    Reader reader(payload);
    const char kind = static_cast<char>(reader.u8());
    const std::string_view name = reader.cstring();
    if (!reader.done() || (kind != 'S' && kind != 'P')) return malformed("Describe or Close");
    return Target{kind, name};
}

Result<Execute> read_execute(Bytes payload) {
    Reader reader(payload);
    const std::string_view portal = reader.cstring();
    const std::int32_t rows_max = reader.i32();
    if (!reader.done()) return malformed("Execute");
    return Execute{portal, rows_max};
}

Result<std::string_view> read_query(Bytes payload) { return read_only_text(payload, "Query"); }

Result<FunctionCall> read_function_call(Bytes payload) {
    Reader reader(payload);
    FunctionCall call{};
    call.function_oid = reader.u32();
    call.formats = read_formats(reader);
    call.values = read_values(reader);
    call.result_format = reader.u16();
    if (!reader.done() || !formats_fit(call.formats, call.values)) return malformed("FunctionCall");
    return call;
}

Result<std::string_view> read_copy_fail(Bytes payload) {
    return read_only_text(payload, "CopyFail");
}

Result<std::string_view> read_password(Bytes payload) {
    Result<std::string_view> password = read_only_text(payload, "");
    if (!password) return protocol_violation(Origin::client, "invalid password packet size");
    return password;
}

Result<SaslInitial> read_sasl_initial(Bytes payload) {
    Reader reader(payload);
    SaslInitial initial{};
    initial.mechanism = reader.cstring();
    const std::uint32_t size = reader.u32();
    if (size != absent) initial.data = reader.take(size);
    if (!reader.done()) return malformed("SASLInitialResponse");
    return initial;
}

void write_query(std::string& out, std::string_view query) {
    Writer(out).begin('Q').cstring(query).end();
}

void write_parse(std::string& out, std::string_view name, std::string_view query, Bytes types) {
    Writer writer(out);
    writer.begin('P').cstring(name).cstring(query);
    if (types.empty()) {
        writer.u16(0);
    } else {
        writer.bytes(types);
    }
    writer.end();
}

void write_bind(std::string& out, std::string_view portal, std::string_view statement,
                std::span<const Value> values, std::span<const std::uint16_t> formats,
                std::span<const std::uint16_t> result_formats) {
    Writer writer(out);
    writer.begin('B').cstring(portal).cstring(statement);
    put_formats(writer, formats);
    put_values(writer, values);
    put_formats(writer, result_formats);
    writer.end();
}

void write_describe(std::string& out, char kind, std::string_view name) {
    write_target(out, 'D', kind, name);
}

void write_close(std::string& out, char kind, std::string_view name) {
    write_target(out, 'C', kind, name);
}

void write_execute(std::string& out, std::string_view portal, std::int32_t rows_max) {
    Writer(out).begin('E').cstring(portal).i32(rows_max).end();
}

void write_sync(std::string& out) { Writer(out).begin('S').end(); }

void write_flush(std::string& out) { Writer(out).begin('H').end(); }

void write_terminate(std::string& out) { Writer(out).begin('X').end(); }

void write_copy_data(std::string& out, Bytes data) { Writer(out).begin('d').bytes(data).end(); }

void write_copy_done(std::string& out) { Writer(out).begin('c').end(); }

void write_copy_fail(std::string& out, std::string_view reason) {
    Writer(out).begin('f').cstring(reason).end();
}

void write_password(std::string& out, std::string_view secret) {
    Writer(out).begin('p').cstring(secret).end();
}

void write_sasl_initial(std::string& out, std::string_view mechanism, std::optional<Bytes> data) {
    Writer writer(out);
    writer.begin('p').cstring(mechanism);
    writer.u32(data ? static_cast<std::uint32_t>(data->size()) : absent);
    if (data) writer.bytes(*data);
    writer.end();
}

void write_sasl_response(std::string& out, Bytes data) { Writer(out).begin('p').bytes(data).end(); }

void write_function_call(std::string& out, const FunctionCall& call) {
    Writer writer(out);
    writer.begin('F').u32(call.function_oid);
    put_formats(writer, call.formats);
    put_values(writer, call.values);
    writer.u16(call.result_format).end();
}

}  // namespace pgweir::protocol
