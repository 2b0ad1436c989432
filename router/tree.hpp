// libpg_query's parse tree as it comes: one protobuf message within another, read in place.
#pragma once

#include <cstdint>
#include <string_view>

struct ProtobufCMessageDescriptor;

namespace pgweir::router {

/// One message of the tree and, by its descriptor, what its fields are called. Borrowed: valid as
/// long as the bytes. `Node`, which only says what it holds, never shows. A malformed one ends
/// early and is_whole() tells.
class Tree {
public:
    Tree() = default;
    Tree(const ProtobufCMessageDescriptor& type, std::string_view bytes)
        : type_(&type),
          bytes_(bytes) {}

    explicit operator bool() const { return type_ != nullptr; }
    /// "SelectStmt"; empty when there is none.
    std::string_view kind() const;
    bool is(std::string_view name) const { return kind() == name; }

    /// One field, by its name in pg_query.proto; the first, when it is repeated.
    Tree child(std::string_view field) const;
    std::string_view text(std::string_view field) const;  // "" when it is not there
    std::int64_t number(std::string_view field) const;    // 0 likewise: enums, integers, booleans

    /// Calls `visit(field name, child)` for every message in it, in order. False: it is malformed.
    template <class Visit>
    bool each(Visit&& visit) const {
        std::string_view rest = bytes_;
        Part part;
        while (next(rest, part)) {
            if (part.type) visit(part.name, unwrapped(part));
        }
        return rest.empty();
    }
    /// The same for the messages of one field.
    template <class Visit>
    void each(std::string_view field, Visit&& visit) const {
        each([&](std::string_view name, const Tree& tree) {
            if (name == field) visit(tree);
        });
    }

private:
    /// One field as it lies there.
    struct Part {
        std::string_view name;
        std::string_view bytes;  // of a string or message
        std::uint64_t number = 0;
        const ProtobufCMessageDescriptor* type = nullptr;  // of a message
    };
    /// False at the end, and where the bytes make no sense: then something is left.
    bool next(std::string_view& rest, Part& part) const;
    bool find(std::string_view field, Part& part) const;
    static Tree unwrapped(const Part& part);

    const ProtobufCMessageDescriptor* type_ = nullptr;
    std::string_view bytes_;
};

}  // namespace pgweir::router
