#include "train/dave.h"

#include <algorithm>
#include <cmath>

namespace muster {
namespace {

std::vector<double> part_of(std::span<const double> values, KeyRange range) {
  const auto part = values.subspan(range.begin, range.size());
  return {part.begin(), part.end()};
}

// The least s in ∂h(x): x = prox_{γh}(x + γ s) for every γ.
double pull_of_penalty(double x, double p, double q) {
  return p * x + (x != 0 ? std::copysign(q, x) : 0);
}

constexpr double kStep = 1.9;             // over the curvature; 2 is the limit
constexpr double kForgetting = 0.2;       // of the curvature with each push
constexpr double kCorrections = 100;      // after which forgetting is half as fast
constexpr double kLeastCurvature = 1e-6;  // of the bound
// Points nearer to each other than this times their size say nothing: their gradients differ by rounding.
constexpr double kApart = 1e-10;

}  // namespace

DaveServer::DaveServer(const RunFacts& facts, KeyRange range, std::vector<double> x)
    : share_(facts.weights),
      penalty_(part_of(facts.penalty, range)),
      l1_(part_of(facts.l1, range)),
      corrections_(facts.workers(), 0.0),
      x_(std::move(x)),
      points_(x_),
      point_(facts.workers(), x_),
      heard_(facts.workers(), false) {
  const double bound = facts.largest_lipschitz > 0 ? facts.largest_lipschitz : 1;
  least_curvature_ = kLeastCurvature * bound;
  gamma_ = kStep / bound;
  curvature_.assign(facts.workers(), bound);
  for (std::size_t k = 0; k < share_.size(); ++k) {
    share_[k] /= facts.weight;
    heard_[k] = share_[k] == 0;
    if (heard_[k]) curvature_[k] = least_curvature_;
  }
  for (std::size_t j = 0; j < x_.size(); ++j) gradients_.push_back(-pull_of_penalty(x_[j], penalty_[j], l1_[j]));
}

void DaveServer::follow_curvature(std::size_t worker, double curvature) {
  double& known = curvature_[worker];
  double& corrections = corrections_[worker];
  if (curvature > known) corrections += 1;
  const double kept = 1 - kForgetting / (1 + corrections / kCorrections);
  known = std::max({curvature, kept * known, least_curvature_});
  gamma_ = kStep / *std::max_element(curvature_.begin(), curvature_.end());
}

Work DaveServer::apply(const Push& push) {
  const auto k = static_cast<std::size_t>(push.worker);
  if (share_[k] > 0) follow_curvature(k, push.curvature);
  heard_[k] = true;
  std::vector<double>& point = point_[k];
  for (std::size_t j = 0; j < x_.size(); ++j) {
    gradients_[j] += share_[k] * push.values[j];
    points_[j] += share_[k] * (push.pulled[j] - point[j]);
    point[j] = push.pulled[j];
    const double mean = points_[j] - gamma_ * gradients_[j];
    const double shrunk = std::max(std::abs(mean) - gamma_ * l1_[j], 0.0);
    x_[j] = std::copysign(shrunk, mean) / (1 + gamma_ * penalty_[j]);
  }
  const auto n = static_cast<double>(x_.size());
  return {.bytes = 80 * n, .flops = 13 * n};
}

void DaveServer::read(std::span<double> values) const {
  std::copy(x_.begin(), x_.end(), values.begin());
}

void DaveServer::read(std::span<const std::uint32_t> keys, std::span<double> values) const {
  for (std::size_t i = 0; i < keys.size(); ++i) values[i] = x_[keys[i]];
}

RangeEstimate DaveServer::estimate(std::span<const double> scale) const {
  RangeEstimate result;
  result.known = std::find(heard_.begin(), heard_.end(), false) == heard_.end();
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
      bound_(facts.largest_lipschitz),
      x_(start.begin(), start.end()),
      gradient_(start.size()),
      tallies_(objective.tallies()) {
  for (std::size_t j = 0; j < x_.size(); ++j) g_.push_back(-pull_of_penalty(x_[j], facts.penalty[j], facts.l1[j]));
}

void DaveWorker::step(std::span<const double> pulled, std::span<const double>, WorkerStep& out) {
  out.work = objective_.value_and_gradient(pulled, out.value, gradient_, tallies_);
  out.rows_weight = objective_.weight();
  out.values.resize(x_.size());
  const double rate = out.rows_weight > 0 ? 1 / out.rows_weight : 0;
  for (std::size_t j = 0; j < x_.size(); ++j) {
    const double g = rate * gradient_[j];
    out.values[j] = g - g_[j];
    g_[j] = g;
  }
  out.curvature = stepped_ ? measure(pulled, out.values) : 0;
  stepped_ = true;
  x_.assign(pulled.begin(), pulled.end());
}

// c; 0: not known. Beyond the bound it is trusted as far as |Δg|/|Δx|, which the curvature somewhere between the points
// reaches, whether f is convex or not.
double DaveWorker::measure(std::span<const double> pulled, std::span<const double> change) const {
  double size = 0, moved = 0, changed = 0, along = 0;
  for (std::size_t j = 0; j < x_.size(); ++j) {
    const double step = pulled[j] - x_[j];
    size += pulled[j] * pulled[j];
    moved += step * step;
    changed += change[j] * change[j];
    along += change[j] * step;
  }
  if (moved <= kApart * kApart * size) return 0;
  const double least = std::sqrt(changed / moved);
  return along > 0 ? std::max(least, std::min(bound_, changed / along)) : least;
}

}  // namespace muster
