// Separable classes: a logistic loss without a penalty that has no minimiser.
#pragma once

#include <optional>

#include "engine/fit_context.h"

namespace muster {

// For each column its smallest and largest value in either class, over all workers.
struct ClassRanges {
  std::vector<double> smallest[2], largest[2];
};

// Collective. Throws InputError, the same on every rank, when a class has no row that counts.
void require_both_classes(FitContext& context);
// Collective. Of the columns held.
ClassRanges agree_on_ranges(FitContext& context);

// A column along which the logistic loss can be lowered for ever: the classes do not overlap in it, or touch in one
// value only (quasi-complete separation). Without an intercept the threshold is 0.
//
// Source: A. Albert, J. A. Anderson, "On the existence of maximum likelihood estimates in logistic regression models",
// Biometrika 71 (1984).
std::optional<std::size_t> find_separating_column(const ClassRanges& ranges, bool intercept);

}  // namespace muster
