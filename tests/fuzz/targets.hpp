// What is fuzzed: each a function that takes any bytes at all and aborts when a rule is broken.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace pgweir::fuzz {

void startup(std::string_view input);
void frames(std::string_view input);
void link(std::string_view input);
void scram(std::string_view input);
void ini(std::string_view input);
void toml(std::string_view input);
void pgpool(std::string_view input);
void hba(std::string_view input);
void conninfo(std::string_view input);
void userlist(std::string_view input);
void lexer(std::string_view input);
void skeleton(std::string_view input);
void proxy_header(std::string_view input);
void console(std::string_view input);
void handed_client(std::string_view input);
void patroni(std::string_view input);

struct Target {
    std::string_view name;
    void (*run)(std::string_view input);
};

inline constexpr std::array targets{
    Target{"startup", startup},
    Target{"frames", frames},
    Target{"link", link},
    Target{"scram", scram},
    Target{"ini", ini},
    Target{"toml", toml},
    Target{"pgpool", pgpool},
    Target{"hba", hba},
    Target{"conninfo", conninfo},
    Target{"userlist", userlist},
    Target{"lexer", lexer},
    Target{"skeleton", skeleton},
    Target{"proxy_header", proxy_header},
    Target{"console", console},
    Target{"handed_client", handed_client},
    Target{"patroni", patroni},
};

/// A rule that holds for every input. (Of std::source_location clang 14 knows nothing.)
inline void require(bool holds, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    if (holds) return;
    std::fprintf(stderr, "%s:%d: the rule does not hold\n", file, line);
    std::abort();
}

}  // namespace pgweir::fuzz
