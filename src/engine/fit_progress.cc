#include "engine/fit_progress.h"

#include <algorithm>

namespace muster {

void ProgressEstimate::see(std::int64_t passes, std::span<const double> w, std::span<const double> gradient,
                           double value, double gradient_norm) {
  history_.push_back({passes, value});
  norm_ = gradient_norm;
  if (w_.size() == w.size() && history_.size() > 1) {
    double sums[] = {0, 0};
    auto& [along, square] = sums;
    for (std::size_t j = 0; j < w.size(); ++j) {
      const double moved = w[j] - w_[j];
      along += moved * (gradient[j] - gradient_[j]);
      square += moved * moved;
    }
    sum_(sums);
    if (along > 0 && square > 0) least_curvature_ = std::min(least_curvature_, along / square);
  }
  w_.assign(w.begin(), w.end());
  gradient_.assign(gradient.begin(), gradient.end());
}

double ProgressEstimate::above_optimum() const {
  if (history_.size() < 2) return norm_ > 0 ? std::numeric_limits<double>::infinity() : 0;
  const Seen& now = history_.back();
  // The last round before the last quarter, and one before this at least.
  auto from = std::upper_bound(history_.begin(), history_.end(), now.passes,
                               [](std::int64_t all, const Seen& seen) { return 3 * all < 4 * seen.passes; });
  from = std::min(from, history_.end() - 1);
  if (from != history_.begin()) --from;
  const double falls = 2 * (from->value - now.value), flat = norm_ * norm_ / (2 * least_curvature_);
  return std::max({falls, flat, 0.0});
}

}  // namespace muster
