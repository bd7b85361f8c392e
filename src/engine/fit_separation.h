// Separable classes: a logistic or softmax loss without a penalty that has no minimiser.
#pragma once

#include <optional>
#include <vector>

#include "engine/fit_context.h"

namespace muster {

// Collective. Σ s of each class. Throws InputError, the same on every rank, when a class has no row that counts: it has
// no minimiser either.
std::vector<double> agree_on_class_weights(FitContext& context);

// For each class and column, the smallest and largest value over all workers: entry j of [k].
struct ClassRanges {
  std::vector<std::vector<double>> smallest, largest;
};

// Collective. Of the columns held.
ClassRanges agree_on_ranges(FitContext& context);

// A column along which the loss can be lowered for ever: by a threshold in it, the classes fall in two groups that do
// not overlap, or touch in one value only (quasi-complete separation). Without an intercept the threshold is 0.
//
// Source: A. Albert, J. A. Anderson, "On the existence of maximum likelihood estimates in logistic regression models",
// Biometrika 71 (1984).
std::optional<std::size_t> find_separating_column(const ClassRanges& ranges, bool intercept);

}  // namespace muster
