// The update rules of the decentralized network as one node sees them. Node k of m holds f_k, the sum over its rows,
// and
//
//     φ_k(w) = (m/S) f_k(w) + ½ Σ_j p_j w_j²        g_k = ∇φ_k(w_k)        (1/m) Σ_k φ_k = F without its l1 part
//
// so an unequal shard counts by its weight and the mean of all g_k at one point is F's gradient. W: the mixing matrix,
// α the step, prox the soft threshold at α q. A round is: the gradient at the own copy; say; the neighbours' messages
// are averaged, Σ_j W_kj message_j; hear.
//
// dgd: the four steps in the order gradient, pull, average, step.
//     w_k ← prox(Σ_j W_kj w_j − α g_k)
//   A. Nedić, A. Ozdaglar, "Distributed subgradient methods for multi-agent optimization", IEEE TAC 54 (2009).
//   Where symmetric it minimises Σ φ_k(w_k) + (1/2α) Σ wᵀ(I − W)w, not F: at its fixed point Σ g_k(w_k) = 0 but the
//   copies stay |αg|/(1 − |λ₂|) apart at most (g: all g_k as one vector), and their mean is wrong by the order of α. On
//   the complete graph it is not gradient descent either: g_k is taken at the node's own copy, before averaging, and
//   steps from the average, so the copies differ by α(g_i − g_j) after every round, for ever.
//
// nids: exact, for any α < 2/L, L the largest of the φ_k's; symmetric doubly stochastic W only.
//     w¹ = w⁰ − αg⁰,   wᵗ⁺¹ = W̃(2wᵗ − wᵗ⁻¹ − α(gᵗ − gᵗ⁻¹)),   W̃ = (I + W)/2
//   computed with the dual vectors d_k, Σ d_k = 0, whose limit is −g_k (z = w without l1):
//     v = 2w − z − α(g + d),   d ← d + (v − Wv)/(2α),   z ← v − (w − z) − ½(v − Wv),   w ← prox(z)
//   Z. Li, W. Shi, M. Yan, "A decentralized proximal-gradient method with network independent step-sizes and separated
//   convergence rates", IEEE TSP 67 (2019). With Wv replaced by v + γ(W − I)v̂ for compressed copies v̂ it is LEAD:
//   X. Liu, Y. Li, R. Wang, J. Tang, M. Yan, "Linear convergent decentralized optimization with compression", ICLR
//   2021. H local steps w ← w − α(g + d) before v, the dual step divided by H: K. Mishchenko, G. Malinovsky, S. Stich,
//   P. Richtárik, "ProxSkip", ICML 2022, with every H-th step instead of a coin of chance 1/H. Theirs is also the
//   price: rounds are about max(κ/H, 2H/(1 − |λ₂|)) for each factor e of the error, so local steps save rounds up to H
//   = √(κ(1 − |λ₂|)/2), κ the condition of F, and cost some beyond.
//
// tracking: exact for α small enough; any sequence of connected doubly stochastic graphs, or, with the weights v (v⁰ =
// 1, u = v∘w) of push-sum, column stochastic ones. c_k, Σ c_k = 0, corrects the own gradient: y = g + c tracks the
// mean.
//     u ← W (v∘prox((u − αy)/v)),   c ← c − y + Wy,   v ← Wv,   w = u/v
//   A. Nedić, A. Olshevsky, W. Shi, "Achieving geometric convergence for distributed optimization over time-varying
//   graphs", SIAM J. Optim. 27 (2017) (DIGing, Push-DIGing); G. Qu, N. Li, IEEE TCNS 5 (2018); with prox: G. Scutari,
//   Y. Sun, Math. Program. 176 (2019). H local steps with c fixed, y their mean: Y. Liu, T. Lin, A. Koloskova,
//   S. Stich, "Decentralized gradient tracking with local steps", Optim. Methods Softw. (2024) (K-GT); they save as
//   with nids.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "train/decentralized.h"

namespace muster {

struct RuleOptions {
  NetworkSolver solver = NetworkSolver::nids;
  double step = 1;               // α
  std::int64_t local_steps = 1;  // H; 1 for dgd and push_sum, and with l1
  std::vector<double> l1;        // q, or empty
  // Writes g_k at w: for the local steps beyond the first. May be empty where there are none.
  std::function<void(std::span<const double> w, std::span<double> gradient)> gradient;
};

// Threads: one call at a time.
class Rule {
 public:
  virtual ~Rule() = default;
  virtual std::size_t message_size() const = 0;  // a multiple of the dimension; push-sum: one more, the weight, last
  // gradient: g_k at w(). Writes what the neighbours get; its first dimension() numbers are a copy of the model (times
  // the weight, for push-sum).
  virtual void say(std::span<const double> gradient, std::span<double> message) = 0;
  virtual void hear(std::span<const double> message, std::span<const double> mixed) = 0;

  const std::vector<double>& w() const { return w_; }
  // An estimate of ∇F at w(), whose mean over the nodes is that of the g_k. Not of dgd: there it is what moves w.
  const std::vector<double>& direction() const { return direction_; }
  double step() const { return options_.step; }
  void set_step(double step) { options_.step = step; }

 protected:
  Rule(std::vector<double> start, RuleOptions options);
  void soften(std::span<double> w) const;  // prox
  std::vector<double> w_, direction_;
  RuleOptions options_;
};

std::unique_ptr<Rule> make_rule(std::vector<double> start, RuleOptions options);

}  // namespace muster
