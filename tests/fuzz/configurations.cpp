// Files from anywhere: they load, or what is wrong with them is told.
#include <memory>

#include "config/conninfo.hpp"
#include "config/hba.hpp"
#include "config/import.hpp"
#include "config/load.hpp"
#include "config/userlist.hpp"
#include "health/patroni.hpp"
#include "tests/fuzz/targets.hpp"

namespace pgweir::fuzz {

namespace {

/// One file and no other. It may include itself, though not for ever: it is there a few times.
config::ReadFile only(std::string name, std::string_view text) {
    return [name = std::move(name), text = std::string(text), times = std::make_shared<int>(3)](
               const std::string& path) -> protocol::Result<std::optional<std::string>> {
        if (path == name && (*times)-- > 0) return std::optional<std::string>(text);
        return std::optional<std::string>();
    };
}

void load(const std::string& name, std::string_view text) {
    const auto loaded = config::load(name, {only(name, text), {}});
    require((loaded.config == nullptr) == !loaded.problems.empty());
}

}  // namespace

void ini(std::string_view input) {
    load("fuzz.ini", input);
    // What is made of it as TOML loads: import_text() has tried.
    const auto imported = config::import_text("fuzz.ini", {only("fuzz.ini", input), {}}, "");
    require(imported.toml.empty() == !imported.problems.empty());
}

void toml(std::string_view input) { load("fuzz.toml", input); }

void pgpool(std::string_view input) {
    const auto imported = config::import_text("pgpool.conf", {only("pgpool.conf", input), {}}, "");
    require(imported.toml.empty() == !imported.problems.empty());
}

void hba(std::string_view input) {
    config::Findings findings;
    config::Hba rules;
    const config::ReadFile read = only("names", input.substr(0, input.find('\n')));
    rules.rules = config::parse_hba(input, "hba", read, findings);
    rules.maps = config::parse_ident(input, "ident", findings);
    for (const bool tls : {false, true}) {
        for (const bool remote : {false, true}) {
            config::HbaClient client{.tls = tls, .database = "app", .user = "app"};
            if (remote) client.address = config::IpAddress{};
            const config::HbaRule* const rule = config::match(rules, client);
            if (!rule) continue;
            require((rule->type == config::HbaType::local) == !remote);
            require(rule->type != config::HbaType::hostssl || tls);
            require(rule->type != config::HbaType::hostnossl || !tls);
            config::may_be(rules, *rule, "system", "app");
        }
    }
}

void conninfo(std::string_view input) {
    const auto pairs = config::parse_conninfo(input);
    if (pairs.has_error()) return;
    std::string again;
    for (const auto& [key, value] : *pairs) {
        require(!key.empty());
        again += key + "='";
        for (const char c : value) again += c == '\'' ? "''" : std::string(1, c);
        again += "' ";
    }
    const auto same = config::parse_conninfo(again);
    require(same.has_value() && *same == *pairs);
}

void userlist(std::string_view input) {
    config::Findings findings;
    for (const auto& [name, credential] : config::parse_userlist(input, "users", findings)) {
        require(name.size() <= config::user_name_max);
    }
}

void patroni(std::string_view input) {
    const auto leader = health::read_patroni_cluster(input);
    if (leader.has_value() && *leader) require(!(*leader)->at.host.empty());
    if (const auto url = health::patroni_url(input)) require(!url->at.host.empty());
}

}  // namespace pgweir::fuzz
