// What a server does with pushes: the state of one key range and the rule that changes it. The server (server_loop.h)
// receives, gates, counts and answers; a rule only computes.
//
// Rules: dave (dave.h), gradient descent by full shards (server_descent.h), and those that take rows a few at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "muster/objective.h"

namespace muster {

struct RowFacts;  // sgd_facts.h

struct KeyRange {
  std::size_t begin = 0, end = 0;
  std::size_t size() const { return end - begin; }
};

// Agreed by all before pushes flow, and again after a loss. Workers are known by their place among the living.
struct RunFacts {
  std::vector<double> weights;           // S_k, by worker
  double weight = 0;                     // S
  double lipschitz = 0;                  // of ∇F, penalty p included: as gd estimates it, inflated
  double largest_lipschitz = 0;          // the largest L_k of a worker's own average f_k / S_k, penalty left out
  std::vector<double> penalty;           // p
  std::vector<double> l1;                // q; always as long as p here
  std::shared_ptr<const RowFacts> rows;  // null where pushes are of full shards
  std::size_t workers() const { return weights.size(); }
};

// One worker's message as it reaches the rule.
struct Push {
  int worker = 0;                       // place among the living
  bool dense = true;                    // values are of the whole range; else of keys
  std::span<const std::uint32_t> keys;  // ascending, counted from the range's begin
  std::span<const double> values;
  std::span<const double> residuals = {};  // R, RowFacts::sums of them
  double rows_weight = 0;                  // Σ s_i over them
  double curvature = 0;                    // WorkerStep's
  std::int64_t staleness = 0;              // updates by others that the worker had not seen
  // The values of the range that the worker computed at. Only where wants_pulled().
  std::span<const double> pulled = {};
};

// A range's share of what StopEstimate asks for, both additive over ranges.
struct RangeEstimate {
  double square = 0;   // Σ (scale_j × gradient_j)²
  double penalty = 0;  // ½ Σ p_j x_j² + Σ q_j |x_j|
  double plain = 0;    // Σ gradient_j²: what reports show
  bool known = false;  // false: too little has been pushed yet
};

// Threads: one at a time. Failure: does not throw. Values pushed have been checked to be finite.
class ServerRule {
 public:
  virtual ~ServerRule() = default;

  virtual Work apply(const Push& push) = 0;
  // Bulk synchronous: one push of every worker, in order of their places. All were computed at the same model; applied
  // one after another they are as stale, for a step that depends on that, as if each had missed all the others.
  virtual Work apply_together(std::span<const Push> pushes) {
    Work work;
    for (Push push : pushes) {
      push.staleness = static_cast<std::int64_t>(pushes.size()) - 1;
      work += apply(push);
    }
    return work;
  }

  // The model: of the whole range, or of some keys (counted from the range's begin).
  virtual void read(std::span<double> values) const = 0;
  virtual void read(std::span<const std::uint32_t> keys, std::span<double> values) const = 0;
  // Numbers more that go with every answer, and are added over the ranges: a rule with implicit centring sends
  // Σ k_j w_j, RowFacts::sums of them; others nothing.
  virtual std::vector<double> extras() const { return {}; }

  virtual bool wants_pulled() const { return false; }
  // scale: of the range.
  virtual RangeEstimate estimate(std::span<const double> scale) const = 0;

  // The whole state as columns with one number per key, the first of them the model: what a replica keeps, and from
  // which a rule of the same kind is made again, for another cut of the ranges and other workers. Always equally many.
  virtual std::vector<std::vector<double>> columns() const = 0;
};

}  // namespace muster
