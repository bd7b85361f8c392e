#include "train/server_descent.h"

#include <algorithm>
#include <cmath>

#include "cluster/tree_sum.h"
#include "train/mapreduce.h"

namespace muster {
namespace {

constexpr std::size_t kWindows = 4;  // after which the largest staleness is forgotten

}  // namespace

DescentServer::DescentServer(const RunFacts& facts, KeyRange range, std::vector<double> w, double step)
    : weight_(facts.weight),
      lipschitz_(facts.lipschitz > 0 ? facts.lipschitz : 1),
      fixed_step_(step),
      shares_(static_cast<double>(facts.workers()) / facts.weight),
      weights_(facts.weights),
      w_(std::move(w)),
      window_(range.size(), 0.0),
      gradient_(range.size(), 0.0),
      heard_(facts.workers(), false),
      unheard_(facts.workers()),
      recent_staleness_(static_cast<std::int64_t>(facts.workers()) - 1) {
  for (std::size_t j = range.begin; j < range.end; ++j) {
    penalty_.push_back(facts.penalty[j]);
    l1_.push_back(facts.l1[j]);
  }
}

double DescentServer::step_for(std::int64_t staleness) {
  window_staleness_ = std::max(window_staleness_, staleness);
  recent_staleness_ = std::max(recent_staleness_, staleness);
  if (fixed_step_ > 0) return fixed_step_;
  return 1 / (lipschitz_ * static_cast<double>(2 * recent_staleness_ + 1));
}

// The penalty counts with each push by its worker's share, as in the step.
void DescentServer::end_of_window(std::size_t worker) {
  ++in_window_;
  share_in_window_ += shares_ * weights_[worker];
  if (!heard_[worker]) {
    heard_[worker] = true;
    --unheard_;
  }
  if (unheard_ > 0) return;
  const auto pushes = static_cast<double>(in_window_);
  for (std::size_t j = 0; j < w_.size(); ++j)
    gradient_[j] = (shares_ * window_[j] + share_in_window_ * penalty_[j] * w_[j]) / pushes;
  std::fill(window_.begin(), window_.end(), 0.0);
  std::fill(heard_.begin(), heard_.end(), false);
  unheard_ = heard_.size();
  in_window_ = 0;
  share_in_window_ = 0;
  if (++windows_ % kWindows != 0) return;
  recent_staleness_ = window_staleness_;
  window_staleness_ = 0;
}

Work DescentServer::apply(const Push& push) {
  const double step = step_for(push.staleness);
  const double own = shares_ * weights_[static_cast<std::size_t>(push.worker)];
  for (std::size_t j = 0; j < w_.size(); ++j) {
    window_[j] += push.values[j];
    w_[j] -= step * (shares_ * push.values[j] + own * penalty_[j] * w_[j]);
  }
  end_of_window(static_cast<std::size_t>(push.worker));
  const auto n = static_cast<double>(w_.size());
  return {.bytes = 48 * n, .flops = 7 * n};
}

// The order of addition is that of the collectives (cluster/collectives.h): a binomial tree over the workers' places.
Work DescentServer::apply_together(std::span<const Push> pushes) {
  std::vector<std::vector<double>> sums;
  for (const Push& push : pushes) sums.emplace_back(push.values.begin(), push.values.end());
  for (std::size_t bit = 1; bit < sums.size(); bit <<= 1)
    for (std::size_t k = 0; k + bit < sums.size(); k += 2 * bit) combine(sums[k], sums[k + bit], ReduceOp::sum);
  const double step = fixed_step_ > 0 ? fixed_step_ : 1 / lipschitz_;
  for (std::size_t j = 0; j < w_.size(); ++j) gradient_[j] = sums[0][j] / weight_ + penalty_[j] * w_[j];
  for (std::size_t j = 0; j < w_.size(); ++j) w_[j] = w_[j] - step * gradient_[j];
  ++windows_;
  const auto n = static_cast<double>(w_.size()), m = static_cast<double>(pushes.size());
  return {.bytes = 24 * n * m + 40 * n, .flops = n * m + 4 * n};
}

void DescentServer::read(std::span<double> values) const {
  std::copy(w_.begin(), w_.end(), values.begin());
}

void DescentServer::read(std::span<const std::uint32_t> keys, std::span<double> values) const {
  for (std::size_t i = 0; i < keys.size(); ++i) values[i] = w_[keys[i]];
}

RangeEstimate DescentServer::estimate(std::span<const double> scale) const {
  RangeEstimate result{.known = windows_ > 0};
  const std::vector<double> least = minimum_norm_subgradient(w_, gradient_, l1_);
  for (std::size_t j = 0; j < w_.size(); ++j) {
    result.square += scale[j] * least[j] * scale[j] * least[j];
    result.plain += least[j] * least[j];
    result.penalty += 0.5 * penalty_[j] * w_[j] * w_[j] + l1_[j] * std::abs(w_[j]);
  }
  return result;
}

void DescentWorker::step(std::span<const double> pulled, std::span<const double>, WorkerStep& out) {
  out.values.resize(pulled.size());
  out.work = objective_.value_and_gradient(pulled, out.value, out.values, tallies_);
  out.rows_weight = objective_.weight();
}

}  // namespace muster
