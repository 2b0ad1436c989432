// The tree's own rules, read from its text: which folder may include which, and how long a file, a
// function and a line may be. The finders are tested on samples first, so that the rules can fail.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/cpp_text.hpp"

namespace pgweir::tests {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t file_lines_max = 500;
constexpr std::size_t function_lines_max = 70;
constexpr std::size_t columns_max = 100;

using Problems = std::vector<std::string>;

struct Source {
    std::string path;  // from the root, "pool/net/socket.hpp"
    std::string text;
    bool is_header() const { return path.ends_with(".hpp"); }
};

std::string place(const Source& source, std::size_t line) {
    return source.path + ":" + std::to_string(line) + ": ";
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

/// The .hpp and .cpp files below the given folders, in order of their paths.
std::vector<Source> read_sources(std::initializer_list<const char*> folders) {
    const fs::path root = PGWEIR_SOURCE_DIR;
    std::map<std::string, std::string> sorted;
    for (const char* folder : folders) {
        if (!fs::exists(root / folder)) continue;
        for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
            const fs::path extension = entry.path().extension();
            if (!entry.is_regular_file() || (extension != ".hpp" && extension != ".cpp")) continue;
            std::ifstream file(entry.path(), std::ios::binary);
            sorted[entry.path().lexically_relative(root).generic_string()] =
                std::string(std::istreambuf_iterator<char>(file), {});
        }
    }
    std::vector<Source> sources;
    for (auto& [path, text] : sorted) sources.push_back({path, std::move(text)});
    return sources;
}

std::vector<Source> program_sources() {
    return read_sources({"protocol", "config", "health", "router", "pool", "proxy"});
}

std::vector<Source> all_sources() {
    return read_sources(
        {"protocol", "config", "health", "router", "pool", "proxy", "tests", "bench"});
}

// ---------------------------------------------------------------- which folder may include which

struct Folder {
    const char* name;
    std::vector<std::string_view> may_include;  // folders, or single headers, besides itself
    bool may_do_io;
};

const Folder folders[] = {
    {"protocol", {}, false},
    {"config", {"protocol"}, false},
    {"health", {"protocol", "config"}, false},
    {"router", {"protocol", "config", "health/topology.hpp"}, false},
    {"pool/net", {"protocol"}, true},
    {"pool", {"protocol", "config", "pool/net"}, true},
    {"proxy", {"protocol", "config", "health", "router", "pool", "pool/net"}, true},
};

/// Files outside the folders that do I/O all the same.
constexpr std::string_view may_do_io_too[] = {"health/monitor."};

bool is_in(std::string_view path, std::string_view folder) {
    return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
}

/// The innermost folder a path is in; nullptr for tests and bench.
const Folder* folder_of(std::string_view path) {
    const Folder* innermost = nullptr;
    for (const Folder& folder : folders) {
        if (is_in(path, folder.name)) innermost = innermost ? innermost : &folder;
    }
    return innermost;
}

struct Include {
    std::string name;
    std::size_t line;
    bool quoted;
};

std::vector<Include> includes_of(const std::string& text) {
    std::vector<Include> includes;
    std::size_t line = 0;
    for (const std::string& content : lines_of(text)) {
        ++line;
        if (!content.starts_with("#include ") || content.size() < 12) continue;
        const char open = content[9];
        const std::size_t end = content.find(open == '"' ? '"' : '>', 10);
        includes.push_back({content.substr(10, end - 10), line, open == '"'});
    }
    return includes;
}

bool is_allowed(const Folder& from, const std::string& header) {
    const Folder* to = folder_of(header);
    if (!to) return false;
    if (to == &from) return true;
    for (const std::string_view allowed : from.may_include) {
        if (allowed == to->name || allowed == header) return true;
    }
    return false;
}

bool does_io(const std::string& system_header) {
    for (const char* header : {"boost/asio", "sys/socket.h", "sys/epoll.h", "thread"}) {
        if (system_header == header || system_header.starts_with(std::string(header) + '/') ||
            system_header.starts_with(std::string(header) + '.')) {
            return true;
        }
    }
    return false;
}

bool may_do_io(const Source& source, const Folder& folder) {
    if (folder.may_do_io) return true;
    for (const std::string_view path : may_do_io_too) {
        if (source.path.starts_with(path)) return true;
    }
    return false;
}

Problems include_problems(const Source& source) {
    Problems problems;
    const Folder* folder = folder_of(source.path);
    if (!folder) return problems;
    for (const Include& include : includes_of(source.text)) {
        if (include.quoted && !is_allowed(*folder, include.name)) {
            problems.push_back(place(source, include.line) + folder->name + " must not include \"" +
                               include.name + '"');
        }
        if (!include.quoted && does_io(include.name) && !may_do_io(source, *folder)) {
            problems.push_back(place(source, include.line) + folder->name +
                               " is pure and must not include <" + include.name + '>');
        }
    }
    return problems;
}

/// Every #include "…" is written from the root, so that the folders can be told from it.
Problems lost_includes(const Source& source) {
    Problems problems;
    for (const Include& include : includes_of(source.text)) {
        if (!include.quoted || fs::exists(fs::path(PGWEIR_SOURCE_DIR) / include.name)) continue;
        problems.push_back(place(source, include.line) +
                           "not found from the root: " + include.name);
    }
    return problems;
}

/// Headers that nobody includes.
Problems dead_headers(const std::vector<Source>& headers, const std::vector<Source>& all) {
    std::set<std::string> included;
    for (const Source& source : all) {
        for (const Include& include : includes_of(source.text)) {
            if (include.name != source.path) included.insert(include.name);
        }
    }
    Problems problems;
    for (const Source& source : headers) {
        if (source.is_header() && !included.contains(source.path)) {
            problems.push_back(source.path + " is included by nobody");
        }
    }
    return problems;
}

// ---------------------------------------------------------------- sizes and words

/// Columns as a reader counts them: UTF-8 continuation bytes take none.
std::size_t columns(std::string_view line) {
    std::size_t count = 0;
    for (const char c : line) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return count;
}

Problems long_lines(const Source& source) {
    Problems problems;
    std::size_t line = 0;
    for (const std::string& content : lines_of(source.text)) {
        ++line;
        if (columns(content) <= columns_max) continue;
        problems.push_back(place(source, line) + std::to_string(columns(content)) + " columns");
    }
    return problems;
}

Problems size_problems(const Source& source) {
    Problems problems;
    const std::size_t lines = lines_of(source.text).size();
    if (lines > file_lines_max) {
        problems.push_back(source.path + " has " + std::to_string(lines) + " lines");
    }
    for (const Function& function : functions_of(source.text)) {
        if (function.lines() <= function_lines_max) continue;
        problems.push_back(place(source, function.first) + std::to_string(function.lines()) +
                           " lines: " + function.head);
    }
    return problems;
}

Problems word_problems(const Source& source) {
    Problems problems;
    std::size_t line = 0;
    for (const std::string& content : lines_of(source.text)) {
        ++line;
        for (const char* word : {"TODO", "FIXME"}) {
            if (content.find(word) == std::string::npos) continue;
            problems.push_back(place(source, line) + word + ": do it, or file it as an issue");
        }
    }
    if (source.is_header() && source.text.find("\n#pragma once\n") == std::string::npos) {
        problems.push_back(source.path + " has no #pragma once");
    }
    for (const std::size_t at : capturing_coroutines(source.text)) {
        problems.push_back(place(source, at) + "a lambda with captures is a coroutine");
    }
    return problems;
}

void expect_none(const std::vector<Source>& sources, Problems (*problems_of)(const Source&)) {
    std::string all;
    for (const Source& source : sources) {
        for (const std::string& problem : problems_of(source)) all += problem + '\n';
    }
    EXPECT_TRUE(all.empty()) << all;
}

// ---------------------------------------------------------------- the finders themselves

std::string function_of(std::size_t lines) {
    std::string text = "int f() {\n";
    for (std::size_t i = 2; i < lines; ++i) text += "    g();\n";
    return text + "}\n";
}

struct FinderCase {
    const char* name;
    std::string text;
    std::vector<std::size_t> lines;  // of each function, in order
};

const FinderCase finder_cases[] = {
    {"declaration only", "int f();\nstruct X;\n", {}},
    {"one line", "int f() { return 1; }\n", {1}},
    {"nested braces", "void f() {\n    if (a) {\n        b();\n    }\n}\n", {5}},
    {"in namespaces and types",
     "namespace a::b {\nstruct X : Y<int> {\n    int f() const {\n        return 1;\n    }\n"
     "public:\n    void g() {}\n};\n}\n",
     {3, 1}},
    {"members' initialisers in braces",
     "X::X(int a)\n    : a_{a}, b_(2),\n      c_{} {\n    f();\n}\n",
     {5}},
    {"a table is none",
     "constexpr Row rows[] = {\n    {1, f(2)},\n    {3, 4},\n};\nint a{1};\n",
     {}},
    {"operators",
     "bool operator==(X a, X b) {\n    return true;\n}\nauto operator<=>(X) const {\n}\n",
     {3, 2}},
    {"call operator and default argument", "int operator()(int a = 3) {\n    return a;\n}\n", {3}},
    {"templates and trailing types",
     "template <class T = int>\n    requires(sizeof(T) > 4)\nauto f(T t) -> std::vector<T> {\n}\n"
     "template <class T>\nstruct Y {\n    void g() {\n    }\n};\n",
     {4, 2}},
    {"a lambda with a name", "const auto f = [](int a) {\n    return a;\n};\n", {3}},
    {"braces in literals and comments",
     "void f() {\n    g(\"{\", '{', R\"x({{)x\", 1'000);  // {\n    /* { */\n}\nvoid h() {}\n",
     {4, 1}},
    {"conditional code counts", "#define A {\nvoid f() {\n#ifdef B\n    g();\n#endif\n}\n", {5}},
    {"enums and extern C", "enum class E : int { a, b };\nextern \"C\" {\nvoid f() {\n}\n}\n", {2}},
    {"aligned type", "struct alignas(64) X {\n    int f() { return 1; }\n};\n", {1}},
    {"as long as it may be", function_of(function_lines_max), {function_lines_max}},
    {"one line too long", function_of(function_lines_max + 1), {function_lines_max + 1}},
};

TEST(TidyFinder, FindsFunctions) {
    for (const FinderCase& c : finder_cases) {
        SCOPED_TRACE(c.name);
        std::vector<std::size_t> lines;
        for (const Function& function : functions_of(c.text)) lines.push_back(function.lines());
        EXPECT_EQ(lines, c.lines);
    }
}

TEST(TidyFinder, RefusesLongFunctions) {
    EXPECT_TRUE(size_problems({"a.cpp", function_of(function_lines_max)}).empty());
    EXPECT_EQ(size_problems({"a.cpp", function_of(function_lines_max + 1)}).size(), 1u);
}

TEST(TidyFinder, RefusesLongFilesAndLines) {
    EXPECT_TRUE(size_problems({"a.hpp", std::string(file_lines_max, '\n')}).empty());
    EXPECT_EQ(size_problems({"a.hpp", std::string(file_lines_max + 1, '\n')}).size(), 1u);
    EXPECT_TRUE(long_lines({"a.hpp", std::string(columns_max, 'x')}).empty());
    EXPECT_TRUE(long_lines({"a.hpp", std::string(columns_max - 1, 'x') + "…"}).empty());
    EXPECT_EQ(long_lines({"a.hpp", std::string(columns_max + 1, 'x')}).size(), 1u);
}

TEST(TidyFinder, RefusesCapturingCoroutines) {
    EXPECT_TRUE(capturing_coroutines("auto f = [] { co_return; };").empty());
    EXPECT_TRUE(capturing_coroutines("class [[nodiscard]] X { X f() { co_return; } };").empty());
    EXPECT_TRUE(capturing_coroutines("auto f = [&a](int b) { a[b]; }; co_await f;").empty());
    EXPECT_TRUE(
        capturing_coroutines("g([&] { return [](X x) -> T { co_await x; }(a); });").empty());
    EXPECT_EQ(capturing_coroutines("auto f =\n    [this](int b) -> Task {\n    co_await b;\n};"),
              std::vector<std::size_t>{2});
}

struct IncludeCase {
    const char* from;
    const char* include;
    bool allowed;
};

constexpr IncludeCase include_cases[] = {
    {"protocol/a.cpp", "\"protocol/b.hpp\"", true},
    {"protocol/a.cpp", "\"config/config.hpp\"", false},
    {"protocol/a.cpp", "<boost/asio/ip/tcp.hpp>", false},
    {"config/a.cpp", "\"protocol/b.hpp\"", true},
    {"config/a.cpp", "\"pool/net/page.hpp\"", false},
    {"health/a.cpp", "\"config/config.hpp\"", true},
    {"health/a.cpp", "\"pool/pool.hpp\"", false},
    {"health/a.cpp", "<boost/asio.hpp>", false},
    {"health/monitor.cpp", "<boost/asio.hpp>", true},
    {"router/a.cpp", "\"health/topology.hpp\"", true},
    {"router/a.cpp", "\"health/monitor.hpp\"", false},
    {"router/a.cpp", "\"pool/pool.hpp\"", false},
    {"pool/a.cpp", "\"pool/net/socket.hpp\"", true},
    {"pool/a.cpp", "\"router/route.hpp\"", false},
    {"pool/a.cpp", "\"health/topology.hpp\"", false},
    {"pool/a.cpp", "\"proxy/client.hpp\"", false},
    {"pool/net/a.cpp", "\"protocol/b.hpp\"", true},
    {"pool/net/a.cpp", "\"pool/pool.hpp\"", false},
    {"pool/net/a.cpp", "\"config/config.hpp\"", false},
    {"proxy/admin/a.cpp", "\"pool/net/socket.hpp\"", true},
    {"proxy/a.cpp", "\"router/route.hpp\"", true},
    {"proxy/a.cpp", "\"client.hpp\"", false},
    {"proxy/a.cpp", "\"tests/unit/cpp_text.hpp\"", false},
    {"proxy/a.cpp", "<boost/asio.hpp>", true},
    {"tests/a.cpp", "\"proxy/client.hpp\"", true},
};

TEST(TidyFinder, KnowsTheFolders) {
    for (const IncludeCase& c : include_cases) {
        SCOPED_TRACE(std::string(c.from) + " includes " + c.include);
        const Source source{c.from, std::string("#include ") + c.include + "\n"};
        EXPECT_EQ(include_problems(source).empty(), c.allowed);
    }
}

TEST(TidyFinder, RefusesDeadHeadersAndWords) {
    const std::vector<Source> sources = {{"pool/a.hpp", "#pragma once\n#include \"pool/b.hpp\"\n"},
                                         {"pool/b.hpp", "// b\n#pragma once\n// TODO later\n"},
                                         {"pool/a.cpp", "#include \"pool/c.hpp\"\n"}};
    EXPECT_EQ(dead_headers(sources, sources), Problems{"pool/a.hpp is included by nobody"});
    EXPECT_EQ(word_problems(sources[0]), Problems{"pool/a.hpp has no #pragma once"});
    EXPECT_EQ(word_problems(sources[1]).size(), 1u);
}

// ---------------------------------------------------------------- the tree

TEST(Tidy, IncludesFollowTheFolders) { expect_none(program_sources(), include_problems); }

TEST(Tidy, IncludesAreFound) { expect_none(all_sources(), lost_includes); }

TEST(Tidy, NoDeadHeaders) { EXPECT_EQ(dead_headers(program_sources(), all_sources()), Problems{}); }

TEST(Tidy, FilesAndFunctionsAreShort) {
    ASSERT_FALSE(program_sources().empty());
    expect_none(program_sources(), size_problems);
}

TEST(Tidy, LinesAreShort) { expect_none(all_sources(), long_lines); }

TEST(Tidy, NothingIsLeftForLater) { expect_none(program_sources(), word_problems); }

}  // namespace
}  // namespace pgweir::tests
