#include "proxy/admin/answer.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <charconv>

namespace pgweir::proxy::admin {

namespace {

constexpr std::uint32_t float8_oid = 701;

struct WireType {
    std::uint32_t oid;
    std::int16_t size;
};

WireType wire_type(Type type) {
    switch (type) {
        case Type::text: return {protocol::oid::text, -1};
        case Type::int4: return {protocol::oid::int4, 4};
        case Type::int8: return {protocol::oid::int8, 8};
        case Type::numeric: return {protocol::oid::numeric, -1};
        case Type::bytea: return {protocol::oid::bytea, -1};
        case Type::float8: return {float8_oid, 8};
    }
    return {protocol::oid::text, -1};
}

template <class Number>
Number number(const std::string& text) {
    Number value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

void write_u64(protocol::Writer& writer, std::uint64_t value) {
    writer.u32(static_cast<std::uint32_t>(value >> 32));
    writer.u32(static_cast<std::uint32_t>(value));
}

/// Source: PostgreSQL's numeric_send: count, weight, sign and scale, then digits to base 10000.
std::string binary_numeric(std::uint64_t value) {
    std::vector<std::uint16_t> digits;  // lowest first
    for (; value > 0; value /= 10'000) digits.push_back(static_cast<std::uint16_t>(value % 10'000));
    const auto count = static_cast<std::uint16_t>(digits.size());
    std::string out;
    protocol::Writer writer(out);
    writer.u16(count).u16(static_cast<std::uint16_t>(count > 0 ? count - 1 : 0)).u16(0).u16(0);
    std::for_each(digits.rbegin(), digits.rend(), [&](std::uint16_t digit) { writer.u16(digit); });
    return out;
}

std::uint16_t format_of(Formats formats, std::size_t column) {
    if (formats.empty()) return 0;
    return formats.size() == 1 ? formats.front() : formats[column];
}

}  // namespace

Answer failure(protocol::Error error) {
    Answer answer;
    answer.error = std::move(error);
    return answer;
}

Answer done(std::string tag) {
    Answer answer;
    answer.tag = std::move(tag);
    return answer;
}

bool formats_fit(Formats formats, std::size_t columns) {
    if (formats.size() > 1 && formats.size() != columns) return false;
    return std::all_of(formats.begin(), formats.end(),
                       [](std::uint16_t format) { return format <= 1; });
}

void write_columns(std::string& out, Columns columns, Formats formats) {
    std::vector<protocol::Column> fields;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const WireType type = wire_type(columns[i].type);
        fields.push_back({.name = std::string(columns[i].name),
                          .type_oid = type.oid,
                          .type_size = type.size,
                          .format = format_of(formats, i)});
    }
    protocol::write_row_description(out, fields);
}

void write_row(std::string& out, Columns columns, const Row& row, Formats formats) {
    assert(row.size() == columns.size());
    std::vector<Cell> converted(row.size());
    std::vector<std::optional<std::string_view>> values(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
        if (!row[i]) continue;
        values[i] = *row[i];
        if (format_of(formats, i) == 0) continue;
        converted[i] = binary(columns[i].type, *row[i]);
        values[i] = *converted[i];
    }
    protocol::write_data_row(out, values);
}

std::string binary(Type type, const std::string& text) {
    std::string out;
    protocol::Writer writer(out);
    switch (type) {
        case Type::text:
        case Type::bytea: return text;
        case Type::int4: writer.i32(number<std::int32_t>(text)); break;
        case Type::int8:
            write_u64(writer, static_cast<std::uint64_t>(number<std::int64_t>(text)));
            break;
        case Type::float8:
            write_u64(writer, std::bit_cast<std::uint64_t>(number<double>(text)));
            break;
        case Type::numeric: return binary_numeric(number<std::uint64_t>(text));
    }
    return out;
}

}  // namespace pgweir::proxy::admin
