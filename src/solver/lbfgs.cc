#include "solver/lbfgs.h"

#include <cmath>
#include <deque>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "solver/point.h"

namespace muster {
namespace {

constexpr int kRoundsWithoutProgress = 30;

void add(std::span<double> to, double factor, std::span<const double> x) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += factor * x[i];
}

// The last m pairs, and the product −Hg.
class Memory {
 public:
  Memory(Problem& problem, std::size_t pairs) : problem_(problem), most_(pairs) {}

  bool empty() const { return pairs_.empty(); }
  void clear() { pairs_.clear(); }

  void remember(const Point& from, const Point& to) {
    next_.s = to.w;
    next_.y = to.gradient;
    add(next_.s, -1, from.w);
    add(next_.y, -1, from.gradient);
    double sums[] = {dot(next_.s, next_.y), dot(next_.s, next_.s), dot(next_.y, next_.y)};
    problem_.sum_over_blocks(sums);
    const auto [sy, ss, yy] = sums;
    if (!(sy > std::numeric_limits<double>::epsilon() * std::sqrt(ss) * std::sqrt(yy))) return;
    next_.rho = 1 / sy;
    gamma_ = sy / yy;
    pairs_.push_back(std::move(next_));
    next_ = {};
    if (pairs_.size() > most_) {
      next_ = std::move(pairs_.front());  // its storage
      pairs_.pop_front();
    }
  }

  void direction(std::span<const double> gradient, std::vector<double>& p) {
    p.assign(gradient.begin(), gradient.end());
    for (std::size_t i = pairs_.size(); i-- > 0;) {
      pairs_[i].a = pairs_[i].rho * dot(problem_, pairs_[i].s, p);
      add(p, -pairs_[i].a, pairs_[i].y);
    }
    const double scale = pairs_.empty() ? 1 : gamma_;
    for (double& value : p) value *= scale;
    for (const Pair& pair : pairs_) add(p, pair.a - pair.rho * dot(problem_, pair.y, p), pair.s);
    for (double& value : p) value = -value;
  }

 private:
  struct Pair {
    std::vector<double> s, y;
    double rho = 0, a = 0;
  };
  Problem& problem_;
  std::size_t most_;
  std::deque<Pair> pairs_;  // oldest first
  Pair next_;
  double gamma_ = 1;
};

class Lbfgs {
 public:
  Lbfgs(Problem& problem, std::vector<double> start, const LbfgsOptions& options)
      : problem_(problem),
        options_(options),
        current_{std::move(start), std::vector<double>(problem.dimension())},
        memory_(problem, options.memory),
        line_search_(problem, options.line_search) {}

  SolverResult run() {
    result_.rounds = 1;
    if (!evaluate(problem_, current_)) return finish(StopReason::diverged, "the objective is not finite at the start");
    FloorDetector floor(kRoundsWithoutProgress);
    while (true) {
      const Problem::Verdict verdict =
          problem_.after_round(options_.first_round + result_.rounds, current_.w, current_.value, current_.gradient);
      if (verdict.stop) return finish(verdict.reason, verdict.detail);
      if (current_.square == 0) return finish(StopReason::converged, "the gradient is 0");
      if (floor.at_floor(current_))
        return finish(StopReason::converged, "at the rounding floor: the gradient no longer shrinks");
      if (options_.first_round + result_.rounds >= options_.max_rounds)
        return finish(StopReason::max_rounds, "the limit on rounds was reached");
      ++result_.rounds;
      LineSearch::End end = step();
      const bool failed = end == LineSearch::End::none || end == LineSearch::End::not_finite;
      if (failed && !memory_.empty()) {
        memory_.clear();  // what is remembered may be rounding
        end = step();
      }
      if (end == LineSearch::End::not_finite)
        return finish(StopReason::diverged, "no step, however short, keeps the objective finite");
      if (end == LineSearch::End::none) return finish_without_progress();
    }
  }

 private:
  // Takes a step from current_ where the line search finds one.
  LineSearch::End step() {
    memory_.direction(current_.gradient, direction_);
    double slope = dot(problem_, direction_, current_.gradient);
    if (!(slope < 0) || !std::isfinite(slope)) {
      memory_.clear();
      memory_.direction(current_.gradient, direction_);
      slope = -current_.square;
    }
    const double first = memory_.empty() ? first_step() : 1;
    const LineSearch::End end = line_search_.search(current_, direction_, slope, first);
    if (end == LineSearch::End::found || end == LineSearch::End::lower) {
      memory_.remember(current_, line_search_.point());
      std::swap(current_, line_search_.point());
    }
    return end;
  }

  // Along −g.
  double first_step() {
    std::vector<double> product(current_.gradient.size());
    problem_.curvature_product(current_.gradient, product);
    const double step = current_.square / dot(problem_, current_.gradient, product);
    return std::isfinite(step) && step > 0 ? step : 1 / std::sqrt(current_.square);
  }

  SolverResult finish_without_progress() {
    if (line_search_.contradicted())
      return finish(StopReason::stalled, "the objective rises along what is given as its descent");
    return finish(StopReason::converged, "at the rounding floor: no step lowers the objective");
  }

  SolverResult finish(StopReason reason, std::string detail) {
    result_.w = std::move(current_.w);
    result_.reason = reason;
    result_.detail = std::move(detail);
    result_.evaluations = 1 + line_search_.evaluations();
    return std::move(result_);
  }

  Problem& problem_;
  const LbfgsOptions& options_;
  Point current_;
  Memory memory_;
  LineSearch line_search_;
  std::vector<double> direction_;
  SolverResult result_;
};

}  // namespace

SolverResult minimise_lbfgs(Problem& problem, std::vector<double> start, const LbfgsOptions& options) {
  return Lbfgs(problem, std::move(start), options).run();
}

}  // namespace muster
