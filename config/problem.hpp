// What is wrong with a configuration, and where. Every reader adds to one Findings, so that the
// operator sees all of it at once.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace pgweir::config {

/// One sentence about one line. `line` 0 is the file as a whole.
struct Problem {
    std::string file;
    int line = 0;
    std::string text;

    friend bool operator==(const Problem&, const Problem&) = default;
};

/// "file:line: text", or "file: text".
inline std::string text(const Problem& problem) {
    const std::string line = problem.line > 0 ? ":" + std::to_string(problem.line) : std::string();
    return problem.file + line + ": " + problem.text;
}

/// A line of a file.
struct Place {
    std::string file;
    int line = 0;
};

/// Collects. A problem stops the load; a warning is logged and the load goes on.
struct Findings {
    static constexpr std::size_t problems_max = 1000;  // of each kind; the rest is dropped

    std::vector<Problem> problems;
    std::vector<Problem> warnings;

    void problem(const Place& at, std::string text) { add(problems, at, std::move(text)); }
    void warning(const Place& at, std::string text) { add(warnings, at, std::move(text)); }

private:
    static void add(std::vector<Problem>& list, const Place& at, std::string text) {
        if (list.size() < problems_max) list.push_back({at.file, at.line, std::move(text)});
    }
};

}  // namespace pgweir::config
