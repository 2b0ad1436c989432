// One table of a TOML file, read key by key. What nobody asked for is what the operator got wrong.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/toml.hpp"
#include "config/units.hpp"

namespace pgweir::config {

// One value each, from what TOML allows for it. Errors F0000: what was expected.
Result<bool> flag_in(const TomlValue& value);
Result<std::int64_t> integer_in(const TomlValue& value, std::int64_t min, std::int64_t max);
Result<std::int64_t> size_in(const TomlValue& value, std::int64_t min, std::int64_t max);
Result<Duration> duration_in(const TomlValue& value);
Result<std::string> text_in(const TomlValue& value);
/// An array of strings, or one string that is split at its commas.
Result<std::vector<std::string>> list_in(const TomlValue& value);
Result<Networks> networks_in(const TomlValue& value);

template <class Word>
Result<Word> word_in(const TomlValue& value) {
    const auto text = text_in(value);
    if (text.has_error()) return text.error();
    return parse_word<Word>(*text);
}

/// Hands out the values of a table and, in finish(), complains about the keys nobody asked for.
/// Borrows the table and the findings. Without a table (the file has none of that name) it has
/// nothing to hand out and nothing to complain about.
class TableReader {
public:
    TableReader(const TomlValue::Table* table, std::string path, std::string file,
                Findings& findings)
        : table_(table),
          path_(std::move(path)),
          file_(std::move(file)),
          findings_(&findings) {}

    bool exists() const { return table_ != nullptr; }
    const std::string& path() const { return path_; }
    const std::string& file() const { return file_; }
    const TomlValue::Table& entries() const;
    Place place(const TomlValue& value) const { return {file_, value.line}; }

    /// The value of `key`, nullptr when it is not there. Either way the key is a known one.
    const TomlValue* take(std::string_view key);

    /// The table at `key`; something else there is a problem.
    TableReader table(std::string_view key);

    /// The table `value` is, for tables whose keys are names of the operator's.
    TableReader table(std::string_view key, const TomlValue& value) const;

    // Each reads `key` into `to` when it is there and right, and complains when it is wrong.
    void read(std::string_view key, bool& to) { store(key, to, flag_in); }
    void read(std::string_view key, Duration& to) { store(key, to, duration_in); }
    void read(std::string_view key, std::string& to) { store(key, to, text_in); }
    void read(std::string_view key, std::vector<std::string>& to) { store(key, to, list_in); }
    void read(std::string_view key, Networks& to) { store(key, to, networks_in); }
    void read(std::string_view key, int& to, int min, int max = std::numeric_limits<int>::max());
    void read_size(std::string_view key, std::int64_t& to);
    template <class Word>
    void read_word(std::string_view key, Word& to) {
        store(key, to, word_in<Word>);
    }

    /// Adds the problem "PATH.KEY: TEXT" at the line of `value`.
    void problem(std::string_view key, const TomlValue& value, std::string_view text) const;

    void finish() const;

private:
    template <class Value, class Read>
    void store(std::string_view key, Value& to, const Read& from) {
        const TomlValue* const value = take(key);
        if (!value) return;
        auto result = from(*value);
        if (result.has_error())
            problem(key, *value, result.error().message);
        else
            to = *std::move(result);
    }

    std::string full(std::string_view key) const;

    const TomlValue::Table* table_;
    std::string path_, file_;
    Findings* findings_;
    std::vector<std::string> known_;
};

}  // namespace pgweir::config
