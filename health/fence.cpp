#include "health/fence.hpp"

#include <charconv>
#include <map>

#include <fmt/format.h>

namespace pgweir::health {

namespace {

constexpr std::string_view head = "# pgweir: the highest timeline seen. Do not edit.\n";
constexpr std::string_view tail = "end\n";  // a file without it is not whole

protocol::Error bad(std::string text) {
    return {protocol::sqlstate::config_file_error, protocol::Origin::proxy, std::move(text)};
}

template <class Number>
bool read_number(std::string_view text, Number& value) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

}  // namespace

std::string format_fence(const Fence& fence, std::string_view cluster) {
    return fmt::format("{}cluster {}\nsystem {}\ntimeline {}\nprimary {}\nsystems {}\n{}", head,
                       cluster, fence.system, fence.timeline, fence.primary, fence.systems, tail);
}

protocol::Result<Fence> parse_fence(std::string_view text, std::string_view cluster) {
    if (!text.starts_with(head)) return bad("not a state file of pgweir");
    if (!text.ends_with(std::string("\n").append(tail))) return bad("the file is cut off");
    text.remove_prefix(head.size());
    std::map<std::string_view, std::string_view> values;
    while (text != tail && !text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        const std::size_t space = line.find(' ');
        if (space == std::string_view::npos) return bad(fmt::format("bad line \"{}\"", line));
        values[line.substr(0, space)] = line.substr(space + 1);
        text.remove_prefix(line.size() + 1);
    }
    if (values["cluster"] != cluster)
        return bad(fmt::format("the file is of the cluster \"{}\"", values["cluster"]));
    Fence fence;
    if (!read_number(values["system"], fence.system)) return bad("bad system identifier");
    if (!read_number(values["timeline"], fence.timeline)) return bad("bad timeline");
    fence.primary = values["primary"];
    const auto systems = values.find("systems");  // files of older versions have none
    if (systems != values.end() && !read_number(systems->second, fence.systems))
        return bad("bad number of systems");
    return fence;
}

Fence merged(Fence ours, const Fence& kept) {
    if (ours.system == 0 || kept.systems > ours.systems) return kept;
    const bool alike = ours.system == kept.system && ours.systems == kept.systems;
    if (alike && kept.timeline > ours.timeline) {
        ours.timeline = kept.timeline;
        ours.primary = kept.primary;
    }
    return ours;
}

}  // namespace pgweir::health
