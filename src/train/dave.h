// DAVE: delay-tolerant proximal gradient, exact for every mix of speeds.
//
//     minimise F(x) = Σ_k π_k f̄_k(x) + h(x) ,   π_k = S_k / S,  f̄_k = f_k / S_k,  h(x) = Σ_j ½ p_j x_j² + q_j |x_j|
//
//     worker k   g_k ← ∇f̄_k(x) at the x it pulled, and pushes the change of its g_k
//     server     x = prox_{γh}( Σ_k π_k z_k ) ,   z_k = x_k − γ g_k, x_k being the x that g_k was computed at
//
// However old the x_k are, F's minimiser is the one fixed point where each map x ↦ x − γ∇f̄_k(x) is non-expansive: no
// step size depends on delays, and a slow worker slows only its own share. (The source has workers keep z_k and push
// its change. That is the same; here the servers keep Σ π_k x_k and Σ π_k g_k apart, so that γ can change under way.)
//
// Step. For two of worker k's points, Δx apart, the map is non-expansive exactly when γ ≤ 2/c_k, c_k = |Δg|²/⟨Δg, Δx⟩,
// which is at most L_k for convex f_k. Workers measure c_k from each step to the next and send it; with
//
//     l_k ← max(c_k, θ_k l_k),   θ_k = 1 − 0.2/(1 + v_k/100),   γ = 1.9/max_k l_k,   v_k: how often c_k was above l_k
//
// γ follows the curvature where the run is, from a start at the bound L on it. The bound holds for all x: logistic loss
// is often a hundred times less curved near its minimiser, and takes as many times fewer rounds. Where γ has become too
// long the points move apart, which raises c_k at once, also above a bound that was under-estimated; θ_k → 1, so that
// the step settles, and what holds for constant γ holds in the end. Servers hear the same c_k in another order, so γ
// may differ between ranges: a diagonal metric, for which all of this holds as well.
//
// What it would take to reach zero is known at the server: (Σ π_k x_k − x)/γ = Σ π_k ∇f̄_k(x_k) + s for an s in ∂h(x).
//
// Sources: K. Mishchenko, F. Iutzeler, J. Malick, M. Amini, "A delay-tolerant proximal-gradient algorithm for
// distributed learning", ICML 2018; for steps by measured curvature Y. Malitsky, K. Mishchenko, "Adaptive gradient
// descent without descent", ICML 2020.
#pragma once

#include <vector>

#include "train/server_rule.h"
#include "train/server_worker_rule.h"

namespace muster {

// One range. Memory: one x of the range for each worker.
class DaveServer final : public ServerRule {
 public:
  // Starts at the model x: all x_k are x, and g_k such that prox(x − γ g_k) = x for every γ.
  DaveServer(const RunFacts& facts, KeyRange range, std::vector<double> x);

  Work apply(const Push& push) override;
  void read(std::span<double> values) const override;
  void read(std::span<const std::uint32_t> keys, std::span<double> values) const override;
  bool wants_pulled() const override { return true; }
  RangeEstimate estimate(std::span<const double> scale) const override;
  std::vector<std::vector<double>> columns() const override { return {x_}; }

 private:
  void follow_curvature(std::size_t worker, double curvature);

  std::vector<double> share_;         // π
  std::vector<double> penalty_, l1_;  // of the range
  double least_curvature_, gamma_;
  std::vector<double> curvature_, corrections_;  // l, v; by worker
  std::vector<double> x_, points_, gradients_;   // points_: Σ π_k x_k, gradients_: Σ π_k g_k
  std::vector<std::vector<double>> point_;       // x_k
  std::vector<bool> heard_;                      // its g_k is a gradient
};

class DaveWorker final : public WorkerRule {
 public:
  // start: the model all servers start at.
  DaveWorker(Objective& objective, const RunFacts& facts, std::span<const double> start);

  bool dense() const override { return true; }
  void step(std::span<const double> pulled, std::span<const double> extras, WorkerStep& out) override;

 private:
  double measure(std::span<const double> pulled, std::span<const double> change) const;

  Objective& objective_;
  double bound_;
  std::vector<double> x_, g_;  // x_k, g_k
  bool stepped_ = false;
  std::vector<double> gradient_, tallies_;
};

}  // namespace muster
