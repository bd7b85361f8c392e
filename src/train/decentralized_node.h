// One node's share of the objective, φ_k (decentralized_rules.h), as its Objective computes it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/endpoint.h"
#include "muster/objective.h"
#include "train/session.h"

namespace muster {

class NodeObjective {
 public:
  // All three outlive this.
  NodeObjective(Objective& objective, Endpoint& endpoint, const SessionOptions& options);

  // m nodes hold rows of the weight S together. Before anything else.
  void share_among(int nodes, double weight) { scale_ = nodes / weight; }

  std::size_t dimension() const { return objective_.dimension(); }
  // φ_k and the l1 part; the gradient is of φ_k alone.
  double value_and_gradient(std::span<const double> w, std::span<double> gradient);
  // An upper estimate of the largest eigenvalue of φ_k's curvature; local.
  double lipschitz(std::uint64_t seed);

  double compute_seconds() const { return compute_seconds_; }
  std::int64_t gradients() const { return gradients_; }

 private:
  Objective& objective_;
  Endpoint& endpoint_;
  const SessionOptions& options_;
  double scale_ = 0;
  std::vector<double> tallies_;
  double compute_seconds_ = 0;
  std::int64_t gradients_ = 0;
};

}  // namespace muster
