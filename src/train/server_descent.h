// The plain rule: gradient descent by full shards, each push applied on arrival.
//
//     worker k   pushes g_k = ∇f_k(w) at the w it pulled
//     server     w ← w − α m (S_k/S) (g_k/S_k + p w)            asynchronous; m workers
//                w ← w − α (Σ_k g_k / S + p w)                  bulk synchronous: gd's rule, bit for bit
//
// Where it settles: at the minimiser of Σ_k rate_k (f_k + S_k ½ Σ p w²), rate_k: pushes of worker k per second. That is
// F's minimiser only where all are equally fast (or agree on it); dave has no such bias. The certificate shows it.
// Around that point w goes on moving in a cycle of the size of one step, α m (S_k/S)|∇f_k/S_k|, since the workers'
// gradients do not vanish there and take turns.
//
// Step: delayed descent w_{t+1} = w_t − α L w_{t−τ} on a quadratic is stable exactly for αL < 2 sin(π/(2(2τ+1))), which
// is more than 2/(2τ+1); here α = 1/(L (2τ+1)) with τ the largest staleness among the last pushes, so that L may be
// under-estimated by half. L as gd estimates it.
//
// Sources: J. N. Tsitsiklis, D. P. Bertsekas, M. Athans, IEEE Trans. Automatic Control 31 (1986); for the bound the
// roots of z^{τ+1} − z^τ + αL on the unit circle: S. A. Levin, R. M. May, Theor. Popul. Biol. 9 (1976).
#pragma once

#include <vector>

#include "train/server_rule.h"
#include "train/server_worker_rule.h"

namespace muster {

class DescentServer final : public ServerRule {
 public:
  // step: α; 0: chosen as above. w: of the range.
  DescentServer(const RunFacts& facts, KeyRange range, std::vector<double> w, double step);

  Work apply(const Push& push) override;
  Work apply_together(std::span<const Push> pushes) override;
  void read(std::span<double> values) const override;
  void read(std::span<const std::uint32_t> keys, std::span<double> values) const override;
  RangeEstimate estimate(std::span<const double> scale) const override;
  std::vector<std::vector<double>> columns() const override { return {w_}; }

 private:
  double step_for(std::int64_t staleness);
  void end_of_window(std::size_t worker);

  double weight_, lipschitz_, fixed_step_, shares_;  // shares_: m / S
  std::vector<double> penalty_, l1_, weights_, w_;
  // The mean of pushes is the gradient that moves w. Taken over windows in which every worker has pushed; of the last
  // whole one kept.
  std::vector<double> window_, gradient_;
  std::vector<bool> heard_;
  std::size_t unheard_, in_window_ = 0, windows_ = 0;
  double share_in_window_ = 0;
  std::int64_t window_staleness_ = 0, recent_staleness_;
};

class DescentWorker final : public WorkerRule {
 public:
  explicit DescentWorker(Objective& objective) : objective_(objective), tallies_(objective.tallies()) {}
  bool dense() const override { return true; }
  void step(std::span<const double> pulled, std::span<const double> extras, WorkerStep& out) override;

 private:
  Objective& objective_;
  std::vector<double> tallies_;
};

}  // namespace muster
