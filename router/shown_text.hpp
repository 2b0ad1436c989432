// A statement's text as it may be shown to anybody: without what the client's data is.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pgweir::router {

/// `sql`, or a skeleton of it, with $1, $2 … in the places of its literals and parameters and
/// without comments, as pg_stat_statements shows it. Where it cannot be said for sure what is a
/// literal (it does not end, a plain one has a backslash in it), and behind `size_max` bytes, "…"
/// stands for the rest.
std::string shown_text(std::string_view sql, std::size_t size_max);

}  // namespace pgweir::router
