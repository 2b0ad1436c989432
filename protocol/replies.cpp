#include "protocol/replies.hpp"

#include <algorithm>
#include <cassert>

#include "protocol/startup.hpp"

namespace pgweir::protocol {

namespace {

constexpr std::uint32_t null_size = 0xffffffffu;  // a length of -1

Error malformed(std::string_view message) {
    return protocol_violation(Origin::server, "invalid " + std::string(message) + " message");
}

std::uint16_t count_of(std::size_t size) {
    assert(size <= 0xffff);
    return static_cast<std::uint16_t>(size);
}

Writer& begin_authentication(Writer& writer, std::uint32_t kind) {
    return writer.begin('R').u32(kind);
}

void write_authentication(std::string& out, std::uint32_t kind, Bytes data = {}) {
    Writer writer(out);
    begin_authentication(writer, kind).bytes(data).end();
}

void write_copy_response(std::string& out, char type, bool binary, std::uint16_t columns) {
    const std::uint8_t format = binary ? 1 : 0;
    Writer writer(out);
    writer.begin(type).u8(format).u16(columns);
    for (std::uint16_t i = 0; i < columns; ++i) writer.u16(format);
    writer.end();
}

}  // namespace

Result<ParameterStatus> read_parameter_status(Bytes payload) {
    Reader reader(payload);
    const std::string_view name = reader.cstring();
    const std::string_view value = reader.cstring();
    if (!reader.done()) return malformed("ParameterStatus");
    return ParameterStatus{name, value};
}

Result<BackendKey> read_backend_key_data(Bytes payload) {
    Reader reader(payload);
    const std::uint32_t pid = reader.u32();
    const Bytes key = reader.rest();
    if (!reader.ok() || key.size() < cancel_key_size_min || key.size() > cancel_key_size_max) {
        return malformed("BackendKeyData");
    }
    return BackendKey{pid, key};
}

std::optional<TxStatus> read_ready_for_query(Bytes payload) {
    if (payload.size() != 1) return std::nullopt;
    switch (payload[0]) {
        case 'I': return TxStatus::idle;
        case 'T': return TxStatus::transaction;
        case 'E': return TxStatus::failed;
        default: return std::nullopt;
    }
}

std::string_view read_command_tag(Bytes payload) { return Reader(payload).cstring(); }

Result<Authentication> read_authentication(Bytes payload) {
    Reader reader(payload);
    const std::uint32_t kind = reader.u32();
    const Bytes data = reader.rest();
    const bool fits = kind == authentication::md5  ? data.size() == 4
                      : kind == authentication::ok ? data.empty()
                                                   : true;
    if (!reader.ok() || !fits) return malformed("Authentication");
    return Authentication{kind, data};
}

Result<std::vector<std::string_view>> read_sasl_mechanisms(Bytes data) {
    std::vector<std::string_view> mechanisms;
    Reader reader(data);
    for (;;) {
        const std::string_view mechanism = reader.cstring();
        if (mechanism.empty()) break;
        mechanisms.push_back(mechanism);
    }
    if (!reader.done() || mechanisms.empty()) return malformed("AuthenticationSASL");
    return mechanisms;
}

bool offers_mechanism(Bytes data, std::string_view mechanism) {
    const Result<std::vector<std::string_view>> offered = read_sasl_mechanisms(data);
    return offered && std::ranges::find(*offered, mechanism) != offered->end();
}

Result<NegotiateProtocolVersion> read_negotiate_protocol_version(Bytes payload) {
    Reader reader(payload);
    NegotiateProtocolVersion negotiate{};
    negotiate.newest = reader.u32();
    const std::uint32_t count = reader.u32();
    for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
        negotiate.unknown_options.push_back(reader.cstring());
    }
    if (!reader.done()) return malformed("NegotiateProtocolVersion");
    return negotiate;
}

Result<Notification> read_notification(Bytes payload) {
    Reader reader(payload);
    Notification notification{};
    notification.pid = reader.u32();
    notification.channel = reader.cstring();
    notification.payload = reader.cstring();
    if (!reader.done()) return malformed("NotificationResponse");
    return notification;
}

Result<std::vector<Field>> read_row_description(Bytes payload) {
    Reader reader(payload);
    const std::size_t count = reader.u16();
    std::vector<Field> fields;
    for (std::size_t i = 0; i < count && reader.ok(); ++i) {
        Field field{};
        field.name = reader.cstring();
        field.table_oid = reader.u32();
        field.column_number = reader.u16();
        field.type_oid = reader.u32();
        field.type_size = static_cast<std::int16_t>(reader.u16());
        field.type_modifier = reader.i32();
        field.format = reader.u16();
        fields.push_back(field);
    }
    if (!reader.done()) return malformed("RowDescription");
    return fields;
}

Result<std::vector<std::optional<std::string_view>>> read_data_row(Bytes payload) {
    Reader reader(payload);
    const std::size_t count = reader.u16();
    std::vector<std::optional<std::string_view>> values;
    for (std::size_t i = 0; i < count && reader.ok(); ++i) {
        const std::uint32_t size = reader.u32();
        if (size == null_size) {
            values.emplace_back(std::nullopt);
        } else {
            values.emplace_back(reader.take(size));
        }
    }
    if (!reader.done()) return malformed("DataRow");
    return values;
}

Result<std::vector<std::uint32_t>> read_parameter_description(Bytes payload) {
    Reader reader(payload);
    const std::size_t count = reader.u16();
    std::vector<std::uint32_t> type_oids;
    for (std::size_t i = 0; i < count && reader.ok(); ++i) type_oids.push_back(reader.u32());
    if (!reader.done()) return malformed("ParameterDescription");
    return type_oids;
}

Result<CopyResponse> read_copy_response(Bytes payload) {
    Reader reader(payload);
    const std::uint8_t format = reader.u8();
    const std::size_t count = reader.u16();
    CopyResponse response{format == 1, {}};
    for (std::size_t i = 0; i < count && reader.ok(); ++i) response.formats.push_back(reader.u16());
    if (!reader.done() || format > 1) return malformed("CopyResponse");
    return response;
}

void write_ready_for_query(std::string& out, TxStatus status) {
    Writer(out).begin('Z').u8(static_cast<std::uint8_t>(status)).end();
}

void write_parameter_status(std::string& out, std::string_view name, std::string_view value) {
    Writer(out).begin('S').cstring(name).cstring(value).end();
}

void write_backend_key_data(std::string& out, std::uint32_t pid, Bytes key) {
    Writer(out).begin('K').u32(pid).bytes(key).end();
}

void write_authentication_ok(std::string& out) { write_authentication(out, authentication::ok); }

void write_authentication_cleartext(std::string& out) {
    write_authentication(out, authentication::cleartext);
}

void write_authentication_md5(std::string& out, Bytes salt) {
    assert(salt.size() == 4);
    write_authentication(out, authentication::md5, salt);
}

void write_authentication_sasl(std::string& out, std::span<const std::string_view> mechanisms) {
    Writer writer(out);
    begin_authentication(writer, authentication::sasl);
    for (const std::string_view mechanism : mechanisms) writer.cstring(mechanism);
    writer.u8(0).end();
}

void write_authentication_sasl_continue(std::string& out, Bytes data) {
    write_authentication(out, authentication::sasl_continue, data);
}

void write_authentication_sasl_final(std::string& out, Bytes data) {
    write_authentication(out, authentication::sasl_final, data);
}

void write_negotiate_protocol_version(std::string& out, std::uint32_t newest_minor,
                                      std::span<const std::string> unknown_options) {
    Writer writer(out);
    writer.begin('v').u32(protocol_3_0 | newest_minor);
    writer.u32(static_cast<std::uint32_t>(unknown_options.size()));
    for (const std::string& option : unknown_options) writer.cstring(option);
    writer.end();
}

void write_command_complete(std::string& out, std::string_view tag) {
    Writer(out).begin('C').cstring(tag).end();
}

void write_notification(std::string& out, std::uint32_t pid, std::string_view channel,
                        std::string_view payload) {
    Writer(out).begin('A').u32(pid).cstring(channel).cstring(payload).end();
}

void write_copy_in(std::string& out, bool binary, std::uint16_t columns) {
    write_copy_response(out, 'G', binary, columns);
}

void write_copy_out(std::string& out, bool binary, std::uint16_t columns) {
    write_copy_response(out, 'H', binary, columns);
}

void write_copy_both(std::string& out, bool binary, std::uint16_t columns) {
    write_copy_response(out, 'W', binary, columns);
}

void write_row_description(std::string& out, std::span<const Column> columns) {
    Writer writer(out);
    writer.begin('T').u16(count_of(columns.size()));
    for (const Column& column : columns) {
        writer.cstring(column.name).u32(0).u16(0).u32(column.type_oid);
        writer.u16(static_cast<std::uint16_t>(column.type_size)).i32(-1).u16(column.format);
    }
    writer.end();
}

void write_data_row(std::string& out, std::span<const std::optional<std::string_view>> values) {
    Writer writer(out);
    writer.begin('D').u16(count_of(values.size()));
    for (const std::optional<std::string_view>& value : values) {
        writer.u32(value ? static_cast<std::uint32_t>(value->size()) : null_size);
        if (value) writer.bytes(*value);
    }
    writer.end();
}

void write_parameter_description(std::string& out, std::span<const std::uint32_t> type_oids) {
    Writer writer(out);
    writer.begin('t').u16(count_of(type_oids.size()));
    for (const std::uint32_t type_oid : type_oids) writer.u32(type_oid);
    writer.end();
}

}  // namespace pgweir::protocol
