#include "router/tree.hpp"

#include <protobuf-c/protobuf-c.h>

namespace pgweir::router {

namespace {

bool read_varint(std::string_view& rest, std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(rest.front());
        rest.remove_prefix(1);
        value |= std::uint64_t{byte & 0x7fU} << shift;
        if ((byte & 0x80U) == 0) return true;
    }
    return false;
}

bool take(std::string_view& rest, std::uint64_t size, std::string_view& bytes) {
    if (size > rest.size()) return false;
    bytes = rest.substr(0, size);
    rest.remove_prefix(size);
    return true;
}

}  // namespace

bool Tree::next(std::string_view& rest, Part& part) const {
    if (!type_ || rest.empty()) return false;
    const std::string_view whole = rest;
    const auto broken = [&] { return rest = whole, false; };
    std::uint64_t tag;
    part = {};
    if (!read_varint(rest, tag)) return broken();
    switch (tag & 7U) {
        case 0:
            if (!read_varint(rest, part.number)) return broken();
            break;
        case 1:
            if (!take(rest, 8, part.bytes)) return broken();
            break;
        case 2: {
            std::uint64_t size;
            if (!read_varint(rest, size) || !take(rest, size, part.bytes)) return broken();
            break;
        }
        case 5:
            if (!take(rest, 4, part.bytes)) return broken();
            break;
        default: return broken();
    }
    const ProtobufCFieldDescriptor* const field =
        protobuf_c_message_descriptor_get_field(type_, static_cast<unsigned>(tag >> 3U));
    if (!field) return broken();  // a library of another version
    part.name = field->name;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        part.type = static_cast<const ProtobufCMessageDescriptor*>(field->descriptor);
    return true;
}

Tree Tree::unwrapped(const Part& part) {
    const Tree tree(*part.type, part.bytes);
    if (tree.kind() != "Node") return tree;
    std::string_view rest = part.bytes;
    Part inner;
    // An empty Node is a null pointer in a list: of no kind.
    return tree.next(rest, inner) && inner.type ? unwrapped(inner) : Tree();
}

std::string_view Tree::kind() const {
    constexpr std::string_view package = "pg_query.";
    return type_ ? std::string_view(type_->name).substr(package.size()) : std::string_view();
}

bool Tree::find(std::string_view field, Part& part) const {
    std::string_view rest = bytes_;
    while (next(rest, part)) {
        if (part.name == field) return true;
    }
    return false;
}

Tree Tree::child(std::string_view field) const {
    Part part;
    return find(field, part) && part.type ? unwrapped(part) : Tree();
}

std::string_view Tree::text(std::string_view field) const {
    Part part;
    return find(field, part) ? part.bytes : std::string_view();
}

std::int64_t Tree::number(std::string_view field) const {
    Part part;
    return find(field, part) ? static_cast<std::int64_t>(part.number) : 0;
}

}  // namespace pgweir::router
