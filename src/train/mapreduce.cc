#include "train/mapreduce.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::size_t kMostRounds = 1000;

}  // namespace

std::vector<double> minimum_norm_subgradient(std::span<const double> w, std::span<const double> gradient,
                                             std::span<const double> l1) {
  std::vector<double> result(gradient.begin(), gradient.end());
  for (std::size_t j = 0; j < l1.size(); ++j) {
    if (w[j] != 0) {
      result[j] += std::copysign(l1[j], w[j]);
    } else {
      result[j] = std::copysign(std::max(std::abs(result[j]) - l1[j], 0.0), result[j]);
    }
  }
  return result;
}

MapReduce::MapReduce(Objective& objective, Endpoint& endpoint, MapReduceOptions options)
    : objective_(objective), endpoint_(endpoint), options_(std::move(options)), start_(endpoint.now()) {
  MUSTER_CHECK(options_.penalty.size() == objective.dimension(), "one penalty for each coordinate");
  MUSTER_CHECK(options_.l1.empty() || options_.l1.size() == objective.dimension(), "one l1 for each coordinate");
  sums_.resize(1 + objective.dimension() + objective.tallies() + 2);
  weight_ = objective.weight();
  endpoint_.allreduce({&weight_, 1}, ReduceOp::sum, Deadline::never());
  MUSTER_CHECK(weight_ > 0, "no worker has a row that counts");
}

double MapReduce::value_and_gradient(std::span<const double> w, std::span<double> gradient) {
  const std::size_t n = dimension();
  const std::span<double> sums(sums_);
  const Time begin = endpoint_.now();
  endpoint_.charge(
      objective_.value_and_gradient(w, sums[0], sums.subspan(1, n), sums.subspan(1 + n, objective_.tallies())));
  const Time end = endpoint_.now();
  compute_seconds_ += end - begin;
  // Only one rank looks at the clock: ranks' clocks differ, and all must stop after the same round.
  sums[sums.size() - 2] = options_.cancellation && options_.cancellation->cancelled() ? 1 : 0;
  sums[sums.size() - 1] =
      endpoint_.rank() == endpoint_.members().front() && end - start_ >= options_.max_seconds ? 1 : 0;
  endpoint_.allreduce(sums, ReduceOp::sum, Deadline::never());
  cancelled_ = sums[sums.size() - 2] > 0;
  out_of_time_ = sums[sums.size() - 1] > 0;
  double penalty = 0, absolute = 0;
  for (std::size_t j = 0; j < n; ++j) {
    gradient[j] = sums[1 + j] / weight_ + options_.penalty[j] * w[j];
    penalty += options_.penalty[j] * w[j] * w[j];
    if (!options_.l1.empty()) absolute += options_.l1[j] * std::abs(w[j]);
  }
  return sums[0] / weight_ + 0.5 * penalty + absolute;
}

void MapReduce::curvature_product(std::span<const double> v, std::span<double> product) {
  const Time begin = endpoint_.now();
  endpoint_.charge(objective_.curvature_product(v, product));
  compute_seconds_ += endpoint_.now() - begin;
  endpoint_.allreduce(product, ReduceOp::sum, Deadline::never());
  for (std::size_t j = 0; j < product.size(); ++j) product[j] = product[j] / weight_ + options_.penalty[j] * v[j];
}

Problem::Verdict MapReduce::after_round(std::int64_t round, std::span<const double> w, double value,
                                        std::span<const double> gradient) {
  RoundState state{round, w, gradient, value, 0, tallies()};
  for (double g : minimum_norm_subgradient(w, gradient, options_.l1)) state.gradient_norm += g * g;
  state.gradient_norm = std::sqrt(state.gradient_norm);
  const RoundReport report{round, endpoint_.now() - start_, value, state.gradient_norm};
  if ((round - 1) % keep_every_ == 0) rounds_.push_back(report);
  if (rounds_.size() > kMostRounds) {  // keep every second one
    for (std::size_t i = 0; 2 * i < rounds_.size(); ++i) rounds_[i] = rounds_[2 * i];
    rounds_.resize((rounds_.size() + 1) / 2);
    keep_every_ *= 2;
  }
  if (options_.on_round) options_.on_round(report, state);
  if (options_.judge) {
    Verdict verdict = options_.judge(state);
    if (verdict.stop) return verdict;
  }
  if (cancelled_) return {true, StopReason::interrupted, "a stop was asked for"};
  if (out_of_time_) return {true, StopReason::max_time, "the limit on time was reached"};
  return {};
}

}  // namespace muster
