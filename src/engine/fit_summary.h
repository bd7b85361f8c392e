// Standard errors and what goes with them: the classical account of an unpenalised fit.
//
//     I = Σ s_i h_i z_i z_iᵀ ,  z = [1, x],  h = loss'' at the margin (squared: 1; logistic: p(1 − p))
//     cov(b, w) = φ I⁻¹         φ = Σ s r²/(n − p), r = y − z, for the squared loss (t and F distributions);
//                               φ = 1 for logistic loss (normal and χ² ones, for many rows)
//
// with n rows of weight above 0 and p parameters. One more pass over the rows for the margins, one for I.
//
// Sources: W. N. Venables, B. D. Ripley, "Modern Applied Statistics with S", 4th ed., chapters 6 and 7; what R's lm and
// glm print is the measure of every figure.
#pragma once

#include "engine/fit_context.h"

namespace muster {

// Collective. baseline: f at the best constant model. Nothing, and a note in notes, where columns depend on others, so
// that coefficients are not estimable, or where no degree of freedom is left.
std::optional<Summary> summarise(FitContext& context, const LinearModel& model, double baseline,
                                 std::vector<std::string>& notes);

}  // namespace muster
