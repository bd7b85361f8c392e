// Squared loss by `exact`: statistics gathered in one pass and one reduce, solved once, at rank 0, and broadcast.
#pragma once

#include <optional>

#include "engine/fit_context.h"
#include "solver/exact.h"

namespace muster {

struct ExactFit {
  Trained trained;  // equal on every rank
  // For the model returned, from the statistics; equal on every rank.
  double objective = 0, gradient_norm = 0, suboptimality = 0, digits = 0;
  bool double_double = false;             // which statistics they are from
  std::optional<ExactSolution> solution;  // at rank 0
};

// Collective. Statistics in double first; again in double-double when the estimated digits are below 13 and that pass
// is cheap, or below 8, or when double can not tell dependent columns, whatever it costs. The decision depends on
// global numbers only, never on how many workers there are. Columns are whole (engine/fit_by_rows.h where they are
// cut).
ExactFit fit_exact(FitContext& context);

// What the statistics say of a fit by a solver that iterates, without a penalty on w².
struct ColumnFacts {
  std::vector<std::string> dependent;  // names of the columns that are combinations of others
  bool known = false;  // false: finding out would take longer than about a second, or there is a penalty
  // At the lowest living rank, where known and the loss is squared: its least squares, whose newton_decrement() bounds
  // f − f* of any other model.
  std::optional<ExactSolution> solution;
};

// Collective.
ColumnFacts find_column_facts(FitContext& context);

}  // namespace muster
