// pairwise: the update rule of the network without rounds, as one node sees it. Node k holds φ_k (decentralized_rules.h
// has the symbols) and keeps its copy w_k and a dual vector d_k, 0 at first. It takes steps at its own pace,
//
//     w_k ← prox(w_k − α(g_k + d_k))                               prox: the soft threshold at α q
//
// and now and then two neighbours, i and j, average their copies in one atomic exchange:
//
//     δ = ½(w_i − w_j)      w_i ← w_i − δ      w_j ← w_j + δ       both are the average
//     c = η/(αh)            d_i ← d_i + cδ     d_j ← d_j − cδ      h: the steps since its last exchange, of the node
//                                                                  that has taken more of them; at least 1
//
// Every exchange keeps Σ w_k and Σ d_k = 0 (what one gets the other gives), so y_k = g_k + d_k tracks the gradient, Σ
// y_k = Σ g_k, always. Where nothing moves any more, all copies are equal and −(g_k + d_k) is a subgradient of the l1
// part at them; the sum over k is the optimality of F. How often a node steps or meets whom is in none of this: speeds
// change the way, and never the end. (Plain steps w ← w − αg with averaging end at the minimiser of Σ rate_k φ_k.)
//
// It is nids (decentralized_rules.h) with the mixing matrices of pairs, W = I − ½(e_i − e_j)(e_i − e_j)ᵀ, and local
// steps: δ is what the two have drifted apart in h steps, so with η = ½ cδ moves each y half of the way to their
// average. Hence α = 1/L does on any graph, where tracking by averaging y needs shorter steps on graphs with a small
// gap.
//
// What is proved is the end, above, not that this form gets there. The sources below prove convergence of neighbouring
// forms: of averaging by random pairs alone (Boyd et al.); of local steps with a dual step at random mixing where all
// nodes step by one clock (Condat, Richtárik; linear, for strongly convex φ); of a primal-dual rule whose nodes wake up
// at random, with delays, where steps follow from how often each wakes (Wu et al.). We know of no statement for nodes
// whose speeds differ, whose exchanges follow their speeds, and whose c follows h, as here. That it converges then is
// measured: by pairwise_test.cc on rings, tori, stars, lines, complete, regular and hypercube graphs, with nodes ten
// times slower than others. What η may be depends on who meets whom how often, and not on α; ½ held but on stars of
// very unequal nodes, where the stage's guard (decentralized_stop.h) halves it.
//
//   S. Boyd, A. Ghosh, B. Prabhakar, D. Shah, "Randomized gossip algorithms", IEEE Trans. Inf. Theory 52 (2006)
//   (averaging of pairs); Z. Li, W. Shi, M. Yan, IEEE TSP 67 (2019) (nids); L. Condat, P. Richtárik, "RandProx:
//   primal-dual optimization algorithms with randomized proximal updates", ICLR 2023 (the dual step for mixing that is
//   random and rare, proved for one clock); T. Wu, K. Yuan, Q. Ling, W. Yin, A. Sayed, "Decentralized consensus
//   optimization with asynchrony and delays", IEEE TSIPN 4 (2018) (nodes with clocks of their own).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace muster {

class PairwiseRule {
 public:
  // step: α. dual_step: η. l1: q, or empty.
  PairwiseRule(std::vector<double> start, double step, double dual_step, std::vector<double> l1);

  const std::vector<double>& w() const { return w_; }
  const std::vector<double>& dual() const { return dual_; }

  // gradient: g_k at w().
  void step(std::span<const double> gradient);

  enum class Role { asked, asks };  // j, i
  // difference: δ, or any vector in its place, the same on both sides. steps: h of the two.
  void exchange(std::span<const double> difference, Role role, std::int64_t steps);

 private:
  double step_, dual_step_;
  std::vector<double> w_, dual_, l1_;
};

}  // namespace muster
