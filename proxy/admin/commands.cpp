#include "proxy/admin/commands.hpp"

#include <algorithm>
#include <charconv>

#include "config/settings.hpp"
#include "pool/net/log.hpp"
#include "protocol/vars.hpp"
#include "proxy/admin/explain.hpp"
#include "proxy/admin/suggest.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy::admin {

namespace {

constexpr const char* already_paused = "already suspended/paused";

/// Calls `then` when every job posted to the shards before this call has been done, and what those
/// jobs had done on the main thread at their end likewise: `rounds` deep.
void after_rounds(Process& process, int rounds, std::function<void()> then) {
    if (rounds == 0) return then();
    process.visit_shards(
        [](Shard&) {},
        [&process, rounds, then = std::move(then)] { after_rounds(process, rounds - 1, then); });
}

/// A new configuration is told to the shards, then to the pools, then to the clients.
constexpr int rounds_of_apply = 2;

Answer no_such_database(Process& process, const std::string& name) {
    const config::ConfigPtr config = process.config();
    std::vector<std::string_view> names;
    for (const auto& [known, database] : config->databases) {
        if (known != "*") names.push_back(known);
    }
    auto error = refusal("no such database: " + name);
    error.hint = name_hint(name, names);
    return failure(std::move(error));
}

bool is_paused(const Process& process) { return process.paused() || process.suspended(); }

bool exists(Process& process, const std::string& database) {
    if (database == "*") return false;
    return process.database(*process.config(), database).has_value() ||
           process.registry().paused_by_name(database);
}

/// What stands against doing `deed` to this database; "" = all of them, which is fine.
std::optional<Answer> objection(Process& process, const std::string& database,
                                std::string_view deed) {
    if (database.empty()) return std::nullopt;
    if (process.is_console(database)) {
        return failure(refusal(fmt::format("cannot {} admin db: {}", deed, database)));
    }
    if (!exists(process, database)) return no_such_database(process, database);
    return std::nullopt;
}

void run_set(Process& process, const Command& command, const Tell& tell) {
    auto changed = std::make_shared<config::Config>(process.settable());
    const auto set = config::set(changed->settings, command.key, command.value);
    if (set.has_error()) {
        net::log::print(net::log::Level::error, {}, "SET failed: {}", set.error().message);
        auto error = refusal("SET failed");
        error.detail = set.error().message;
        return tell(failure(std::move(error)));
    }
    process.set(std::move(changed));
    after_rounds(
        process, rounds_of_apply,
        [tell, tag = fmt::format("SET {}={}", command.key, command.value)] { tell(done(tag)); });
}

void run_reload(Process& process, const Command&, const Tell& tell) {
    if (!process.reload()) {
        return tell(failure({protocol::sqlstate::config_file_error, protocol::Origin::proxy,
                             "RELOAD failed, see logs for additional details"}));
    }
    after_rounds(process, rounds_of_apply, [tell] { tell(done("RELOAD")); });
}

void run_pause(Process& process, const Command& command, const Tell& tell) {
    const std::string& database = command.argument;
    if (is_paused(process)) return tell(failure(refusal(already_paused)));
    if (const auto against = objection(process, database, "pause")) return tell(*against);
    Answer answer = done("PAUSE");
    answer.when = Answer::When::servers_free;
    answer.undo = !process.registry().paused_by_name(database);
    process.pause(database);
    tell(std::move(answer));
}

void run_resume(Process& process, const Command& command, const Tell& tell) {
    const std::string& database = command.argument;
    if (database.empty()) {
        if (process.shutting_down() != Shutdown::none)
            return tell(failure(refusal("pooler is shutting down")));
        if (!is_paused(process)) return tell(failure(refusal("pooler is not paused/suspended")));
    } else {
        if (!process.is_console(database) && !exists(process, database))
            return tell(no_such_database(process, database));
        if (!process.registry().paused_by_name(database)) {
            return tell(failure(refusal(fmt::format("database {} is not paused", database))));
        }
    }
    process.resume(database);
    tell(done("RESUME"));
}

/// What was asked of clients and servers has been done when the answer is given, as in PgBouncer,
/// where everything happens on one thread.
void tell_after_shards(Process& process, std::string tag, const Tell& tell) {
    after_rounds(process, 1, [tell, tag = std::move(tag)] { tell(done(tag)); });
}

void run_reconnect(Process& process, const Command& command, const Tell& tell) {
    if (const auto against = objection(process, command.argument, "reconnect"))
        return tell(*against);
    process.reconnect(command.argument);
    tell_after_shards(process, "RECONNECT", tell);
}

void run_kill(Process& process, const Command& command, const Tell& tell) {
    const std::string& database = command.argument;
    if (is_paused(process)) return tell(failure(refusal(already_paused)));
    if (const auto against = objection(process, database, "kill")) return tell(*against);
    // Each by its name: that is how they are then resumed.
    for (const auto& name :
         database.empty() ? process.registry().databases() : std::vector{database}) {
        process.kill(name);
    }
    tell_after_shards(process, "KILL", tell);
}

/// As sscanf reads it: what follows the digits does not matter.
std::optional<std::uint64_t> leading_number(const std::string& text) {
    std::uint64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc()) return std::nullopt;
    return value;
}

void run_kill_client(Process& process, const Command& command, const Tell& tell) {
    const auto id = leading_number(command.argument);
    if (!id) return tell(failure(refusal("invalid client pointer supplied")));
    const auto found = std::make_shared<std::atomic<bool>>(false);
    process.visit_shards(
        [id = *id, found](Shard& shard) {
            if (id > UINT32_MAX) return;
            const auto client = shard.clients.find(static_cast<std::uint32_t>(id));
            if (client == shard.clients.end()) return;
            found->store(true);
            client->second->close({protocol::sqlstate::admin_shutdown, protocol::Origin::proxy,
                                   "admin forced disconnect"});
        },
        [found, tell] {
            tell(found->load() ? done("KILL_CLIENT") : failure(refusal("client not found")));
        });
}

void set_disabled(Process& process, const Command& command, bool disabled, const Tell& tell) {
    if (command.argument.empty()) return tell(failure(refusal("a database is required")));
    const auto against = objection(process, command.argument, disabled ? "disable" : "enable");
    if (against) return tell(*against);
    process.set_disabled(command.argument, disabled);
    tell(done(disabled ? "DISABLE" : "ENABLE"));
}

void run_disable(Process& process, const Command& command, const Tell& tell) {
    set_disabled(process, command, true, tell);
}

void run_enable(Process& process, const Command& command, const Tell& tell) {
    set_disabled(process, command, false, tell);
}

void run_wait_close(Process& process, const Command& command, const Tell& tell) {
    if (process.is_console(command.argument)) {
        return tell(failure(refusal("cannot wait in admin db: " + command.argument)));
    }
    if (const auto against = objection(process, command.argument, "wait")) return tell(*against);
    Answer answer = done("WAIT_CLOSE");
    answer.when = Answer::When::servers_closed;
    tell(std::move(answer));
}

void run_suspend(Process& process, const Command&, const Tell& tell) {
    if (is_paused(process)) return tell(failure(refusal(already_paused)));
    const std::vector<std::string> names = process.registry().databases();
    const bool some_paused = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return process.registry().paused_by_name(name);
    });
    if (some_paused) return tell(failure(refusal("cannot suspend with paused databases")));
    process.suspend();
    Answer answer = done("SUSPEND");
    answer.when = Answer::When::all_sent;
    tell(std::move(answer));
}

/// `resolve` has seen to it that the argument is one of these.
void run_shutdown(Process& process, const Command& command, const Tell& tell) {
    // At once means without an answer: the connection stays until the process ends.
    if (command.argument.empty()) return process.shut_down(Shutdown::now);
    const bool clients = protocol::same_name(command.argument, "wait_for_clients");
    process.shut_down(clients ? Shutdown::wait_for_clients : Shutdown::wait_for_servers);
    tell(done("SHUTDOWN"));
}

/// One of the two.
struct NodeAct {
    std::string_view word;
    std::optional<Monitor::Order> order;
    void (Monitor::*story)(const config::Endpoint&, Monitor::Done) = nullptr;
};
constexpr NodeAct node_acts[] = {
    {"drain", Monitor::Order::drain},
    {"resume", Monitor::Order::resume},
    {"detach", Monitor::Order::detach},
    {"switchover", std::nullopt, &Monitor::switch_over},
    {"upgrade", std::nullopt, &Monitor::upgrade},
};

const NodeAct* find_node_act(std::string_view word) {
    const auto* const found = std::ranges::find(node_acts, word, &NodeAct::word);
    return found == std::end(node_acts) ? nullptr : found;
}

/// `resolve` has seen to it that there is such an act.
void run_node(Process& process, const Command& command, const Tell& tell) {
    const std::string& address = command.value;
    const std::size_t colon = address.rfind(':');
    const auto port = leading_number(colon == std::string::npos ? "" : address.substr(colon + 1));
    if (!port || *port > 65535) return tell(failure(refusal("expected host:port: " + address)));
    std::string host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const config::Endpoint node{std::move(host), static_cast<int>(*port)};
    const NodeAct& act = *find_node_act(command.key);
    if (act.story) {
        return (process.monitor().*act.story)(node,
                                              [tell](const std::optional<protocol::Error>& error) {
                                                  tell(error ? failure(*error) : done("NODE"));
                                              });
    }
    if (!process.monitor().order(*act.order, node))
        return tell(failure(refusal("no such node: " + address)));
    tell_after_shards(process, "NODE", tell);
}

/// `resolve` has seen to it that it is the queries.
void run_reset(Process& process, const Command&, const Tell& tell) {
    process.visit_shards([](Shard& shard) { shard.queries.clear(); },
                         [tell] { tell(done("RESET QUERIES")); });
}

constexpr std::string_view shutdown_words[] = {"", "wait_for_servers", "wait_for_clients"};
constexpr std::string_view reset_words[] = {"queries"};
constexpr auto node_words = [] {
    std::array<std::string_view, std::size(node_acts)> words;
    std::ranges::transform(node_acts, words.begin(), &NodeAct::word);
    return words;
}();

constexpr Verb verbs[] = {
    {"set", Access::admin, false, run_set},
    {"reload", Access::admin, false, run_reload},
    {"pause", Access::admin, true, run_pause},
    {"resume", Access::admin, true, run_resume},
    {"disable", Access::admin, true, run_disable},
    {"enable", Access::admin, true, run_enable},
    {"reconnect", Access::admin, true, run_reconnect},
    {"kill", Access::admin, true, run_kill},
    {"kill_client", Access::admin, true, run_kill_client},
    {"suspend", Access::admin, false, run_suspend},
    {"shutdown", Access::admin, true, run_shutdown, shutdown_words},
    {"wait_close", Access::admin, true, run_wait_close},
    {"node", Access::admin, false, run_node, node_words},
    {"reset", Access::admin, true, run_reset, reset_words},
    {"explain", Access::stats, false, run_explain},
};

}  // namespace

std::span<const Verb> all_verbs() { return verbs; }

Access Statement::access() const {
    if (courtesy) return Access::stats;
    return show ? show->access : verb->access;
}

std::string Statement::title() const {
    if (!verb) return {};
    std::string title(verb->name);
    std::transform(title.begin(), title.end(), title.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
    });
    if (verb->run == run_node) return fmt::format("{} {} '{}'", title, command.key, command.value);
    if (!command.key.empty()) return fmt::format("{} {}", title, command.key);
    if (command.argument.empty()) return title;
    if (verb->run == run_shutdown) return fmt::format("{} {}", title, command.argument);
    return fmt::format("{} '{}'", title, command.argument);
}

namespace {

/// What comes behind the verb is one of its words, if it has any.
bool has_its_word(const Verb& verb, const Command& command) {
    const std::string& word = command.key.empty() ? command.argument : command.key;
    return verb.words.empty() || std::ranges::any_of(verb.words, [&](std::string_view one) {
               return protocol::same_name(one, word);
           });
}

protocol::Result<Statement> resolve_command(std::string_view text) {
    auto parsed = parse_command(text);
    if (parsed.has_error()) return parsed.error();
    Statement statement{.command = std::move(*parsed), .columns = {}};
    const Command& command = statement.command;
    if (command.verb == "show") {
        statement.courtesy = find_courtesy(command.argument);
        if (statement.courtesy) {
            statement.columns = {&statement.courtesy->column, 1};
            return statement;
        }
        statement.show = find_show(command.argument);
        if (!statement.show) return invalid_command(text);
        statement.columns = statement.show->columns;
        return statement;
    }
    if (command.verb == "set") {
        if (command.key.empty()) return invalid_command(text);
        statement.courtesy = find_courtesy(command.key);
        if (statement.courtesy) return statement;
    }
    const auto found = std::find_if(std::begin(verbs), std::end(verbs),
                                    [&](const Verb& verb) { return verb.name == command.verb; });
    if (found == std::end(verbs)) return invalid_command(text);
    if (!found->takes_argument && !command.argument.empty()) return invalid_command(text);
    if (!has_its_word(*found, command)) return invalid_command(text);
    if (found->run == run_explain) {
        if (command.value.empty()) return invalid_command(text);
        statement.columns = explain_columns();
    }
    statement.verb = found;
    return statement;
}

}  // namespace

protocol::Result<Statement> resolve(std::string_view text) {
    auto command = resolve_command(text);
    if (!command.has_error()) return command;
    const Courtesy* const sentence = find_sentence(text);
    if (!sentence) {
        auto error = command.error();
        error.hint = command_hint(text);
        return error;
    }
    Statement statement{.command = {}, .courtesy = sentence, .columns = {}};
    if (!sentence->column.name.empty()) statement.columns = {&sentence->column, 1};
    return statement;
}

bool permitted(ConsoleRole role, Access access) {
    switch (role) {
        case ConsoleRole::admin: return true;
        case ConsoleRole::stats: return access == Access::stats;
        case ConsoleRole::none: return false;
    }
    return false;
}

Answer answer_courtesy(const Statement& statement) {
    const std::string_view tag = statement.courtesy->tag;
    if (statement.columns.empty()) {
        return tag.empty() || tag == "SET" ? set_ignored() : done(std::string(tag));
    }
    Answer answer = done(tag.empty() ? "SHOW" : std::string(tag));
    answer.rows.push_back({text(statement.courtesy->value)});
    return answer;
}

void count_closing(Process& process, const std::string& database, std::function<void(int)> done) {
    const auto sum = std::make_shared<std::atomic<int>>(0);
    process.visit_shards(
        [database, sum](Shard& shard) {
            for (const auto& [id, server] : shard.worker.servers) {
                const bool meant = database.empty() || server->pool().database() == database;
                if (meant && server->close_needed) sum->fetch_add(1);
            }
        },
        [sum, done = std::move(done)] { done(sum->load()); });
}

}  // namespace pgweir::proxy::admin
