// What one parsed statement is.
#pragma once

#include "router/names_walk.hpp"
#include "router/shape.hpp"
#include "router/tree.hpp"

namespace pgweir::router {

/// `statement` is what RawStmt holds. A kind that is not known is taken for DDL.
Shape shape_of_statement(const Tree& statement);

// For statement_shape.cpp, from session_shape.cpp: BEGIN and its like, SET, SHOW, RESET.
void read_transaction(const Tree& tree, Shape& shape);
void read_set(const Tree& tree, Shape& shape);
void read_show(const Tree& tree, Shape& shape);
/// SELECT set_config('pgweir.…', '…', false) or current_setting('pgweir.…'), and nothing else.
void read_own_call(const Tree& select, Shape& shape);

}  // namespace pgweir::router
