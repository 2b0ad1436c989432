#include "config/table_reader.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "config/nearest.hpp"

namespace pgweir::config {

namespace {

/// What the operator wrote, for a message that says what was expected instead.
std::string written(const TomlValue& value) {
    struct Writer {
        std::string operator()(bool flag) const { return flag ? "true" : "false"; }
        std::string operator()(std::int64_t number) const { return fmt::format("{}", number); }
        std::string operator()(double number) const { return fmt::format("{}", number); }
        std::string operator()(const std::string& text) const { return text; }
        std::string operator()(const TomlValue::Array&) const { return "[...]"; }
        std::string operator()(const TomlValue::Table&) const { return "{...}"; }
    };
    return std::visit(Writer{}, value.data);
}

/// ` without quotes` where a number or a boolean was written as a string.
std::string_view unquoted(const TomlValue& value) {
    return std::holds_alternative<std::string>(value.data) ? " without quotes" : "";
}

/// A string that stands for something else: from the environment everything is one.
const std::string* loose_text(const TomlValue& value) {
    return value.loose ? std::get_if<std::string>(&value.data) : nullptr;
}

}  // namespace

Result<bool> flag_in(const TomlValue& value) {
    if (const bool* const flag = std::get_if<bool>(&value.data)) return *flag;
    if (const std::string* const text = loose_text(value)) {
        for (const std::string_view word : {"1", "true", "yes", "on"}) {
            if (same_word(word, *text)) return true;
        }
        for (const std::string_view word : {"0", "false", "no", "off"}) {
            if (same_word(word, *text)) return false;
        }
    }
    return expected(fmt::format("true or false{}", unquoted(value)), written(value));
}

Result<std::int64_t> integer_in(const TomlValue& value, std::int64_t min, std::int64_t max) {
    const std::int64_t* const number = std::get_if<std::int64_t>(&value.data);
    if (number && *number >= min && *number <= max) return *number;
    if (const std::string* const text = loose_text(value)) return parse_integer(*text, min, max);
    return expected(fmt::format("a whole number from {} to {}{}", min, max, unquoted(value)),
                    written(value));
}

Result<std::int64_t> size_in(const TomlValue& value, std::int64_t min, std::int64_t max) {
    return parse_size(written(value), min, max);
}

Result<Duration> duration_in(const TomlValue& value) {
    const bool number = std::holds_alternative<std::int64_t>(value.data) ||
                        std::holds_alternative<double>(value.data);
    if (number || std::holds_alternative<std::string>(value.data)) {
        return parse_duration(written(value));
    }
    return expected("a duration like \"250ms\", \"5s\" or \"1h\"", written(value));
}

Result<std::string> text_in(const TomlValue& value) {
    if (const std::string* const text = std::get_if<std::string>(&value.data)) return *text;
    return expected("a string in quotes", written(value));
}

Result<Networks> networks_in(const TomlValue& value) {
    const auto list = list_in(value);
    if (list.has_error()) return list.error();
    return parse_networks(*list);
}

Result<std::vector<std::string>> list_in(const TomlValue& value) {
    if (const std::string* const text = std::get_if<std::string>(&value.data)) {
        return split_list(*text);
    }
    const auto* const array = std::get_if<TomlValue::Array>(&value.data);
    if (!array) return expected("a list of strings", written(value));
    std::vector<std::string> list;
    for (const TomlValue& element : *array) {
        auto text = text_in(element);
        if (text.has_error()) return expected("a list of strings", written(element));
        list.push_back(*std::move(text));
    }
    return list;
}

const TomlValue::Table& TableReader::entries() const {
    static const TomlValue::Table none;
    return table_ ? *table_ : none;
}

const TomlValue* TableReader::take(std::string_view key) {
    known_.emplace_back(key);
    const auto found = std::ranges::find(entries(), key, &TomlEntry::key);
    return found == entries().end() ? nullptr : &found->value;
}

TableReader TableReader::table(std::string_view key) {
    const TomlValue* const value = take(key);
    if (value) return table(key, *value);
    return {nullptr, full(key), file_, *findings_};
}

TableReader TableReader::table(std::string_view key, const TomlValue& value) const {
    const auto* const table = std::get_if<TomlValue::Table>(&value.data);
    if (!table) problem(key, value, expected("a table", written(value)).message);
    return {table, full(key), file_, *findings_};
}

void TableReader::read(std::string_view key, int& to, int min, int max) {
    std::int64_t number = to;
    store(key, number, [&](const TomlValue& value) { return integer_in(value, min, max); });
    to = static_cast<int>(number);
}

void TableReader::read_size(std::string_view key, std::int64_t& to) {
    constexpr std::int64_t max = std::int64_t{1} << 50;
    store(key, to, [](const TomlValue& value) { return size_in(value, 0, max); });
}

void TableReader::problem(std::string_view key, const TomlValue& value,
                          std::string_view text) const {
    findings_->problem(place(value), fmt::format("{}: {}", full(key), text));
}

void TableReader::finish() const {
    for (const auto& [key, value] : entries()) {
        if (std::ranges::find(known_, key) != known_.end()) continue;
        const std::vector<std::string_view> known(known_.begin(), known_.end());
        findings_->problem(
            place(value), fmt::format("unknown key \"{}\"{}", full(key), did_you_mean(key, known)));
    }
}

std::string TableReader::full(std::string_view key) const {
    if (path_.empty() || key.empty()) return path_ + std::string(key);
    return fmt::format("{}.{}", path_, key);
}

}  // namespace pgweir::config
