// What the simulated PostgreSQL makes of a statement.
#include <algorithm>

#include <fmt/format.h>

#include "health/probe.hpp"
#include "tests/simulation/backend.hpp"
#include "tests/simulation/cluster.hpp"

namespace pgweir::simulation {

using protocol::TxStatus;

namespace {

constexpr std::string_view set_config_call = "pg_catalog.set_config(";

/// The literal at `at`, '…' or E'…', which is moved behind it.
std::string literal(const std::string& sql, std::size_t& at) {
    at = sql.find('\'', at) + 1;
    std::string text;
    for (; at < sql.size(); ++at) {
        if (sql[at] == '\'' && sql.substr(at, 2) != "''") break;
        if (sql[at] == '\'') ++at;
        text += sql[at];
    }
    ++at;
    return text;
}

std::string first_literal(const std::string& sql) {
    std::size_t at = 0;
    return literal(sql, at);
}

std::string unquoted(std::string name) {
    std::erase(name, '"');
    std::erase(name, ' ');
    return name;
}

int number_in(const std::string& sql) {
    return std::stoi(sql.substr(sql.find_first_of("0123456789")));
}

std::vector<std::string> split(const std::string& text, const std::string& by) {
    std::vector<std::string> parts;
    std::size_t at = 0;
    while (true) {
        const std::size_t end = text.find(by, at);
        parts.push_back(text.substr(at, end - at));
        if (end == std::string::npos) return parts;
        at = end + by.size();
    }
}

}  // namespace

void Backend::run(const std::string& whole, bool simple) {
    if (std::exchange(cancelled_, false)) raise("57014", "canceling statement due to user request");
    std::string sql = whole;
    if (sql.starts_with("/*")) sql = sql.substr(sql.find("*/") + 3);
    if (run_transaction(sql)) return;
    if (tx_ == TxStatus::failed)
        raise("25P02",
              "current transaction is aborted, commands ignored until end of transaction block");
    if (sql.starts_with("selec ")) raise("42601", "syntax error at or near \"selec\"");
    if (run_variables(sql, simple) || run_statements(sql, simple) || run_select(sql, simple) ||
        run_channels(sql))
        return;
    node_.cluster.unknown = sql;
    raise("42601", "the model does not know: " + sql);
}

bool Backend::run_transaction(const std::string& sql) {
    if (sql == "begin" || sql.starts_with("BEGIN")) {
        begin(sql.find("READ ONLY") != std::string::npos);
    } else if (sql == "begin read only") {
        begin(true);
    } else if (sql == "commit") {
        const bool failed = tx_ == TxStatus::failed;
        end_transaction(true);
        tag(failed ? "ROLLBACK" : "COMMIT");
    } else if (sql == "rollback" || sql == "ROLLBACK") {
        end_transaction(false);
        tag("ROLLBACK");
    } else {
        return false;
    }
    return true;
}

void Backend::set(const std::string& name, const std::string& value, bool local) {
    if (!Variables::exists(name))
        raise("42704", "unrecognized configuration parameter \"" + name + "\"");
    if (local) {
        variables_.set_local(name, value);
    } else {
        variables_.set(name, value);
    }
}

/// SELECT pg_catalog.set_config('name','value',false),…
void Backend::set_config(const std::string& sql, bool simple) {
    Row values;
    std::size_t at = 0;
    while ((at = sql.find(set_config_call, at)) != std::string::npos) {
        const std::string name = literal(sql, at);
        const std::string value = literal(sql, at);
        set(name, value, sql.substr(at, 5) == ",true");
        values.emplace_back(variables_.get(name));
    }
    rows({values}, simple, values.size());
}

bool Backend::run_variables(const std::string& sql, bool simple) {
    if (sql.starts_with("SELECT pg_catalog.set_config(")) {
        set_config(sql, simple);
    } else if (sql.starts_with("set ")) {
        const bool local = sql.starts_with("set local ");
        const std::size_t from = local ? 10 : 4;
        set(sql.substr(from, sql.find(" =") - from), first_literal(sql), local);
        tag("SET");
    } else if (sql.starts_with("reset ") || sql.starts_with("RESET ")) {
        const std::string name = unquoted(sql.substr(6));
        name == "all" ? variables_.reset_all() : variables_.reset(name);
        tag("RESET");
    } else if (sql.starts_with("show ")) {
        const std::string value = variables_.get(sql.substr(5));
        if (simple) {
            const std::vector<protocol::Column> columns{{"c"}};
            protocol::write_row_description(out_, columns);
        }
        const std::vector<std::optional<std::string_view>> row{value};
        protocol::write_data_row(out_, row);
        tag("SHOW");
    } else if (sql == "DISCARD ALL" || sql == "discard all") {
        if (tx_ != TxStatus::idle) raise("25001", "DISCARD ALL cannot run in a transaction");
        variables_.reset_all();
        std::erase_if(statements_, [](const auto& one) { return !one.first.empty(); });
        for (const int lock : locks_) node_.locks.erase(lock);
        locks_.clear();
        channels_.clear();
        tag("DISCARD ALL");
    } else {
        return false;
    }
    return true;
}

bool Backend::run_statements(const std::string& sql, bool simple) {
    const auto is = [&](std::string_view lower, std::string_view upper) {
        return sql.starts_with(lower) || sql.starts_with(upper);
    };
    if (is("prepare ", "PREPARE ")) {
        const std::size_t as = std::min(sql.find(" as "), sql.find(" AS "));
        const std::string name = unquoted(sql.substr(8, as - 8));
        if (statements_.contains(name))
            raise("42P05", "prepared statement \"" + name + "\" already exists");
        statements_[name] = sql.substr(as + 4);
        tag("PREPARE");
    } else if (is("execute ", "EXECUTE ")) {
        const auto found = statements_.find(unquoted(sql.substr(8)));
        if (found == statements_.end()) raise("26000", "prepared statement does not exist");
        run(found->second, simple);
    } else if (is("deallocate ", "DEALLOCATE ")) {
        if (statements_.erase(unquoted(sql.substr(11))) == 0)
            raise("26000", "prepared statement does not exist");
        tag("DEALLOCATE");
    } else {
        return false;
    }
    return true;
}

bool Backend::run_select(const std::string& sql, bool simple) {
    if (sql.starts_with("insert into t values (")) {
        insert(sql);
    } else if (sql == health::probe_sql()) {
        probe(simple);
    } else if (sql.starts_with("SELECT 'v'") || sql.starts_with("SELECT 't'") ||
               sql.starts_with("SELECT 'n'") || sql.starts_with("(SELECT '")) {
        return run_question(sql, simple);
    } else if (sql.starts_with("select count(*) from t where k = ")) {
        const std::string token = first_literal(sql);
        const auto own = std::ranges::count(pending_, token);
        rows({{std::to_string(node_.count(token) + static_cast<std::size_t>(own))}}, simple);
    } else if (sql == "select 1/0") {
        raise("22012", "division by zero");
    } else if (sql.starts_with("select pg_advisory_lock(")) {
        locks_.insert(number_in(sql));
        node_.locks[number_in(sql)] = this;
        rows({{""}}, simple);
    } else if (sql.starts_with("select pg_advisory_unlock(")) {
        const bool held = locks_.erase(number_in(sql)) > 0;
        if (held) node_.locks.erase(number_in(sql));
        rows({{held ? "t" : "f"}}, simple);
    } else if (sql.starts_with("select '")) {
        rows({{first_literal(sql)}}, simple);
    } else {
        return false;
    }
    return true;
}

bool Backend::run_channels(const std::string& sql) {
    const std::size_t space = sql.find(' ');
    std::string word = sql.substr(0, space);
    std::ranges::transform(word, word.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    const bool known = word == "LISTEN" || word == "UNLISTEN" || word == "NOTIFY";
    if (!known || space == std::string::npos) return false;
    if (!node_.primary) raise("25006", "cannot execute " + word + " during recovery");
    const std::size_t comma = word == "NOTIFY" ? sql.find(',') : std::string::npos;
    const std::string name = unquoted(sql.substr(space + 1, comma - space - 1));
    if (word == "NOTIFY") {
        notices_.push_back({pid_, name, first_literal(sql)});
    } else {
        channel_changes_.push_back((word == "LISTEN" ? "+" : "-") + name);
    }
    tag(word);
    return true;
}

void Backend::insert(const std::string& sql) {
    const bool refused =
        read_only_ || !node_.primary || variables_.get("default_transaction_read_only") == "on";
    if (refused) raise("25006", "cannot execute INSERT in a read-only transaction");
    pending_.push_back(first_literal(sql));
    tag("INSERT 0 1");
}

/// What a Session asks: values of variables, and whether there are locks and the like.
bool Backend::run_question(const std::string& sql, bool simple) {
    std::vector<Row> answer;
    for (const std::string& part : split(sql, " UNION ALL ")) {
        if (part.starts_with("SELECT 'v'") && part.find("pg_settings") != std::string::npos) {
            const bool named = part.find("ANY (ARRAY[") != std::string::npos;
            for (const auto& [name, value] : variables_.session()) {
                std::string lower = name;
                std::ranges::transform(lower, lower.begin(), [](unsigned char c) {
                    return static_cast<char>(std::tolower(c));
                });
                std::string asked = part;
                std::ranges::transform(asked, asked.begin(), [](unsigned char c) {
                    return static_cast<char>(std::tolower(c));
                });
                if (!named || asked.find("'" + lower + "'") != std::string::npos)
                    answer.push_back({"v", name, variables_.get(name)});
            }
        } else if (part.starts_with("SELECT 'v'")) {
            std::size_t at = 10;
            const std::string name = literal(part, at);
            std::optional<std::string> value;
            for (const auto& [known, preset] : Variables::presets()) {
                if (known == name) value = variables_.get(known);
            }
            answer.push_back({"v", name, value});
        } else if (part.starts_with("(SELECT 'l'")) {
            if (!locks_.empty()) answer.push_back({"l", std::nullopt, std::nullopt});
        } else if (part.starts_with("(SELECT 'p'")) {
            for (const auto& [name, text] : statements_) {
                if (!name.empty() && !name.starts_with("PGWEIR_"))
                    answer.push_back({"p", std::nullopt, std::nullopt});
            }
        } else if (part.starts_with("SELECT 'n'")) {
            for (const auto& [name, since] : channels_) answer.push_back({"n", name, std::nullopt});
        } else if (part.starts_with("(SELECT '(behind writes)'")) {  // a trigger that keeps a date
            answer.push_back(
                {"(behind writes)", "plpgsql v", "begin new.at := 1; return new; end"});
        } else if (!part.starts_with("SELECT 't'") && !part.starts_with("(SELECT 'h'")) {
            return false;
        }
    }
    rows(answer, simple, 3);
    return true;
}

void Backend::probe(bool simple) {
    constexpr std::size_t first = 0x3000100, step = 0x80;
    const std::size_t at = first + step * (node_.primary ? node_.log.size() : node_.replayed);
    const auto text_of = [](std::size_t position) {
        return fmt::format("{:X}/{:X}", position >> 32, position & 0xffffffff);
    };
    const std::string timeline = std::to_string(node_.timeline);
    Row row{node_.primary ? "f" : "t", "77"};
    if (node_.primary) {
        row.emplace_back(fmt::format("{:08X}0000000000000001", node_.timeline));
    } else {
        row.emplace_back(std::nullopt);
    }
    row.emplace_back(text_of(at));
    if (node_.primary) {
        row.emplace_back(std::nullopt);
        row.emplace_back(std::nullopt);
    } else {
        row.emplace_back("streaming");
        row.emplace_back(timeline);
    }
    row.emplace_back(timeline);
    row.emplace_back(std::to_string(node_.start_us));
    row.emplace_back("8192");
    row.emplace_back("16777216");
    row.emplace_back(text_of(first + step * node_.log.size()));
    const std::size_t columns = row.size();
    rows({std::move(row)}, simple, columns);
}

}  // namespace pgweir::simulation
