// `pgweir check CONFIG`: what is wrong with a configuration, in the form that editors understand.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "config/load.hpp"

namespace pgweir::config {

/// What a program tries with a configuration before it starts: what went wrong, if anything.
using Trial = std::function<std::optional<protocol::Error>(const Config& config)>;

/// Prints `file:line: text` for every problem and `file:line: warning: text` for every warning and
/// for what works but is a risk (trust for other hosts, md5, pools without a limit), then a line
/// that sums it up. What concerns a file as a whole is said of its line 1.
/// Returns the exit code: 0 when the program would start with this configuration, else 1.
int check(const std::string& path, std::ostream& out, const Sources& sources = system_sources(),
          const Trial& trial = {});

}  // namespace pgweir::config
