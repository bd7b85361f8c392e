#include "solver/newton_cg.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "solver/point.h"

namespace muster {
namespace {

// Products of one step, at most: more are rounding, or a problem whose steps are better many and rough.
constexpr std::int64_t kMostProducts = 1000;

class NewtonDirection final : public DescentDirection {
 public:
  explicit NewtonDirection(Problem& problem) : problem_(problem) {}

  double choose(const Point& at, std::vector<double>& p) override {
    if (first_square_ < 0) first_square_ = at.square;
    const double eta = std::min(0.5, std::pow(at.square / first_square_, 0.125));
    const std::size_t n = at.gradient.size();
    p.assign(n, 0.0);
    residual_.resize(n);
    product_.resize(n);
    for (std::size_t i = 0; i < n; ++i) residual_[i] = -at.gradient[i];
    along_ = residual_;
    double square = at.square;
    for (std::int64_t products = 0; products < kMostProducts && square > eta * eta * at.square; ++products) {
      problem_.hessian_product(at.w, along_, product_);
      if (problem_.stop_requested()) break;
      const double curvature = dot(problem_, along_, product_);
      if (!(curvature > 0)) {
        if (products == 0) p = residual_;
        break;
      }
      const double alpha = square / curvature;
      for (std::size_t i = 0; i < n; ++i) {
        p[i] += alpha * along_[i];
        residual_[i] -= alpha * product_[i];
      }
      const double before = std::exchange(square, dot(problem_, residual_, residual_));
      for (std::size_t i = 0; i < n; ++i) along_[i] = residual_[i] + square / before * along_[i];
    }
    return 1;
  }

 private:
  Problem& problem_;
  double first_square_ = -1;  // |g_0|²; negative: not known yet
  std::vector<double> residual_, along_, product_;
};

}  // namespace

SolverResult minimise_newton_cg(Problem& problem, std::vector<double> start, const NewtonCgOptions& options) {
  NewtonDirection direction(problem);
  return descend(problem, std::move(start), direction, options.descent);
}

}  // namespace muster
