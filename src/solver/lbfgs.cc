#include "solver/lbfgs.h"

#include <cmath>
#include <deque>
#include <limits>
#include <span>
#include <utility>

#include "solver/point.h"

namespace muster {
namespace {

void add(std::span<double> to, double factor, std::span<const double> x) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += factor * x[i];
}

// The last m pairs, and the product −Hg.
class Memory final : public DescentDirection {
 public:
  Memory(Problem& problem, std::size_t pairs) : problem_(problem), most_(pairs) {}

  double choose(const Point& at, std::vector<double>& p) override {
    p.assign(at.gradient.begin(), at.gradient.end());
    for (std::size_t i = pairs_.size(); i-- > 0;) {
      pairs_[i].a = pairs_[i].rho * dot(problem_, pairs_[i].s, p);
      add(p, -pairs_[i].a, pairs_[i].y);
    }
    const double scale = pairs_.empty() ? 1 : gamma_;
    for (double& value : p) value *= scale;
    for (const Pair& pair : pairs_) add(p, pair.a - pair.rho * dot(problem_, pair.y, p), pair.s);
    for (double& value : p) value = -value;
    return pairs_.empty() ? first_step(at) : 1;
  }

  void moved(const Point& from, const Point& to) override {
    next_.s = to.w;
    next_.y = to.gradient;
    add(next_.s, -1, from.w);
    add(next_.y, -1, from.gradient);
    double products[] = {dot(next_.s, next_.y), dot(next_.s, next_.s), dot(next_.y, next_.y)};
    problem_.sum_over_blocks(products);
    const auto [sy, ss, yy] = products;
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

  bool forget() override {
    const bool any = !pairs_.empty();
    pairs_.clear();
    return any;
  }

 private:
  struct Pair {
    std::vector<double> s, y;
    double rho = 0, a = 0;
  };

  // Along −g.
  double first_step(const Point& at) {
    std::vector<double> product(at.gradient.size());
    problem_.curvature_product(at.gradient, product);
    const double step = at.square / dot(problem_, at.gradient, product);
    return std::isfinite(step) && step > 0 ? step : 1 / std::sqrt(at.square);
  }

  Problem& problem_;
  std::size_t most_;
  std::deque<Pair> pairs_;  // oldest first
  Pair next_;
  double gamma_ = 1;
};

}  // namespace

SolverResult minimise_lbfgs(Problem& problem, std::vector<double> start, const LbfgsOptions& options) {
  Memory memory(problem, options.memory);
  return descend(problem, std::move(start), memory, options.descent);
}

}  // namespace muster
