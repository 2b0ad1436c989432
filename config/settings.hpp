// Every setting exactly once: its name, where it lives, how it is written, whether it may change
// while the program runs. The ini reader, the TOML reader, SHOW CONFIG, SET, the check for unknown
// keys and docs/settings.md all read this one table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.hpp"
#include "config/units.hpp"

namespace pgweir::config {

/// A member of one of the two Tls blocks of Settings.
template <class Value>
struct TlsMember {
    Tls Settings::*side;
    Value Tls::*member;
};

/// Where a setting lives.
using Member = std::variant<bool Settings::*, int Settings::*, std::int64_t Settings::*,
                            Duration Settings::*, std::string Settings::*,
                            std::vector<std::string> Settings::*, AuthType Settings::*,
                            PoolMode Settings::*, TlsMember<std::string>, TlsMember<SslMode>>;

/// The value `member` points to, in Settings that may be const.
template <class Block, class Value>
auto& value_at(Block& settings, Value Settings::*member) {
    return settings.*member;
}
template <class Block, class Value>
auto& value_at(Block& settings, const TlsMember<Value>& member) {
    return settings.*member.side.*member.member;
}

/// What the plain C++ type does not say.
enum class Unit : std::uint8_t {
    none,
    seconds,       // Duration
    milliseconds,  // Duration
    bytes,         // the TOML takes "64KiB"
    mode,          // permission bits: read in octal habit, shown in decimal
    path,          // a file: "~/" is the home directory
    nullable,      // text that SHOW CONFIG shows as NULL while it is empty
    nullable_path,
};

struct Setting {
    std::string_view name{};  // PgBouncer's
    std::string_view toml{};  // path in the native TOML; "" = an ini only
    Member member;
    Unit unit = Unit::none;
    std::int64_t min = 0, max = 0;             // of an integer, inclusive
    std::string_view words{};                  // what a text may be, between blanks; "" = any
    std::optional<std::string_view> preset{};  // default, as SHOW CONFIG shows it; nullopt = NULL
    bool changeable = true;                    // by RELOAD and SET
    std::string_view help{};
};

/// All settings, in the order of SHOW CONFIG.
std::span<const Setting> all_settings();

/// The setting of that name, letter case ignored; nullptr when there is none.
const Setting* find_setting(std::string_view name);

/// The setting at that path of the native TOML; nullptr when there is none.
const Setting* find_toml_setting(std::string_view path);

/// `unknown setting "X"`, with what was probably meant.
std::string unknown_setting(std::string_view name);

/// Sets one setting from PgBouncer's spelling of its value.
/// Errors F0000: the text is not such a value; it says what was expected.
Result<void> assign(Settings& settings, const Setting& setting, std::string_view text);

/// SET of the admin console: as assign, by name. A setting that is read at start only is left alone
/// and no error, as in PgBouncer.
Result<void> set(Settings& settings, std::string_view name, std::string_view text);

/// The value as SHOW CONFIG prints it; nullopt is NULL.
std::optional<std::string> show(const Settings& settings, const Setting& setting);

struct SettingRow {
    std::string key;
    std::optional<std::string> value, default_value;
    bool changeable;
};

/// The rows of SHOW CONFIG.
std::vector<SettingRow> show_config(const Settings& settings);

/// The defaults of the native TOML; those of an ini are Settings{}.
Settings native_settings();

/// docs/settings.md.
std::string settings_page();

}  // namespace pgweir::config
