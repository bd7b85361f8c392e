// Whether a run without a bound on f − f* (no penalty, no statistics) may call itself converged.
//
// A small gradient says little where f is flat: f − f* = ½ gᵀH⁻¹g near the optimum, whatever |g|. So a run watches
// itself:
//
//     2 (f at three quarters of the passes − f now)     a run that still falls will fall on. Exact where f − f* goes as
//                                                       1/k² in the passes k, as conjugate gradients do at worst (0.78
//                                                       of it, hence the 2); where it shrinks by a constant factor a
//                                                       pass, it costs a third more of them
//     |g|²/(2µ),  µ = min ΔwᵀΔg/|Δw|² over the steps     where it has stopped to fall because it goes along a flat
//     valley:
//                                                       the least curvature it has seen
//
// The larger of both is an estimate of f − f*, not a bound: directions that no step had a part in are not in it.
//
// Sources: Z. Strakoš, P. Tichý, "On error estimation in the conjugate gradient method", ETNA 13 (2002), for f's
// decrease over the last steps; G. Meurant, P. Tichý, "Approximating the extreme Ritz values and upper bounds for the
// A-norm of the error in CG", Numer. Algorithms 82 (2019), for dividing by the least Ritz value.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace muster {

class ProgressEstimate {
 public:
  // sum: of a few numbers over the ranks that hold the other coordinates.
  explicit ProgressEstimate(std::function<void(std::span<double>)> sum) : sum_(std::move(sum)) {}

  // After every round, at passes that never fall.
  void see(std::int64_t passes, std::span<const double> w, std::span<const double> gradient, double value,
           double gradient_norm);
  // f − f*, estimated; infinite before the second round.
  double above_optimum() const;

 private:
  struct Seen {
    std::int64_t passes = 0;
    double value = 0;
  };

  std::function<void(std::span<double>)> sum_;
  std::vector<Seen> history_;
  std::vector<double> w_, gradient_;  // of the round before
  double norm_ = 0;
  double least_curvature_ = std::numeric_limits<double>::infinity();
};

}  // namespace muster
