// What the fuzzers run, on what is known to be understood and on changes of that: not to find what
// is new (./dev fuzz does) but so that a rule of theirs that breaks is noticed at once.
#include <gtest/gtest.h>

#include <random>

#include "tests/fuzz/corpus.hpp"
#include "tests/fuzz/targets.hpp"

namespace pgweir {
namespace {

using namespace std::string_literals;

class FuzzTargets : public testing::TestWithParam<fuzz::Target> {};

/// Texts from which anything may be made, and conversations for the targets that read them.
std::vector<std::string> seeds_for(std::string_view target) {
    std::vector<std::string> seeds = {
        ""s,
        "\0\0\0\x2b\0\3\0\0user\0a\0options\0-c x=1\0replication\0on\0\0"s,
        "host=a port=5432 dbname='x y' password=''''"s,
        "[databases]\na = host=127.0.0.1 port=1\n[pgbouncer]\nauth_type=hba\n%include b\n"s,
        "[pool]\nmode = \"transaction\"\n[databases.a]\nhost = \"127.0.0.1\"\n"s,
        "host all all 127.0.0.1/32 scram-sha-256 map=x\nlocal a \"b\",+c peer\n"s,
        "\"a\" \"md5abc\"\n\"b\" \"SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy\"\n"s,
        "n,,n=,r=abc"s,
        "PROXY TCP4 127.0.0.1 127.0.0.2 1 2\r\n"s,
        "SHOW POOLS; KILL a; SET x = 'y'; PAUSE \"b\""s,
        "WITH a AS (SELECT $1::int, 'b', E'\\\\c', $x$d$x$) UPDATE e SET f = -1 -- g\n/* */"s,
        "{\"members\":[{\"name\":\"a\",\"role\":\"leader\",\"host\":\"b\",\"port\":5432}]}"s,
    };
    const auto folder = std::filesystem::path(PGWEIR_SOURCE_DIR) / "tests/conversations";
    for (auto& seed : fuzz::conversation_seeds(folder))
        if (seed.target == target) seeds.push_back(std::move(seed.bytes));
    return seeds;
}

/// One of them, changed in up to four places, or with the end of another.
std::string changed(const std::vector<std::string>& seeds, std::mt19937& dice) {
    std::string input = seeds[dice() % seeds.size()];
    for (auto times = dice() % 4 + 1; times > 0; --times) {
        const std::size_t at = dice() % (input.size() + 1);
        switch (dice() % 5) {
            case 0: input.insert(at, 1, static_cast<char>(dice())); break;
            case 1: input.erase(at, dice() % 8); break;
            case 2: input.resize(at); break;
            case 3: input.insert(at, input.substr(at, dice() % 32)); break;
            default: {
                const std::string& other = seeds[dice() % seeds.size()];
                input.replace(at, std::string::npos, other, dice() % (other.size() + 1));
            }
        }
    }
    return input;
}

TEST_P(FuzzTargets, RulesHold) {
    const fuzz::Target& target = GetParam();
    const std::vector<std::string> seeds = seeds_for(target.name);
    for (const std::string& seed : seeds) target.run(seed);
    std::mt19937 dice(1);
    constexpr int changes = 1'000;
    for (int i = 0; i < changes; ++i) target.run(changed(seeds, dice));
}

INSTANTIATE_TEST_SUITE_P(Each, FuzzTargets, testing::ValuesIn(fuzz::targets),
                         [](const auto& about) { return std::string(about.param.name); });

}  // namespace
}  // namespace pgweir
