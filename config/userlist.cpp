#include "config/userlist.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "config/units.hpp"

namespace pgweir::config {

namespace {

/// A quoted text and its length in the file.
struct Quoted {
    std::string text;
    std::size_t size;
};

std::optional<Quoted> cut(std::string_view& line) {
    const std::size_t before = line.size();
    auto text = cut_quoted(line);
    if (!text) return std::nullopt;
    return Quoted{*std::move(text), before - line.size() - 2};
}

/// One line's user, or what is wrong with the line.
protocol::Result<Credential> parse_line(std::string_view line) {
    const auto broken = [](std::string text) {
        return protocol::Error{protocol::sqlstate::config_file_error, protocol::Origin::proxy,
                               std::move(text)};
    };
    constexpr std::string_view shape = "expected \"name\" \"secret\", both in double quotes";
    if (!line.starts_with('"')) return broken(std::string(shape));
    auto name = cut(line);
    if (!name) return broken(std::string(shape));
    if (name->size > user_name_max) {
        return broken(fmt::format("the name is longer than {} bytes", user_name_max));
    }
    line.remove_prefix(std::min(line.find('"'), line.size()));
    auto secret = line.empty() ? std::nullopt : cut(line);
    if (!secret) return broken(std::string(shape));
    if (secret->size > user_secret_max) {
        return broken(fmt::format("the secret is longer than {} bytes", user_secret_max));
    }
    return Credential{std::move(name->text), std::move(secret->text)};
}

}  // namespace

std::map<std::string, Credential, std::less<>> parse_userlist(std::string_view text,
                                                              const std::string& file,
                                                              Findings& findings) {
    std::map<std::string, Credential, std::less<>> users;
    for (Place at{file, 1}; !text.empty(); ++at.line) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trim(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line[0] == ';') continue;
        auto user = parse_line(line);
        if (user.has_error()) {
            findings.warning(at, "broken line in the auth file: " + user.error().message);
            continue;
        }
        std::string name = user->name;
        users.insert_or_assign(std::move(name), *std::move(user));
    }
    return users;
}

}  // namespace pgweir::config
