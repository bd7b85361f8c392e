#include "kernels/shared_steps.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

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

void make_probabilities(std::vector<double>& margins) {
  const double top = *std::max_element(margins.begin(), margins.end());
  double sum = 0;
  for (double& m : margins) sum += m = scalar_exp(m - top);
  for (double& m : margins) m /= sum;
}

// One row's margins at the model and at the snapshot; then, in the place of the first, the forces. For one output, and
// for any number.
struct OneMargin {
  static constexpr std::size_t outputs = 1;
  double now[1], before[1];

  void become_forces(RowFunction function, double target, double weight) {
    now[0] = weight * (residual(function, now[0], target) - residual(function, before[0], target));
  }
};
struct ClassMargins {
  std::size_t outputs;
  std::vector<double> now, before;

  explicit ClassMargins(std::size_t classes) : outputs(classes), now(classes), before(classes) {}
  // A row's class is taken off both of its probabilities.
  void become_forces(RowFunction, double, double weight) {
    make_probabilities(now);
    make_probabilities(before);
    for (std::size_t k = 0; k < outputs; ++k) now[k] = weight * (now[k] - before[k]);
  }
};

// What a step makes of a value u.
double changed(const SharedCoefficient& coefficient, double u, double force_times_value) {
  double to =
      u - (coefficient.step * force_times_value + coefficient.pull + coefficient.shrink * (u - coefficient.snapshot));
  if (coefficient.threshold > 0) to = std::copysign(std::max(std::abs(to) - coefficient.threshold, 0.0), to);
  return to;
}

// One thread's view of an intercept.
class OwnIntercept {
 public:
  explicit OwnIntercept(SharedCoefficient* shared) : shared_(shared) {
    if (shared) value_ = shared->u.load(kRelaxed);
  }

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
  SharedCoefficient* shared_;
  double value_ = 0, moved_ = 0;
  int steps_ = 0;
};

// margins: scratch.
template <class Row, class Margins>
void take_step(const SharedModel& model, Row row, double target, double offset, double weight,
               std::vector<OwnIntercept>& intercepts, Margins& margins) {
  const std::size_t outputs = margins.outputs;
  for (std::size_t k = 0; k < outputs; ++k) {
    margins.now[k] = intercepts[k].value() + offset;
    margins.before[k] = intercepts[k].snapshot() + offset;
  }
  for (std::size_t e = 0; e < row.count; ++e) {
    const SharedCoefficient* column = model.coefficients.data() + row.column(e) * outputs;
    const double x = row.value(e) - column->centre;
    for (std::size_t k = 0; k < outputs; ++k) {
      margins.now[k] += column[k].u.load(kRelaxed) * x;
      margins.before[k] += column[k].snapshot * x;
    }
  }
  margins.become_forces(model.function, target, weight);
  for (std::size_t e = 0; e < row.count; ++e) {
    SharedCoefficient* column = model.coefficients.data() + row.column(e) * outputs;
    const double x = row.value(e) - column->centre;
    for (std::size_t k = 0; k < outputs; ++k) {
      const double u = column[k].u.load(kRelaxed);
      const double change = changed(column[k], u, margins.now[k] * x) - u;
      if (change != 0) column[k].u.fetch_add(change, kRelaxed);
    }
  }
  for (std::size_t k = 0; k < outputs; ++k) intercepts[k].step(margins.now[k]);
}

template <class Rows, class Margins>
void take_steps(const SharedModel& model, Rows rows, RowData data, const double* weights,
                std::span<const std::uint32_t> order, Margins margins) {
  std::vector<OwnIntercept> intercepts;
  for (std::size_t k = 0; k < model.outputs; ++k)
    intercepts.emplace_back(model.intercepts.empty() ? nullptr : &model.intercepts[k]);
  for (std::size_t step = 0; step < order.size(); ++step) {
    fetch_ahead(rows, data, order, step);
    const std::size_t i = order[step];
    take_step(model, row_of(rows, i), data.targets[i], data.offsets ? data.offsets[i] : 0.0, weights[i], intercepts,
              margins);
  }
  for (OwnIntercept& intercept : intercepts) intercept.exchange();
}

}  // namespace

template <class Rows>
void take_shared_steps(const SharedModel& model, Rows rows, RowData data, const double* weights,
                       std::span<const std::uint32_t> order) {
  if (model.outputs == 1) return take_steps(model, rows, data, weights, order, OneMargin{});
  data.offsets = nullptr;
  take_steps(model, rows, data, weights, order, ClassMargins(model.outputs));
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
