#include "config/included_files.hpp"

#include <fmt/format.h>

namespace pgweir::config {

std::optional<std::string> IncludedFiles::read(const std::string& path, const Place& from,
                                               int depth) {
    const auto refuse = [&](std::string why) {
        findings_.problem(from, std::move(why));
        return std::nullopt;
    };
    if (depth > include_depth_max)
        return refuse(fmt::format("files include each other more than {} deep", include_depth_max));
    if (++files_ > included_files_max) {
        if (files_ == included_files_max + 1) refuse("too many included files");
        return std::nullopt;
    }
    auto text = read_(path);
    if (text.has_error())
        return refuse(fmt::format("cannot read \"{}\": {}", path, text.error().message));
    if (!*text) return refuse(fmt::format("cannot read \"{}\": no such file", path));
    if ((bytes_ += (*text)->size()) > included_bytes_max) {
        return refuse(fmt::format("\"{}\" is too large: all files together may have "
                                  "{} bytes",
                                  path, included_bytes_max));
    }
    return std::move(**text);
}

bool IncludedFiles::admits_entry(const Place& at) {
    if (entries_ > included_entries_max) return false;
    if (++entries_ <= included_entries_max) return true;
    findings_.problem(at, "too many entries");
    return false;
}

}  // namespace pgweir::config
