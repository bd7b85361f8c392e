// The curvature of f by its unpenalised intercepts: what they still have to give, and the way there.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "muster/options.h"
#include "solver/dense_solve.h"

namespace muster {

// H = ∂²f/∂b² where the tallies of the loss's objective were taken. Softmax: a Laplacian, singular along the shift of
// all classes, in which f is constant and gradients have no part.
class InterceptCurvature {
 public:
  InterceptCurvature(Loss loss, std::size_t outputs, std::span<const double> tallies, double weight);

  // c > 0 with gᵀH⁺g <= |g|²/c for every gradient g.
  double least() const;
  // Newton's −H⁺g, shortened where an entry is larger than 2, so that no step leaves the region where it helps.
  std::vector<double> newton_step(std::span<const double> gradient) const;

 private:
  // Several outputs: H = D·A·D with A of unit diagonal, factorised.
  double single_ = 1;  // one output: H
  std::vector<double> root_;
  PivotedCholesky<double> factor_;
};

// What the intercepts still have to give, |g|² being the square of ∂f/∂b, and c the least curvature there: |g|²/2c for
// the squared loss, where that is exact, and twice it for others, whose curvature changes along b.
double left_to_intercepts(Loss loss, double square, double least_curvature);
// By how much at most the derivative by a centred column of root mean square 1 turns on the way of that.
double turned_by_intercepts(Loss loss, double square, double least_curvature);

}  // namespace muster
