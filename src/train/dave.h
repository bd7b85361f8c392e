// DAVE: delay-tolerant proximal gradient, exact for every mix of speeds.
//
//     minimise F(x) = Σ_k π_k f̄_k(x) + h(x) ,   π_k = S_k / S,  f̄_k = f_k / S_k,  h(x) = Σ_j ½ p_j x_j² + q_j |x_j|
//
//     worker k   z_k ← x − γ∇f̄_k(x)  at the x it pulled, and pushes Δ, the change of its z_k
//     server     x̄ ← x̄ + π_k Δ  (so that x̄ = Σ_k π_k z_k),   x = prox_{γh}(x̄)
//
// γ ≤ 2/L with L the largest of the L_k makes each z_k's map non-expansive and F's minimiser the one fixed point,
// however old the x's are: no step size depends on delays, and a slow worker slows only its own share. Here γ = 1.9/L,
// where the estimate of L has a margin besides.
//
// What it would take to reach zero is known at the server: with X = Σ π_k x_k over the points that the z_k were
// computed at, (X − x)/γ = Σ π_k ∇f̄_k(x_k) + s for an s in ∂h(x).
//
// Source: K. Mishchenko, F. Iutzeler, J. Malick, M. Amini, "A delay-tolerant proximal-gradient algorithm for
// distributed learning", ICML 2018.
#pragma once

#include <vector>

#include "train/server_rule.h"
#include "train/server_worker_rule.h"

namespace muster {

// γ; where f is linear as far as seen, 1.
double dave_step(const RunFacts& facts);

// One range. Memory: one x of the range for each worker.
class DaveServer final : public ServerRule {
 public:
  // Starts at the model x: x̄ is chosen such that prox(x̄) = x, and every z_k is x̄.
  DaveServer(const RunFacts& facts, KeyRange range, std::vector<double> x);

  Work apply(const Push& push) override;
  void read(std::span<double> values) const override;
  void read(std::span<const std::uint32_t> keys, std::span<double> values) const override;
  bool wants_pulled() const override { return true; }
  RangeEstimate estimate(std::span<const double> scale) const override;
  std::vector<std::vector<double>> columns() const override { return {x_}; }

 private:
  std::vector<double> share_;         // π
  std::vector<double> penalty_, l1_;  // of the range
  double gamma_;
  std::vector<double> x_bar_, x_, points_;  // points_: X
  std::vector<std::vector<double>> point_;  // x_k; empty before worker k's first push
};

class DaveWorker final : public WorkerRule {
 public:
  // start: the model all servers start at.
  DaveWorker(Objective& objective, const RunFacts& facts, std::span<const double> start);

  bool dense() const override { return true; }
  void step(std::span<const double> pulled, double extra, WorkerStep& out) override;

 private:
  Objective& objective_;
  double gamma_;
  std::vector<double> z_, gradient_, tallies_;
};

}  // namespace muster
