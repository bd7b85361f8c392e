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

// Collective. Names of the columns that are combinations of others, for a solver that does not find out by
// itself; empty where there is a penalty, or where finding out would take longer than about a second.
std::vector<std::string> find_dependent_columns(FitContext& context);

}  // namespace muster
