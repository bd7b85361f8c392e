// MapReduce: synchronous data-parallel training, of any objective that is a sum over rows.
//
//     minimise F(w) = (1/S) Σ_k f_k(w) + ½ Σ_j p_j w_j² + Σ_j q_j |w_j| ,
//     f_k: the sum over worker k's rows,  S = Σ_k S_k
//
// The textbook round is: the server broadcasts w; each worker maps its rows to (f_k, ∇f_k); reduce adds them at the
// server; the server updates w. Here every rank keeps w and applies the server's rule itself, to the same sums: an
// allreduce is the reduce and the next round's broadcast in one, and since the rule is deterministic and its input
// equal bit for bit on all ranks, so is w. One round is one barrier: the slowest worker decides.
//
// Where ranks hold column blocks (train/grid.h), w, ∇F, p and q are the blocks of this rank, f_k is that of the rows of
// its row block at the whole of w, and what is a sum over coordinates is added over the column blocks.
//
// Nothing here knows what the objective is: rules come from src/solver, stopping criteria from the caller.
//
// Source: J. Dean, S. Ghemawat, OSDI 2004; C.-T. Chu et al., "Map-reduce for machine learning on multicore", NIPS 2006.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/cancellation.h"
#include "cluster/endpoint.h"
#include "muster/objective.h"
#include "muster/options.h"
#include "muster/report.h"
#include "solver/problem.h"
#include "train/grid.h"

namespace muster {

// What a stopping criterion may look at after a round; equal on every rank.
struct RoundState {
  std::int64_t round = 0;
  std::span<const double> w, gradient;  // of F without its last sum
  double value = 0;                     // F(w)
  double gradient_norm = 0;             // of the minimum-norm subgradient
  std::span<const double> tallies;      // summed over workers, not divided
};

struct MapReduceOptions {
  ReducePattern reduce = ReducePattern::automatic;  // of the sums over rows
  std::vector<double> penalty;                      // p, length dimension()
  std::vector<double> l1 = {};                      // q, length dimension(), or empty: none
  bool looks_along = true;                          // false: not along lines, whatever the objective can do
  const CancellationToken* cancellation = nullptr;  // any rank's stops all after the same round; may be null
  double max_seconds =
      std::numeric_limits<double>::infinity();  // since the trainer was made, by the clock of the lowest rank
  std::function<Problem::Verdict(const RoundState&)> judge = {};             // the stopping criterion; may be empty
  std::function<void(const RoundReport&, const RoundState&)> on_round = {};  // on every rank; observes; may be empty
};

struct SentPerRound {
  double bytes = 0, messages = 0;
};

// The element of least norm of ∂F(w): g_j + q_j sign(w_j), or where w_j = 0, g_j moved towards 0 by at most q_j.
// gradient is that of F without its last sum; l1: q, or empty.
std::vector<double> minimum_norm_subgradient(std::span<const double> w, std::span<const double> gradient,
                                             std::span<const double> l1);

// The objective of all workers, as batch solvers see it. Collective: every rank makes one and runs the same solver on
// it. Throws what the endpoint throws. Threads: as its endpoint.
class MapReduce final : public Problem {
 public:
  // first_coordinate: the number in the whole of w of the first coordinate held.
  MapReduce(Objective& objective, Grid grid, MapReduceOptions options, std::size_t first_coordinate = 0);

  std::size_t dimension() const override { return objective_.dimension(); }
  double value_and_gradient(std::span<const double> w, std::span<double> gradient) override;
  void curvature_product(std::span<const double> v, std::span<double> product) override;
  void hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) override;
  bool begin_line(std::span<const double> a, std::span<const double> b) override;
  OnLine on_line(double t) override;
  bool looks_along() const override { return options_.looks_along && objective_.looks_along(); }
  void look_along(std::span<const double> a, std::span<const double> b) override;
  double value_and_gradient_on_line(double t, std::span<const double> w, std::span<double> gradient) override;
  Verdict after_round(std::int64_t round, std::span<const double> w, double value,
                      std::span<const double> gradient) override;
  bool stop_requested() const override { return cancelled_ || out_of_time_; }
  // Where a solver begins at w, the point evaluated last: that evaluation is given again, without a pass, if it is the
  // first thing asked for. Every rank.
  void begins_at(std::vector<double> w) { known_ = std::move(w); }
  void sum_over_blocks(std::span<double> partial_sums) override { grid_.sum_over_columns(partial_sums); }
  std::size_t first_coordinate() const override { return first_coordinate_; }

  double weight() const { return weight_; }  // S
  std::span<const double> tallies() const { return tallies_; }
  const std::vector<RoundReport>& rounds() const { return rounds_; }  // thinned to at most about 1,000
  double compute_seconds() const { return compute_seconds_; }         // in this rank's map steps
  std::int64_t passes() const { return passes_; }                     // over the rows: evaluations and products
  // What this rank sent for one evaluation of F and its gradient, decisions on it included, on average.
  SentPerRound sent_per_round() const;

 private:
  template <class Compute>
  void map(const Compute& compute);
  void reduce(std::span<double> sums);
  // Computes this rank's sums at w by compute(sums of f, ∇f and tallies), and returns F.
  template <class Compute>
  double evaluate(const Compute& compute, std::span<const double> w, std::span<double> gradient);
  // F and ∇F by the sums of all ranks.
  double finish(std::span<const double> w, std::span<double> gradient);
  void find_penalty_on_line(std::span<const double> a, std::span<const double> b);
  void ask_for_stops(std::span<double> flags);  // by this rank: [cancelled, out of time]
  template <class Compute>
  void product_of(const Compute& compute, std::span<const double> v, std::span<double> product);

  Objective& objective_;
  Grid grid_;
  MapReduceOptions options_;
  std::size_t first_coordinate_;
  Time start_ = 0;
  double weight_ = 0;
  std::vector<double> sums_;                  // [value, gradient…, tallies…, cancelled, out of time]
  std::optional<std::vector<double>> known_;  // the point they are of
  std::vector<double> tallies_;
  std::array<double, 3> penalty_on_line_{};  // Σ p a², Σ p a(b − a), Σ p (b − a)²
  bool cancelled_ = false, out_of_time_ = false;
  std::vector<RoundReport> rounds_;
  std::int64_t keep_every_ = 1;
  double compute_seconds_ = 0;
  Traffic uncounted_;  // before the first evaluation, and in products
  std::int64_t evaluations_ = 0, passes_ = 0;
};

}  // namespace muster
