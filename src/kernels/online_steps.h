// Steps of online learning: a row is predicted, then learned from, and not seen again. Nothing is known of it
// beforehand: neither how many columns there are, nor how large their values, nor how long steps should be.
//
//     minimise F(w) = (1/S) Σ_i s_i loss(x_i·w + b, y_i) + ½ p |w|² + q |w|₁
//
// Columns come to one scale as they go: after n_j rows that have column j, scale_j² is the mean of their x_ij², and
// x̃_ij = x_ij / scale_j, ũ_j = w_j scale_j. A row's residual r gives g_j = s_i r x̃_ij, and steps are adaptive:
//
//     α   = ρ √(n / Σ_i |x̃_i|²)     n rows so far: the more entries rows have, the less each should move
//     G_j ← G_j + g_j²
//
//     adagrad   ũ_j ← S( ũ_j − η g_j, ηc q/scale_j ) / (1 + ηc p/scale_j²),   η = α/(β + √G_j),  c = S_n/n_j
//     ftrl      z_j ← z_j + g_j − (κ' − κ_j) ũ_j,   κ_j ← κ' = max(κ_j, (β + √G_j)/α),
//               ũ_j  = −S( z_j, S_n q/scale_j ) / (κ_j + S_n p/scale_j²)
//
// with S the soft threshold and S_n = Σ s_i so far. ρ is what a margin is measured in: 1 for logistic loss, the root
// mean square of the targets for squared loss; β = ½ρ times the mean weight. The intercept is a column of ones that no
// penalty touches. A penalty acts on a column when a row has it, for the rows before that had not.
//
// Several threads may take steps on one model without locks (Hogwild): every number is loaded and stored by itself,
// relaxed. Where two threads meet in a column at the same instant, what one of them adds may be lost; where rows are
// sparse they seldom do. One thread alone gives the same model every time.
//
// Sources: J. Duchi, E. Hazan, Y. Singer, JMLR 12 (2011) (AdaGrad); H. B. McMahan et al., "Ad click prediction: a view
// from the trenches", KDD 2013 (FTRL-Proximal by coordinate); S. Ross, P. Mineiro, J. Langford, "Normalized online
// learning", UAI 2013 (scales found on the way, and the factor √(n/N) of their NAG; theirs are the largest values,
// which one outlier spoils); F. Niu, B. Recht, C. Ré, S. Wright, "Hogwild!", NIPS 2011.
//
// Plain C++ for every instruction set, as kernels/sparse_rows.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/kernel_table.h"

namespace muster {

enum class OnlineRule { adagrad, ftrl };

// All that a step asks of a column: two of them share a cache line.
struct alignas(32) OnlineColumn {
  std::atomic<double> state = 0;    // adagrad: ũ; ftrl: z
  std::atomic<double> squares = 0;  // G
  std::atomic<double> rate = 0;     // ftrl: κ
  std::atomic<float> scale = 0;
  std::atomic<std::uint32_t> seen = 0;  // n_j
};

// The columns seen so far, found by number. It grows by itself. Threads: any number at a time.
class OnlineColumns {
 public:
  OnlineColumns();
  ~OnlineColumns();
  OnlineColumns(const OnlineColumns&) = delete;
  OnlineColumns& operator=(const OnlineColumns&) = delete;

  // Makes room for it where there is none. Throws std::bad_alloc.
  OnlineColumn& at(std::uint32_t column) {
    OnlineColumn* group = groups_[column / kGroup].load(std::memory_order_acquire);
    if (group == nullptr) group = make_group(column / kGroup);
    return group[column % kGroup];
  }
  // Null: no row had it, nor one near it.
  const OnlineColumn* find(std::uint32_t column) const {
    const OnlineColumn* group = groups_[column / kGroup].load(std::memory_order_acquire);
    return group == nullptr ? nullptr : group + column % kGroup;
  }

 private:
  static constexpr std::uint32_t kGroup = 1U << 16;  // of 2 MB: a large page
  OnlineColumn* make_group(std::uint32_t group);

  std::unique_ptr<std::atomic<OnlineColumn*>[]> groups_;  // for every number of 32 bits
};

struct OnlineProblem {
  OnlineRule rule = OnlineRule::adagrad;
  RowFunction function = RowFunction::logistic;  // or squared
  bool intercept = true;
  double l2 = 0, l1 = 0;  // p, q
};

// What all rows so far come to.
struct OnlineTotals {
  double rows = 0;           // n, of weight above 0
  double weight = 0;         // S_n
  double size = 0;           // Σ |x̃_i|²
  double target_square = 0;  // Σ s_i y_i²
  double loss = 0;           // Σ s_i loss_i, each before the step of its row

  // Adds `times` what others come to.
  void add(const OnlineTotals& others, double times = 1);
};

struct OnlineModel {
  OnlineProblem problem;
  OnlineColumns columns;
  alignas(64) OnlineColumn intercept;

  double intercept_at(double weight) const { return coefficient_of(intercept, weight, false); }
  // w_j, after rows of this weight in all.
  double coefficient(std::uint32_t column, double weight) const {
    const OnlineColumn* found = columns.find(column);
    return found == nullptr ? 0 : coefficient_of(*found, weight, true);
  }

 private:
  double coefficient_of(const OnlineColumn& column, double weight, bool penalised) const;
};

// Rows one after another. Of one thread; several may work on one model.
class OnlineSteps {
 public:
  explicit OnlineSteps(OnlineModel& model) : model_(model) {}

  // Rows [begin, end). Targets: 0 and 1 for logistic loss. totals: of all rows so far, brought up to date.
  template <class Rows>
  void take(const Rows& rows, const RowData& data, std::size_t begin, std::size_t end, OnlineTotals& totals);

 private:
  struct Entry {
    OnlineColumn* column;
    double x, u;   // x̃, ũ
    double scale;  // penalised: 0 for the intercept
  };
  template <OnlineRule rule, bool penalised, class Rows>
  void take_by(const Rows& rows, const RowData& data, std::size_t begin, std::size_t end, OnlineTotals& totals);
  template <OnlineRule rule, bool penalised>
  double add_entry(OnlineColumn& column, double value, bool is_intercept, OnlineTotals& totals);
  template <OnlineRule rule, bool penalised>
  void learn(double force, const OnlineTotals& totals);

  OnlineModel& model_;
  std::vector<Entry> entries_;  // of the row at hand
};

extern template void OnlineSteps::take(const SparseRows<double>&, const RowData&, std::size_t, std::size_t,
                                       OnlineTotals&);
extern template void OnlineSteps::take(const SparseRows<float>&, const RowData&, std::size_t, std::size_t,
                                       OnlineTotals&);
extern template void OnlineSteps::take(const DenseRows<double>&, const RowData&, std::size_t, std::size_t,
                                       OnlineTotals&);
extern template void OnlineSteps::take(const DenseRows<float>&, const RowData&, std::size_t, std::size_t,
                                       OnlineTotals&);

}  // namespace muster
