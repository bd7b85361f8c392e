// What a worker computes and pushes. The worker's loop (server_worker.h) talks to the servers, cuts what is pushed and
// pulled along their ranges, compresses with error feedback, and counts; a rule only computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "muster/objective.h"
#include "train/server_rule.h"

namespace muster {

// What one step found.
struct WorkerStep {
  Work work;
  double value = 0;        // Σ s_i loss_i over the step's rows, at what was pulled
  double rows_weight = 0;  // Σ s_i over them
  double curvature = 0;    // of the loss between this step's point and the last, where servers need it; 0: not known
  std::vector<double> values;     // to push: dense, or by the keys of the step
  std::vector<double> residuals;  // R, RowFacts::sums of them, where the rule's servers need them
};

// Threads: one at a time. Failure: does not throw.
class WorkerRule {
 public:
  virtual ~WorkerRule() = default;

  // Whether steps read and push all of w. The same on every worker of a run, and for its whole length.
  virtual bool dense() const = 0;

  // Chooses the rows of the next step: the parameters they touch, ascending. The span holds until the next call. Not
  // asked of a dense rule.
  virtual std::span<const std::uint32_t> next_keys() { return {}; }

  // Computes at `pulled` (dense, or by the keys chosen last), with the sums of the servers' extras, and writes the
  // push.
  virtual void step(std::span<const double> pulled, std::span<const double> extras, WorkerStep& out) = 0;
};

}  // namespace muster
