// The verdict on a shape, given what its names mean.
#pragma once

#include "router/catalog.hpp"
#include "router/router.hpp"
#include "router/shape.hpp"

namespace pgweir::router {

/// Pure: same shape, catalog, path and conditions, same verdict. `path` is where unqualified names
/// are looked for.
Verdict classify(const Shape& shape, const Conditions& conditions, const SearchPath& path);

}  // namespace pgweir::router
