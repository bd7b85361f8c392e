#include "solver/nesterov.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "solver/lanczos.h"
#include "solver/point.h"

namespace muster {
namespace {

constexpr int kRoundsWithoutProgress = 300;

class Nesterov {
 public:
  Nesterov(Problem& problem, std::vector<double> start, const NesterovOptions& options)
      : problem_(problem), options_(options), x_(start), next_(start.size()) {
    y_.w = std::move(start);
    y_.gradient.resize(x_.size());
    trusted_ = y_;
  }

  SolverResult run() {
    result_.rounds = 1;
    if (!evaluate(problem_, y_)) return finish(StopReason::diverged, "the objective is not finite at the start");
    if (stopped()) return finish(verdict_.reason, verdict_.detail);
    lipschitz_ =
        options_.lipschitz > 0 ? options_.lipschitz : estimate_largest_curvature(problem_, options_.seed).estimate;
    if (!std::isfinite(lipschitz_)) return finish(StopReason::diverged, "the curvature is not finite");
    if (!(lipschitz_ > 0)) lipschitz_ = 1;  // f is linear as far as seen; the guard finds out
    FloorDetector floor(kRoundsWithoutProgress);
    trusted_ = y_;
    while (options_.first_round + result_.rounds < options_.max_rounds) {
      if (floor.at_floor(step()))
        return finish(StopReason::converged, "at the rounding floor: the step no longer shrinks");
      ++result_.rounds;
      if (!evaluate(problem_, y_) || !bounded_by_curvature()) {
        lipschitz_ *= 2;
        if (!std::isfinite(lipschitz_))
          return finish(StopReason::diverged, "no step, however short, keeps the objective finite");
        y_ = trusted_;
        restart();
      } else {
        trusted_ = y_;
      }
      if (stopped()) return finish(verdict_.reason, verdict_.detail);
    }
    return finish(StopReason::max_rounds, "the limit on rounds was reached");
  }

 private:
  double l1(std::size_t j) const { return options_.l1.empty() ? 0 : options_.l1[j]; }

  // What this rank's coordinates add to the second sum of F.
  double absolute(const Point& point) const {
    double sum = 0;
    for (std::size_t j = 0; j < options_.l1.size(); ++j) sum += options_.l1[j] * std::abs(point.w[j]);
    return sum;
  }

  // Moves y; returns the point left, its square being that of the step's length over α.
  Point step() {
    const double alpha = 1 / lipschitz_;
    Point left = y_;
    double sums[] = {0, 0};
    auto& [opposed, square] = sums;
    for (std::size_t j = 0; j < x_.size(); ++j) {
      const double u = y_.w[j] - alpha * y_.gradient[j];
      next_[j] = l1(j) == 0 ? u : std::copysign(std::max(std::abs(u) - alpha * l1(j), 0.0), u);
      const double moved = y_.w[j] - next_[j];
      opposed += moved * (next_[j] - x_[j]);
      square += moved * moved * lipschitz_ * lipschitz_;
    }
    problem_.sum_over_blocks(sums);
    left.square = square;
    if (opposed > 0) t_ = 1;
    const double following = (1 + std::sqrt(1 + 4 * t_ * t_)) / 2;
    const double momentum = (t_ - 1) / following;
    for (std::size_t j = 0; j < x_.size(); ++j) y_.w[j] = next_[j] + momentum * (next_[j] - x_[j]);
    x_.swap(next_);
    t_ = following;
    return left;
  }

  void restart() {
    x_ = y_.w;
    t_ = 1;
  }

  bool bounded_by_curvature() {
    double sums[] = {0, 0, absolute(trusted_), absolute(y_)};
    auto& [along, square, absolute_before, absolute_now] = sums;
    for (std::size_t j = 0; j < x_.size(); ++j) {
      const double moved = y_.w[j] - trusted_.w[j];
      along += trusted_.gradient[j] * moved;
      square += moved * moved;
    }
    problem_.sum_over_blocks(sums);
    const double before = trusted_.value - absolute_before, now = y_.value - absolute_now;
    return now <= before + along + lipschitz_ / 2 * square + hidden_by_rounding(before, now);
  }

  bool stopped() {
    verdict_ = problem_.after_round(options_.first_round + result_.rounds, y_.w, y_.value, y_.gradient);
    return verdict_.stop;
  }

  SolverResult finish(StopReason reason, std::string detail) {
    result_.w = std::move(y_.w);
    result_.reason = reason;
    result_.detail = std::move(detail);
    result_.evaluations = result_.rounds;
    return std::move(result_);
  }

  Problem& problem_;
  const NesterovOptions& options_;
  std::vector<double> x_, next_;
  Point y_, trusted_;  // trusted_: the last y at which the guard held
  double t_ = 1;
  double lipschitz_ = 0;
  Problem::Verdict verdict_;
  SolverResult result_;
};

}  // namespace

SolverResult minimise_nesterov(Problem& problem, std::vector<double> start, const NesterovOptions& options) {
  return Nesterov(problem, std::move(start), options).run();
}

}  // namespace muster
