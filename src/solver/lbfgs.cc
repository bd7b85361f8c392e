#include "solver/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "base/aligned.h"
#include "solver/point.h"

namespace muster {
namespace {

// The last m pairs, and the product −Hg. It lies in the span of s_i, y_i and g, so the recursion needs nothing but
// inner products, and the vectors are read twice a round: for the products with the newest, and for the combination.
class Memory final : public DescentDirection {
 public:
  Memory(Problem& problem, std::size_t pairs) : problem_(problem), most_(pairs) {}

  // With pairs, at the point moved() has ended at.
  double choose(const Point& at, std::vector<double>& p) override {
    const Combination r = recursion();
    p.resize(at.gradient.size());
    in_stretches(p.size(), [&](std::size_t begin, std::size_t end) {
      for (std::size_t j = begin; j < end; ++j) p[j] = -r.of_gradient * at.gradient[j];
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        const double *s = pairs_[i].s.data(), *y = pairs_[i].y.data(), of_s = r.of_s[i], of_y = r.of_y[i];
        for (std::size_t j = begin; j < end; ++j) p[j] -= of_s * s[j] + of_y * y[j];
      }
    });
    return pairs_.empty() ? first_step(at) : 1;
  }

  void moved(const Point& from, const Point& to) override {
    std::vector<double> products = next_pair(from, to);
    problem_.sum_over_blocks(products);
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      pairs_[i].sg = products[kProducts * i];
      pairs_[i].yg = products[kProducts * i + 1];
    }
    const double* own = products.data() + kProducts * pairs_.size();
    const double sy = own[2], yy = own[3], ss = own[4];
    if (!(sy > std::numeric_limits<double>::epsilon() * std::sqrt(ss) * std::sqrt(yy))) return;
    add_next(products);
    if (pairs_.size() > most_) drop_oldest();
  }

  bool forget() override {
    const bool any = !pairs_.empty();
    pairs_.clear();
    return any;
  }

 private:
  struct Pair {
    AlignedVector<double> s, y;
    std::vector<double> sy, yy;  // s·y_j and y·y_j, for the pair itself and then the newer ones j
    double sg = 0, yg = 0;       // s·g and y·g
  };
  static constexpr std::size_t kProducts = 4;  // of a pair, in a round
  struct Combination {
    double of_gradient = 1;
    std::vector<double> of_s, of_y;
  };

  // Makes the pair of a step, and returns the products with its y' and with the gradient it leads to, by pair, its own
  // last: [s·g, y·g, s·y', y·y']; and [s'·s'].
  std::vector<double> next_pair(const Point& from, const Point& to) {
    const std::size_t n = to.w.size();
    next_.s.resize(n);
    next_.y.resize(n);
    std::vector<double> sums(kProducts * (pairs_.size() + 1) + 1, 0.0);
    in_stretches(n, [&](std::size_t begin, std::size_t end) {
      for (std::size_t j = begin; j < end; ++j) next_.s[j] = to.w[j] - from.w[j];
      for (std::size_t j = begin; j < end; ++j) next_.y[j] = to.gradient[j] - from.gradient[j];
      const auto part = [&](std::span<const double> x) { return x.subspan(begin, end - begin); };
      const auto new_s = part(next_.s), new_y = part(next_.y), g = part(to.gradient);
      for (std::size_t i = 0; i <= pairs_.size(); ++i) {
        const Pair& pair = i < pairs_.size() ? pairs_[i] : next_;
        const auto s = part(pair.s), y = part(pair.y);
        double* sum = sums.data() + kProducts * i;
        sum[0] += dot(s, g);
        sum[1] += dot(y, g);
        sum[2] += dot(s, new_y);
        sum[3] += dot(y, new_y);
      }
      sums.back() += dot(new_s, new_s);
    });
    return sums;
  }

  void add_next(const std::vector<double>& products) {
    pairs_.push_back(std::move(next_));
    next_ = {};
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      pairs_[i].sy.push_back(products[kProducts * i + 2]);
      pairs_[i].yy.push_back(products[kProducts * i + 3]);
    }
    pairs_.back().sg = products[products.size() - 5];
    pairs_.back().yg = products[products.size() - 4];
  }

  void drop_oldest() {
    next_ = std::move(pairs_.front());  // its storage
    next_.sy.clear();
    next_.yy.clear();
    pairs_.erase(pairs_.begin());
  }

  // r = Hg.
  Combination recursion() const {
    const std::size_t k = pairs_.size();
    if (k == 0) return {};
    const auto sy = [&](std::size_t i, std::size_t newer) { return pairs_[i].sy[newer - i]; };
    const auto yy = [&](std::size_t i, std::size_t j) {
      return pairs_[std::min(i, j)].yy[std::max(i, j) - std::min(i, j)];
    };
    const double gamma = sy(k - 1, k - 1) / yy(k - 1, k - 1);
    std::vector<double> a(k), of_s(k);
    for (std::size_t i = k; i-- > 0;) {
      double sq = pairs_[i].sg;
      for (std::size_t j = i + 1; j < k; ++j) sq -= a[j] * sy(i, j);
      a[i] = sq / sy(i, i);
    }
    for (std::size_t i = 0; i < k; ++i) {
      double yq = pairs_[i].yg, yr = 0;
      for (std::size_t j = 0; j < k; ++j) yq -= a[j] * yy(i, j);
      for (std::size_t j = 0; j < i; ++j) yr += of_s[j] * sy(j, i);
      of_s[i] = a[i] - (gamma * yq + yr) / sy(i, i);
    }
    for (double& of_y : a) of_y *= -gamma;
    return {gamma, std::move(of_s), std::move(a)};
  }

  // Along −g.
  double first_step(const Point& at) {
    const double unit = 1 / std::sqrt(at.square);  // a line that is known at once finds its own step from any
    if (problem_.looks_along()) return unit;
    std::vector<double> product(at.gradient.size());
    problem_.curvature_product(at.gradient, product);
    const double step = at.square / dot(problem_, at.gradient, product);
    return std::isfinite(step) && step > 0 ? step : unit;
  }

  Problem& problem_;
  std::size_t most_;
  std::vector<Pair> pairs_;  // oldest first
  Pair next_;
};

}  // namespace

SolverResult minimise_lbfgs(Problem& problem, std::vector<double> start, const LbfgsOptions& options) {
  Memory memory(problem, options.memory);
  return descend(problem, std::move(start), memory, options.descent);
}

}  // namespace muster
