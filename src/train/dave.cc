#include "train/dave.h"

#include <algorithm>
#include <cmath>

namespace muster {
namespace {

std::vector<double> part_of(std::span<const double> values, KeyRange range) {
  const auto part = values.subspan(range.begin, range.size());
  return {part.begin(), part.end()};
}

// The least s for which x̄ = x + γ s has prox_{γh}(x̄) = x: that of ∂h(x).
double pull_of_penalty(double x, double p, double q) {
  return p * x + (x != 0 ? std::copysign(q, x) : 0);
}

}  // namespace

double dave_step(const RunFacts& facts) {
  return facts.largest_lipschitz > 0 ? 1.9 / facts.largest_lipschitz : 1;
}

DaveServer::DaveServer(const RunFacts& facts, KeyRange range, std::vector<double> x)
    : share_(facts.weights),
      penalty_(part_of(facts.penalty, range)),
      l1_(part_of(facts.l1, range)),
      gamma_(dave_step(facts)),
      x_bar_(x),
      x_(std::move(x)),
      points_(range.size(), 0.0),
      point_(facts.workers()) {
  for (double& share : share_) share /= facts.weight;
  for (std::size_t j = 0; j < x_.size(); ++j) x_bar_[j] += gamma_ * pull_of_penalty(x_[j], penalty_[j], l1_[j]);
}

Work DaveServer::apply(const Push& push) {
  const auto k = static_cast<std::size_t>(push.worker);
  std::vector<double>& point = point_[k];
  if (point.empty()) point.assign(x_.size(), 0.0);
  for (std::size_t j = 0; j < x_.size(); ++j) {
    x_bar_[j] += share_[k] * push.values[j];
    points_[j] += share_[k] * (push.pulled[j] - point[j]);
    point[j] = push.pulled[j];
    const double shrunk = std::max(std::abs(x_bar_[j]) - gamma_ * l1_[j], 0.0);
    x_[j] = std::copysign(shrunk, x_bar_[j]) / (1 + gamma_ * penalty_[j]);
  }
  const auto n = static_cast<double>(x_.size());
  return {.bytes = 80 * n, .flops = 11 * n};
}

void DaveServer::read(std::span<double> values) const {
  std::copy(x_.begin(), x_.end(), values.begin());
}

void DaveServer::read(std::span<const std::uint32_t> keys, std::span<double> values) const {
  for (std::size_t i = 0; i < keys.size(); ++i) values[i] = x_[keys[i]];
}

RangeEstimate DaveServer::estimate(std::span<const double> scale) const {
  RangeEstimate result;
  result.known = true;
  for (std::size_t k = 0; k < share_.size(); ++k)
    if (share_[k] > 0 && point_[k].empty() && !x_.empty()) result.known = false;
  for (std::size_t j = 0; j < x_.size(); ++j) {
    const double gradient = (points_[j] - x_[j]) / gamma_;
    result.square += scale[j] * gradient * scale[j] * gradient;
    result.plain += gradient * gradient;
    result.penalty += 0.5 * penalty_[j] * x_[j] * x_[j] + l1_[j] * std::abs(x_[j]);
  }
  return result;
}

DaveWorker::DaveWorker(Objective& objective, const RunFacts& facts, std::span<const double> start)
    : objective_(objective),
      gamma_(dave_step(facts)),
      z_(start.begin(), start.end()),
      gradient_(start.size()),
      tallies_(objective.tallies()) {
  for (std::size_t j = 0; j < z_.size(); ++j) z_[j] += gamma_ * pull_of_penalty(z_[j], facts.penalty[j], facts.l1[j]);
}

void DaveWorker::step(std::span<const double> pulled, double, WorkerStep& out) {
  out.work = objective_.value_and_gradient(pulled, out.value, gradient_, tallies_);
  out.rows_weight = objective_.weight();
  out.residual = 0;
  out.values.resize(z_.size());
  const double rate = out.rows_weight > 0 ? gamma_ / out.rows_weight : 0;
  for (std::size_t j = 0; j < z_.size(); ++j) {
    const double next = pulled[j] - rate * gradient_[j];
    out.values[j] = next - z_[j];
    z_[j] = next;
  }
}

}  // namespace muster
