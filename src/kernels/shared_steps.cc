#include "kernels/shared_steps.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels/scalar_math.h"

namespace muster {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// A row's entries, whatever the storage.
template <class T>
struct SparseRow {
  const std::uint32_t* columns;
  const T* values;
  std::size_t count;
  std::size_t column(std::size_t k) const { return columns[k]; }
  double value(std::size_t k) const { return static_cast<double>(values[k]); }
};
template <class T>
struct DenseRow {
  const T* values;
  std::size_t count;
  std::size_t column(std::size_t k) const { return k; }
  double value(std::size_t k) const { return static_cast<double>(values[k]); }
};

template <class T>
SparseRow<T> row_of(SparseRows<T> rows, std::size_t i) {
  const std::size_t begin = rows.row_begin[i];
  return {rows.columns + begin, rows.values + begin, rows.row_begin[i + 1] - begin};
}
template <class T>
DenseRow<T> row_of(DenseRows<T> rows, std::size_t i) {
  return {rows.values + i * rows.cols, rows.cols};
}

// Rows are taken in random order, which processors do not foresee: they are asked for some steps ahead.
constexpr std::size_t kBeginsAhead = 12, kEntriesAhead = 6;

template <class T>
void fetch_ahead(SparseRows<T> rows, RowData data, std::span<const std::uint32_t> order, std::size_t step) {
  if (step + kBeginsAhead < order.size()) __builtin_prefetch(rows.row_begin + order[step + kBeginsAhead]);
  if (step + kEntriesAhead >= order.size()) return;
  const std::size_t i = order[step + kEntriesAhead];
  const SparseRow<T> row = row_of(rows, i);
  constexpr std::size_t kLine = 64;
  for (std::size_t k = 0; k < row.count; k += kLine / sizeof(*row.columns)) __builtin_prefetch(row.columns + k);
  for (std::size_t k = 0; k < row.count; k += kLine / sizeof(T)) __builtin_prefetch(row.values + k);
  __builtin_prefetch(data.targets + i);
}
template <class T>
void fetch_ahead(DenseRows<T>, RowData, std::span<const std::uint32_t>, std::size_t) {}

double residual(RowFunction function, double margin, double target) {
  if (function == RowFunction::squared) return margin - target;
  const double e = scalar_exp(-std::abs(margin));
  return (margin >= 0 ? 1 : e) / (1 + e) - target;
}

// What a step makes of a value u.
double changed(const SharedColumn& column, double u, double force_times_value) {
  double to = u - (column.step * force_times_value + column.pull + column.shrink * (u - column.snapshot));
  if (column.threshold > 0) to = std::copysign(std::max(std::abs(to) - column.threshold, 0.0), to);
  return to;
}

// One thread's view of the intercept.
class OwnIntercept {
 public:
  explicit OwnIntercept(SharedColumn* shared) : shared_(shared) {
    if (shared) value_ = shared->u.load(kRelaxed);
  }
  OwnIntercept(const OwnIntercept&) = delete;
  OwnIntercept& operator=(const OwnIntercept&) = delete;

  double value() const { return value_; }
  double snapshot() const { return shared_ ? shared_->snapshot : 0; }
  void step(double force) {
    if (!shared_) return;
    const double to = changed(*shared_, value_, force);
    moved_ += to - value_;
    value_ = to;
    if (++steps_ == kStepsPerExchange) exchange();
  }
  void exchange() {
    if (shared_ && moved_ != 0) shared_->u.fetch_add(moved_, kRelaxed);
    if (shared_) value_ = shared_->u.load(kRelaxed);
    moved_ = 0;
    steps_ = 0;
  }

 private:
  SharedColumn* shared_;
  double value_ = 0, moved_ = 0;
  int steps_ = 0;
};

template <class Row>
void take_step(const SharedModel& model, Row row, double target, double offset, double weight,
               OwnIntercept& intercept) {
  double margin = intercept.value() + offset, margin_before = intercept.snapshot() + offset;
  for (std::size_t k = 0; k < row.count; ++k) {
    const SharedColumn& column = model.columns[row.column(k)];
    const double x = row.value(k) - column.centre;
    margin += column.u.load(kRelaxed) * x;
    margin_before += column.snapshot * x;
  }
  const double force =
      weight * (residual(model.function, margin, target) - residual(model.function, margin_before, target));
  for (std::size_t k = 0; k < row.count; ++k) {
    SharedColumn& column = model.columns[row.column(k)];
    const double u = column.u.load(kRelaxed);
    const double change = changed(column, u, force * (row.value(k) - column.centre)) - u;
    if (change != 0) column.u.fetch_add(change, kRelaxed);
  }
  intercept.step(force);
}

}  // namespace

template <class Rows>
void take_shared_steps(const SharedModel& model, Rows rows, RowData data, const double* weights,
                       std::span<const std::uint32_t> order) {
  OwnIntercept intercept(model.intercept);
  for (std::size_t step = 0; step < order.size(); ++step) {
    fetch_ahead(rows, data, order, step);
    const std::size_t i = order[step];
    take_step(model, row_of(rows, i), data.targets[i], data.offsets ? data.offsets[i] : 0.0, weights[i], intercept);
  }
  intercept.exchange();
}

template void take_shared_steps(const SharedModel&, SparseRows<double>, RowData, const double*,
                                std::span<const std::uint32_t>);
template void take_shared_steps(const SharedModel&, SparseRows<float>, RowData, const double*,
                                std::span<const std::uint32_t>);
template void take_shared_steps(const SharedModel&, DenseRows<double>, RowData, const double*,
                                std::span<const std::uint32_t>);
template void take_shared_steps(const SharedModel&, DenseRows<float>, RowData, const double*,
                                std::span<const std::uint32_t>);

}  // namespace muster
