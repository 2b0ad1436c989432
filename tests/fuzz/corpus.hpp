// Inputs to begin fuzzing with.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pgweir::fuzz {

/// Value.
struct Seed {
    std::string target;  // of targets.hpp
    std::string name;    // unique among those of the target
    std::string bytes;
};

/// The conversations of the folder (tests/conversations) as inputs of the targets link and frames.
/// Errors: std::invalid_argument for a file that is no conversation.
std::vector<Seed> conversation_seeds(const std::filesystem::path& folder);

}  // namespace pgweir::fuzz
