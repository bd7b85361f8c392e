// Stochastic gradient descent by batches of rows, each push applied on arrival.
//
//     worker k   pushes g = m (M_k/S) Σ_{i in batch} s_i ∇loss_i(v), M_k being its number of batches; R is its entry
//     for
//                the intercept that key j is centred by (RowFacts::sums)
//     server     v_j ← prox( v_j − α_t D_j (g_j − k_j R) )
//
// With all workers equally fast the expectation of g is ∇f, however rows are spread. It settles around the minimiser of
// Σ_k rate_k f_k, at a distance that shrinks with the step; `decay` (α/(1 + epochs)) lets it arrive.
//
// Keys. A push has only the keys its rows touch, and costs the server as many operations: what it should do to all keys
// is done when they are touched or read. Centring (k_j = centre_j/scale_j): with A = Σ α_t R_t, a key last touched at
// A' has v_j = q_j + D_j k_j (A − A'). Penalties: where a key is touched, 1/P_j times theirs, P_j being its chance to
// be, in the proximal form v ← soft(v, cq)/(1 + cp), c = α_t D_j/P_j, which no step makes unstable.
//
// Step: α_t = 1/(2(𝓛 + Lτ)), 𝓛 the expected smoothness of a push (sgd_facts.h), L that of F, τ the largest staleness of
// late. τ = 0 is Gower et al.'s; for batches of all rows αL(2τ + 1) is at most about 1, a third of what delayed descent
// bears. Bulk synchronous, each of a clock's m pushes counts as m − 1 late: all were computed at one w. Damping: a push
// τ late counts (1 + m − 1)/(1 + τ) of the step for the expected staleness, m − 1, and never more than the step for its
// own; one slow worker then shortens its own steps and not all. It also makes the slow count less. AdaGrad: D_j = 1/(1
// + α_0 √(Σ g_j²)/r), r the size of a coefficient: after many touches, α D_j → (α/α_0) r/√(Σ g_j²).
//
// Sources: L. Bottou, F. Curtis, J. Nocedal, "Optimization methods for large-scale machine learning", SIAM Review 60
// (2018); R. M. Gower et al., ICML 2019 (step); J. Duchi, E. Hazan, Y. Singer, JMLR 12 (2011) (AdaGrad); W. Zhang, S.
// Gupta, X. Lian, J. Liu, "Staleness-aware async-SGD for distributed deep learning", IJCAI 2016 (damping).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "train/server_rule.h"
#include "train/server_worker_rule.h"
#include "train/sgd_facts.h"

namespace muster {

struct SgdOptions {
  double step = 0;  // α_t before decay and damping; 0: as above
  bool adagrad = false, decay = false, staleness_damping = false;
  double radius = 1;  // r
};

// The largest staleness among the pushes of this epoch and the last one.
class RecentStaleness {
 public:
  RecentStaleness(std::int64_t expected, double epoch_pushes) : largest_(expected), window_(epoch_pushes) {}
  std::int64_t see(std::int64_t staleness);

 private:
  std::int64_t largest_, current_ = 0;
  double window_, seen_ = 0;
};

class SgdServer final : public ServerRule {
 public:
  // columns: the model of the range, or what columns() gave.
  SgdServer(const RunFacts& facts, const RowFacts& rows, KeyRange range, std::vector<std::vector<double>> columns,
            const SgdOptions& options);

  Work apply(const Push& push) override;
  void read(std::span<double> values) const override;
  void read(std::span<const std::uint32_t> keys, std::span<double> values) const override;
  std::vector<double> extras() const override;
  RangeEstimate estimate(std::span<const double> scale) const override;
  // The model, Σ g_j², and the epochs done.
  std::vector<std::vector<double>> columns() const override;

 private:
  struct Key {
    double q, seen = 0;   // v = q + rate·centre·(A − seen)
    double rate = 1;      // D
    double squares = 0;   // Σ g²
    double centre;        // k
    double penalty, l1;   // p, q
    double rarity;        // 1/P
    double window = 0;    // Σ g since the window began
    double gradient = 0;  // of F without its last sum, by the last whole window
  };
  // Of the keys that one intercept centres.
  struct Centring {
    double drift = 0;                    // A
    double drift_after = 0;              // with the push being applied
    double residual = 0;                 // R of that push
    double base_sum = 0, drift_sum = 0;  // Σ k (q − D k seen), Σ D k²
    double window_residual = 0;
  };
  std::size_t output_of(std::size_t place) const { return sums_ > 1 ? (first_key_ + place) % sums_ : 0; }
  double value(std::size_t place) const {
    const Key& key = keys_[place];
    return key.q + key.rate * key.centre * (centring_[output_of(place)].drift - key.seen);
  }
  double step_for(std::int64_t staleness);
  void update(std::size_t place, double g, double step);
  void end_of_push();
  void settle();

  SgdOptions options_;
  std::vector<Key> keys_;
  std::size_t first_key_, sums_;
  std::vector<Centring> centring_;  // one at least
  double weight_, lipschitz_, smoothness_, epoch_pushes_, expected_staleness_;
  double epochs_ = 0;
  std::size_t touched_ = 0;  // keys, since the sums were made anew
  RecentStaleness recent_;
  double in_window_ = 0;
  bool known_ = false;
  mutable std::optional<RangeEstimate> estimate_;  // of the last whole window
};

// Takes its batches in a new random order each epoch, or as they come where the objective wants that; they stay as
// dealt, so that their key lists travel once.
class BatchWorker final : public WorkerRule {
 public:
  BatchWorker(RowObjective& objective, const RunFacts& facts, std::shared_ptr<const RowFacts> rows, std::size_t place,
              std::uint64_t seed);

  bool dense() const override { return !rows_->keyed; }
  std::span<const std::uint32_t> next_keys() override;
  void step(std::span<const double> pulled, std::span<const double> extras, WorkerStep& out) override;

 private:
  void choose();

  RowObjective& objective_;
  std::shared_ptr<const RowFacts> rows_;
  double factor_;  // m M_k/S
  std::uint32_t place_;
  std::uint64_t seed_, drawn_ = 0;
  std::vector<std::size_t> order_;  // of the batches; those from next_ on are still to come in this epoch
  std::size_t next_ = 0, batch_ = 0;
  std::vector<double> at_;
};

}  // namespace muster
