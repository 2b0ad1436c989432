// A file of settings and those that it includes: how many, how deep and how large they may be.
#pragma once

#include <optional>
#include <string>

#include "config/draft.hpp"
#include "config/problem.hpp"

namespace pgweir::config {

inline constexpr int include_depth_max = 10;                  // files inside files
inline constexpr int included_files_max = 1000;               // read in all
inline constexpr std::size_t included_bytes_max = 64u << 20;  // of all files together
inline constexpr int included_entries_max = 1'000'000;        // of all files together

/// Reads one after the other, as often as they are included: two that include each other twice
/// would otherwise be read a thousand times at a depth of ten.
class IncludedFiles {
public:
    IncludedFiles(const ReadFile& read, Findings& findings) : read_(read), findings_(findings) {}

    /// `from` is the line that includes the file, or the file itself for the first one, which is at
    /// depth 0. Returns  nullopt when it cannot be had, or not any more: a problem says so.
    std::optional<std::string> read(const std::string& path, const Place& from, int depth);

    /// Counts an entry. Returns  false when there are too many: one problem says so.
    bool admits_entry(const Place& at);

private:
    const ReadFile& read_;
    Findings& findings_;
    int files_ = 0;
    std::size_t bytes_ = 0;
    int entries_ = 0;
};

}  // namespace pgweir::config
