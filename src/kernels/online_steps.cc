#include "kernels/online_steps.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "base/aligned.h"
#include "kernels/scalar_math.h"

namespace muster {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr double kFirstSlowness = 0.5;  // β in units of ρ
// Of values as floats hold their squares' means: larger ones are taken for it, smaller ones do not count for the scale.
constexpr double kLeastValue = 1e-30, kLargestValue = 1e30;
// Entries ahead of the row at hand, whose columns are asked for: they lie anywhere.
constexpr std::size_t kEntriesAhead = 48;

double soft(double value, double threshold) {
  return std::abs(value) <= threshold ? 0 : value - std::copysign(threshold, value);
}

// ũ of ftrl; scale 0: no penalty.
double of_ftrl(double z, double rate, double scale, double weight, const OnlineProblem& problem) {
  if (rate == 0) return 0;
  if (scale == 0) return 0 - z / rate;
  return 0 - soft(z, weight * problem.l1 / scale) / (rate + weight * problem.l2 / (scale * scale));
}

template <class T>
struct SparseEntries {
  static constexpr bool sparse = true;
  const SparseRows<T>& rows;
  std::size_t begin(std::size_t row) const { return rows.row_begin[row]; }
  std::uint32_t column(std::size_t k, std::size_t) const { return rows.columns[k]; }
  double value(std::size_t k) const { return static_cast<double>(rows.values[k]); }
};
template <class T>
struct DenseEntries {
  static constexpr bool sparse = false;
  const DenseRows<T>& rows;
  std::size_t begin(std::size_t row) const { return row * rows.cols; }
  std::uint32_t column(std::size_t k, std::size_t first) const { return static_cast<std::uint32_t>(k - first); }
  double value(std::size_t k) const { return static_cast<double>(rows.values[k]); }
};
template <class T>
SparseEntries<T> entries_of(const SparseRows<T>& rows) {
  return {rows};
}
template <class T>
DenseEntries<T> entries_of(const DenseRows<T>& rows) {
  return {rows};
}

struct Outcome {
  double loss, residual;
};

Outcome outcome(RowFunction function, double margin, double target) {
  if (function == RowFunction::squared) {
    const double r = margin - target;
    return {0.5 * r * r, r};
  }
  const double e = scalar_exp(-std::abs(margin));
  const double wrong = target > 0.5 ? -margin : margin;  // how far on the wrong side
  return {std::max(wrong, 0.0) + scalar_log1p(e), (margin >= 0 ? 1 : e) / (1 + e) - target};
}

// ρ
double unit(RowFunction function, const OnlineTotals& totals) {
  if (function != RowFunction::squared) return 1;
  const double square = totals.target_square / totals.weight;
  return square > 0 ? std::sqrt(square) : 1;
}

}  // namespace

OnlineColumns::OnlineColumns()
    : groups_(std::make_unique<std::atomic<OnlineColumn*>[]>((std::size_t{1} << 32) / kGroup)) {}

OnlineColumns::~OnlineColumns() {
  for (std::size_t g = 0; g < (std::size_t{1} << 32) / kGroup; ++g)
    if (OnlineColumn* group = groups_[g].load(kRelaxed)) free_aligned(group, kGroup * sizeof(OnlineColumn));
}

OnlineColumn* OnlineColumns::make_group(std::uint32_t group) {
  void* memory = allocate_aligned(kGroup * sizeof(OnlineColumn));
  auto* made = static_cast<OnlineColumn*>(memory);
  std::uninitialized_default_construct_n(made, kGroup);
  OnlineColumn* there = nullptr;
  if (groups_[group].compare_exchange_strong(there, made, std::memory_order_acq_rel)) return made;
  free_aligned(memory, kGroup * sizeof(OnlineColumn));  // another thread was first
  return there;
}

void OnlineTotals::add(const OnlineTotals& others, double times) {
  rows += times * others.rows;
  weight += times * others.weight;
  size += times * others.size;
  target_square += times * others.target_square;
  loss += times * others.loss;
}

double OnlineModel::coefficient_of(const OnlineColumn& column, double weight, bool penalised) const {
  const double scale = column.scale.load(kRelaxed), state = column.state.load(kRelaxed);
  if (scale == 0) return 0;
  if (problem.rule == OnlineRule::adagrad) return state / scale;
  return of_ftrl(state, column.rate.load(kRelaxed), penalised ? scale : 0, weight, problem) / scale;
}

// The entry's part of the margin.
template <OnlineRule rule, bool penalised>
double OnlineSteps::add_entry(OnlineColumn& column, double value, bool is_intercept, OnlineTotals& totals) {
  value = std::clamp(value, -kLargestValue, kLargestValue);
  const double size = std::max(std::abs(value), kLeastValue);
  const std::uint32_t seen = column.seen.load(kRelaxed) + 1;
  const double before = column.scale.load(kRelaxed);
  const auto scale = static_cast<float>(std::sqrt(before * before + (size * size - before * before) / seen));
  column.scale.store(scale, kRelaxed);
  column.seen.store(seen, kRelaxed);
  const double x = value / static_cast<double>(scale);
  const double state = column.state.load(kRelaxed);
  const double of_penalty = penalised && !is_intercept ? static_cast<double>(scale) : 0;
  const double u = rule == OnlineRule::adagrad
                       ? state
                       : of_ftrl(state, column.rate.load(kRelaxed), of_penalty, totals.weight, model_.problem);
  entries_.push_back({&column, x, u, of_penalty});
  totals.size += x * x;
  return u * x;
}

template <OnlineRule rule, bool penalised>
void OnlineSteps::learn(double force, const OnlineTotals& totals) {
  const OnlineProblem& problem = model_.problem;
  const double rho = unit(problem.function, totals);
  const double step = rho * std::sqrt(totals.rows / totals.size);  // α
  const double first = kFirstSlowness * rho * (totals.weight / totals.rows);
  const double slowness = 1 / step;
  for (const Entry& entry : entries_) {
    OnlineColumn& column = *entry.column;
    const double g = force * entry.x;
    const double squares = column.squares.load(kRelaxed) + g * g;
    column.squares.store(squares, kRelaxed);
    const double root = first + std::sqrt(squares);
    if constexpr (rule == OnlineRule::adagrad) {
      const double eta = step / root;
      double u = column.state.load(kRelaxed) - eta * g;
      if (penalised && entry.scale > 0) {
        const double c = eta * totals.weight / static_cast<double>(column.seen.load(kRelaxed));
        u = soft(u, c * problem.l1 / entry.scale) / (1 + c * problem.l2 / (entry.scale * entry.scale));
      }
      column.state.store(u, kRelaxed);
    } else {
      const double before = column.rate.load(kRelaxed), rate = std::max(before, root * slowness);
      column.rate.store(rate, kRelaxed);
      column.state.store(column.state.load(kRelaxed) + g - (rate - before) * entry.u, kRelaxed);
    }
  }
}

template <OnlineRule rule, bool penalised, class Rows>
void OnlineSteps::take_by(const Rows& rows, const RowData& data, std::size_t begin, std::size_t end,
                          OnlineTotals& totals) {
  const auto entries = entries_of(rows);
  const std::size_t last = entries.begin(end);
  for (std::size_t i = begin; i < end; ++i) {
    const double weight = data.weights != nullptr ? data.weights[i] : 1;
    if (weight == 0) continue;
    entries_.clear();
    ++totals.rows;
    double margin = data.offsets != nullptr ? data.offsets[i] : 0;
    if (model_.problem.intercept) margin += add_entry<rule, penalised>(model_.intercept, 1, true, totals);
    const std::size_t first = entries.begin(i), behind = entries.begin(i + 1);
    for (std::size_t k = first; k < behind; ++k) {
      if (entries.sparse && k + kEntriesAhead < last)
        __builtin_prefetch(&model_.columns.at(entries.column(k + kEntriesAhead, 0)), 1);
      const double value = entries.value(k);
      if (value == 0) continue;
      margin += add_entry<rule, penalised>(model_.columns.at(entries.column(k, first)), value, false, totals);
    }
    const Outcome met = outcome(model_.problem.function, margin, data.targets[i]);
    totals.weight += weight;
    totals.loss += weight * met.loss;
    if (model_.problem.function == RowFunction::squared)
      totals.target_square += weight * data.targets[i] * data.targets[i];
    if (!entries_.empty()) learn<rule, penalised>(weight * met.residual, totals);
  }
}

template <class Rows>
void OnlineSteps::take(const Rows& rows, const RowData& data, std::size_t begin, std::size_t end,
                       OnlineTotals& totals) {
  const OnlineProblem& problem = model_.problem;
  const bool penalised = problem.l1 > 0 || problem.l2 > 0;
  if (problem.rule == OnlineRule::adagrad) {
    if (penalised) return take_by<OnlineRule::adagrad, true>(rows, data, begin, end, totals);
    return take_by<OnlineRule::adagrad, false>(rows, data, begin, end, totals);
  }
  if (penalised) return take_by<OnlineRule::ftrl, true>(rows, data, begin, end, totals);
  return take_by<OnlineRule::ftrl, false>(rows, data, begin, end, totals);
}

template void OnlineSteps::take(const SparseRows<double>&, const RowData&, std::size_t, std::size_t, OnlineTotals&);
template void OnlineSteps::take(const SparseRows<float>&, const RowData&, std::size_t, std::size_t, OnlineTotals&);
template void OnlineSteps::take(const DenseRows<double>&, const RowData&, std::size_t, std::size_t, OnlineTotals&);
template void OnlineSteps::take(const DenseRows<float>&, const RowData&, std::size_t, std::size_t, OnlineTotals&);

}  // namespace muster
