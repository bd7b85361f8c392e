#include "train/spectrum.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "train/topology.h"

namespace muster {
namespace {

// The averaging of a period, among the living nodes only.
class PeriodProduct {
 public:
  explicit PeriodProduct(const Topology& topology) : topology_(topology), place_(at(topology.nodes()), 0) {
    for (int k = 0; k < topology.nodes(); ++k) {
      if (!topology.living(k)) continue;
      place_[at(k)] = living_.size();
      living_.push_back(k);
      for (int round = 0; round < topology.period(); ++round)
        work_ += 2.0 * static_cast<double>(topology.row(k, round).in.size()) + 2;
    }
  }

  std::size_t dimension() const { return living_.size(); }
  double work() const { return work_; }  // of one product

  // y = (I − W)x, by differences along the edges; one round.
  void laplacian(std::span<const double> x, std::span<double> y) const {
    for (std::size_t i = 0; i < living_.size(); ++i) {
      double sum = 0;
      for (const WeightedNeighbour& n : topology_.row(living_[i]).in) sum += n.weight * (x[i] - x[place_[at(n.node)]]);
      y[i] = sum;
    }
  }

  // y = Px, P = W^(p−1) … W^(0); transposed: Pᵀx
  void apply(std::span<const double> x, std::span<double> y, bool transposed) const {
    std::vector<double> now(x.begin(), x.end()), next(x.size());
    for (int step = 0; step < topology_.period(); ++step) {
      const int round = transposed ? topology_.period() - 1 - step : step;
      for (std::size_t i = 0; i < living_.size(); ++i) {
        const MixingRow& row = topology_.row(living_[i], round);
        double sum = row.self * now[i];
        for (const WeightedNeighbour& n : transposed ? row.out : row.in) sum += n.weight * now[place_[at(n.node)]];
        next[i] = sum;
      }
      std::swap(now, next);
    }
    std::copy(now.begin(), now.end(), y.begin());
  }

 private:
  static std::size_t at(int node) { return static_cast<std::size_t>(node); }

  const Topology& topology_;
  std::vector<std::size_t> place_;  // node -> among the living
  std::vector<int> living_;
  double work_ = 0;
};

void subtract_mean(std::span<double> x) {
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  for (double& value : x) value -= mean;
}

// Whether PᵀPx = PPᵀx, for a random x: then almost surely for all.
bool is_normal(const PeriodProduct& p) {
  const std::size_t n = p.dimension();
  const RandomStream random(1, 0, RandomPurpose::start_vector);
  std::vector<double> x(n), once(n), one(n), other(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = random.uniform(i) - 0.5;
  p.apply(x, once, false), p.apply(once, one, true);
  p.apply(x, once, true), p.apply(once, other, false);
  double difference = 0;
  for (std::size_t i = 0; i < n; ++i) difference = std::max(difference, std::abs(one[i] - other[i]));
  return difference <= 1e-14;
}

struct Decay {
  double rate = 0;  // −ln|λ₂| of P
  bool converged = true;
};

Decay of_symmetric(const PeriodProduct& w) {
  const Ends ends = extreme_eigenvalues(
      w.dimension(), [&w](auto x, auto y) { w.laplacian(x, y); }, 2.0, w.work());
  return {-std::log1p(-std::min({ends.least, 2 - ends.largest, 1.0})), ends.converged};
}

Decay of_normal(const PeriodProduct& p) {
  std::vector<double> once(p.dimension());
  const auto product = [&](std::span<const double> x, std::span<double> y) {  // (I − PᵀP)x
    p.apply(x, once, false);
    p.apply(once, y, true);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[i] - y[i];
  };
  // Only the least eigenvalue matters; the largest is at most 1, far from 3.
  const Ends ends = extreme_eigenvalues(p.dimension(), product, 3.0, 2 * p.work());
  return {-0.5 * std::log1p(-std::min(ends.least, 1.0)), ends.converged};
}

Decay of_any(const PeriodProduct& p, bool rows_sum_to_one) {
  const auto product = [&](std::span<const double> x, std::span<double> y) {
    std::vector<double> from(x.begin(), x.end());
    if (rows_sum_to_one) subtract_mean(from);
    p.apply(from, y, false);
    if (!rows_sum_to_one) subtract_mean(y);
  };
  const Dominant dominant = dominant_eigenvalue(p.dimension(), product, p.work());
  return {-dominant.log_modulus, dominant.converged};
}

}  // namespace

Spectrum spectrum(const Topology& topology) {
  constexpr double kNothing = 1e-14;  // a modulus that is rounding: averaged exactly
  const PeriodProduct p(topology);
  if (p.dimension() <= 1) return {};
  if (topology.components().size() > 1) return {1, 0, std::numeric_limits<double>::infinity(), true};
  const double period = topology.period();
  const Decay decay = topology.symmetric() && topology.period() == 1 ? of_symmetric(p)
                      : topology.doubly_stochastic() && is_normal(p) ? of_normal(p)
                                                                     : of_any(p, topology.row_stochastic());
  const double rate = std::max(decay.rate, 0.0);
  Spectrum result;
  result.converged = decay.converged;
  if (std::exp(-rate) <= kNothing) {
    result.consensus_rounds = period;
    return result;
  }
  result.lambda2_modulus = std::exp(-rate / period);
  result.spectral_gap = -std::expm1(-rate / period);
  result.consensus_rounds = std::ceil(std::max(1.0, std::log(1e6) / rate) * period);
  return result;
}

}  // namespace muster
