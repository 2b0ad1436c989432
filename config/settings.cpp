#include "config/settings.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include <fmt/format.h>

#include "config/nearest.hpp"

namespace pgweir::config {

namespace {

bool is_nullable(const Setting& setting) {
    return setting.unit == Unit::nullable || setting.unit == Unit::nullable_path;
}

/// The values of one setting's text, by the type of the member.
struct Reader {
    const Setting& setting;
    std::string_view text;

    Result<void> read(bool& value) const { return store(parse_flag(text), value); }
    Result<void> read(int& value) const {
        const auto number = parse_integer(text, setting.min, setting.max);
        if (number.has_error()) return number.error();
        value = static_cast<int>(*number);
        return {};
    }
    Result<void> read(std::int64_t& value) const {
        return store(parse_integer(text, setting.min, setting.max), value);
    }
    Result<void> read(Duration& value) const {
        const bool milliseconds = setting.unit == Unit::milliseconds;
        return store(milliseconds ? parse_milliseconds(text) : parse_seconds(text), value);
    }
    Result<void> read(AuthType& value) const { return store(parse_word<AuthType>(text), value); }
    Result<void> read(PoolMode& value) const { return store(parse_word<PoolMode>(text), value); }
    Result<void> read(SslMode& value) const { return store(parse_word<SslMode>(text), value); }
    Result<void> read(std::vector<std::string>& value) const {
        value = split_list(text);
        return {};
    }
    Result<void> read(std::string& value) const {
        std::string_view words = setting.words;
        if (words.empty()) {
            value = text;
            return {};
        }
        while (!words.empty()) {
            const std::string_view word = words.substr(0, words.find(' '));
            if (same_word(word, text)) {
                value = word;
                return {};
            }
            words.remove_prefix(std::min(word.size() + 1, words.size()));
        }
        return expected(fmt::format("one of {}", setting.words), text);
    }

    template <class Value>
    static Result<void> store(const Result<Value>& parsed, Value& value) {
        if (parsed.has_error()) return parsed.error();
        value = *parsed;
        return {};
    }
};

std::string show_value(const Setting&, bool value) { return value ? "1" : "0"; }
std::string show_value(const Setting&, int value) { return fmt::format("{}", value); }
std::string show_value(const Setting&, std::int64_t value) { return fmt::format("{}", value); }
std::string show_value(const Setting&, const std::string& value) { return value; }
std::string show_value(const Setting& setting, Duration value) {
    if (setting.unit != Unit::milliseconds) return show_seconds(value);
    return fmt::format("{}", value.count() / 1000);
}
template <class Word>
requires std::is_enum_v<Word> std::string show_value(const Setting&, Word value) {
    return std::string(word_for(value));
}

/// A list as the operator wrote it, as long as that is still what it holds.
std::string show_list(const Settings& settings, const Setting& setting,
                      const std::vector<std::string>& value) {
    const auto written = settings.list_texts.find(setting.name);
    const bool holds = written != settings.list_texts.end() && split_list(written->second) == value;
    return holds ? written->second : join_list(value);
}

}  // namespace

const Setting* find_setting(std::string_view name) {
    const auto settings = all_settings();
    const auto found = std::ranges::find_if(
        settings, [&](const Setting& setting) { return same_word(setting.name, name); });
    return found == settings.end() ? nullptr : &*found;
}

const Setting* find_toml_setting(std::string_view path) {
    if (path.empty()) return nullptr;
    const auto settings = all_settings();
    const auto found = std::ranges::find(settings, path, &Setting::toml);
    return found == settings.end() ? nullptr : &*found;
}

std::string unknown_setting(std::string_view name) {
    std::vector<std::string_view> names;
    for (const Setting& setting : all_settings()) names.push_back(setting.name);
    return fmt::format("unknown setting \"{}\"{}", name, did_you_mean(name, names));
}

Result<void> assign(Settings& settings, const Setting& setting, std::string_view text) {
    auto done = std::visit(
        [&](const auto& member) {
            return Reader{setting, text}.read(value_at(settings, member));
        },
        setting.member);
    const bool list = std::holds_alternative<std::vector<std::string> Settings::*>(setting.member);
    if (list) settings.list_texts.insert_or_assign(std::string(setting.name), std::string(text));
    return done;
}

Result<void> set(Settings& settings, std::string_view name, std::string_view text) {
    const Setting* const setting = find_setting(name);
    if (!setting) {
        return protocol::Error{protocol::sqlstate::config_file_error, protocol::Origin::client,
                               unknown_setting(name)};
    }
    if (!setting->changeable) return {};
    auto done = assign(settings, *setting, text);
    if (!done.has_error()) {
        if (is_nullable(*setting)) {
            settings.set_texts.insert_or_assign(std::string(setting->name), std::string(text));
        }
        return done;
    }
    return protocol::Error{protocol::sqlstate::config_file_error, protocol::Origin::client,
                           fmt::format("{}: {}", setting->name, done.error().message)};
}

std::optional<std::string> show(const Settings& settings, const Setting& setting) {
    using List = std::vector<std::string>;
    std::string text = std::visit(
        [&](const auto& member) {
            const auto& value = value_at(settings, member);
            using Value = std::remove_cvref_t<decltype(value)>;
            if constexpr (std::is_same_v<Value, List>)
                return show_list(settings, setting, value);
            else
                return show_value(setting, value);
        },
        setting.member);
    if (text.empty() && is_nullable(setting)) return std::nullopt;
    return text;
}

namespace {

/// The options of LDAP with *** in the place of the password; a word may be in quotes in any part.
std::string without_password(std::string_view options) {
    std::string shown;
    while (!options.empty()) {
        std::size_t size = 0;
        bool quoted = false;
        std::string word;
        for (; size < options.size() && (quoted || !std::strchr(" \t\r\n,", options[size]));
             ++size) {
            quoted ^= options[size] == '"';
            if (options[size] != '"') word += options[size];
        }
        constexpr std::string_view password = "ldapbindpasswd=";
        const bool secret = word.starts_with(password);
        shown += secret ? std::string(password) + "***" : std::string(options.substr(0, size));
        if (size < options.size()) shown += options[size++];
        options.remove_prefix(size);
    }
    return shown;
}

}  // namespace

std::vector<SettingRow> show_config(const Settings& settings) {
    std::vector<SettingRow> rows;
    for (const Setting& setting : all_settings()) {
        std::optional<std::string> preset;
        if (setting.preset) preset = std::string(*setting.preset);
        std::optional<std::string> value = show(settings, setting);
        if (value && setting.name == "auth_ldap_options") value = without_password(*value);
        rows.push_back(
            {std::string(setting.name), std::move(value), std::move(preset), setting.changeable});
    }
    return rows;
}

Settings native_settings() {
    Settings settings;
    settings.admin_users = {"postgres"};
    settings.auth_type = AuthType::scram_sha_256;
    settings.listen_addr = {"127.0.0.1"};
    settings.max_client_conn = 1000;
    settings.pool_mode = PoolMode::transaction;
    return settings;
}

}  // namespace pgweir::config
