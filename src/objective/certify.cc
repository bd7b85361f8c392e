// f's data part and its gradient at a given model, for certificates: what limits the answer is the model, not the sums.
#include "base/check.h"
#include "kernels/sparse_rows.h"
#include "objective/expand_row.h"
#include "objective/linear_rows.h"
#include "objective/row_blocks.h"

namespace muster {
namespace {

// Operations of the pass for each stored value: a product and a sum for the margin, and again for the gradient.
constexpr double kFlopsPerValue = 70;

struct RowLoss {
  DoubleDouble value, derivative;
};

RowLoss loss_of(const KernelTable& table, Loss loss, DoubleDouble margin, double target) {
  if (loss == Loss::squared) {
    const DoubleDouble residual = margin - DoubleDouble(target);
    return {0.5 * (residual * residual), residual};
  }
  const double rounded = static_cast<double>(margin);
  double derivative = 0;
  PassSums sums;
  table.residuals(RowFunction::logistic, &rounded, 1, {&target, nullptr, nullptr}, &derivative, sums);
  return {sums.loss, derivative};
}

// One thread's row: x, then x − centre.
struct Scratch {
  AlignedVector<double> x_high, x_low, z_high, z_low;

  explicit Scratch(std::size_t cols) : x_high(cols), x_low(cols), z_high(cols), z_low(cols) {}
  DoubleDoubleArray x() { return {x_high.data(), x_low.data()}; }
  DoubleDoubleArray z() { return {z_high.data(), z_low.data()}; }
};

struct Certifier {
  const KernelTable& table;
  Loss loss;
  std::span<const double> w;
  double intercept;
  std::span<const double> centre;

  // sums: [Σ s loss, Σ s loss', gradient]. Sparse: the gradient without the centre.
  template <class Rows>
  void add_block(Rows rows, RowData data, std::span<const PowerFeature> powers, Scratch& scratch,
                 DoubleDoubleSums& sums) const {
    for (std::size_t i = 0; i < rows.rows; ++i) {
      const DoubleDouble margin = margin_of(rows, i, powers, scratch) + intercept + offset_of(data, i);
      const RowLoss row = loss_of(table, loss, margin, data.targets[i]);
      const double weight = weight_of(data, i);
      const DoubleDouble residual = row.derivative * weight;
      sums.add(0, row.value * weight);
      sums.add(1, residual);
      add_gradient(rows, i, residual, scratch, sums);
    }
  }

 private:
  template <class T>
  DoubleDouble margin_of(DenseRows<T> rows, std::size_t i, std::span<const PowerFeature> powers,
                         Scratch& scratch) const {
    expand_row(rows.values + i * rows.cols, rows.cols, powers, scratch.x());
    return table.dot(scratch.x(), w.data(), rows.cols);
  }
  template <class T>
  DoubleDouble margin_of(SparseRows<T> rows, std::size_t i, std::span<const PowerFeature>, Scratch&) const {
    DoubleDouble sum;
    for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) {
      sum += two_product(w[rows.columns[k]], static_cast<double>(rows.values[k]));
    }
    return sum;
  }

  template <class T>
  void add_gradient(DenseRows<T> rows, std::size_t, DoubleDouble residual, Scratch& scratch,
                    DoubleDoubleSums& sums) const {
    table.subtract(scratch.x(), centre.data(), rows.cols, scratch.z());
    table.add_multiple(residual, scratch.z(), rows.cols, sums.array(2));
  }
  template <class T>
  void add_gradient(SparseRows<T> rows, std::size_t i, DoubleDouble residual, Scratch&, DoubleDoubleSums& sums) const {
    for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) {
      sums.add(2 + rows.columns[k], residual * static_cast<double>(rows.values[k]));
    }
  }
};

}  // namespace

Work LinearRows::certify(Loss loss, std::span<const double> w, double intercept, std::span<const double> centre,
                         std::span<double> sums) {
  const std::size_t cols = columns();
  MUSTER_CHECK(w.size() == cols && centre.size() >= cols, "a coefficient and a centre a column");
  MUSTER_CHECK(sums.size() == 2 * (cols + 2), "a pair for loss, residual and every column");
  MUSTER_CHECK(shape().has_targets, "a certificate needs targets");
  const KernelTable& table = kernel_table(instruction_set_);
  const Certifier certifier{table, loss, w, intercept, centre};
  const bool sparse = shape().sparse;
  std::vector<Scratch> scratch(static_cast<std::size_t>(executor_.threads()), Scratch(sparse ? 0 : cols));
  DoubleDoubleSums total = sum_rows(
      source_, executor_, rows_per_block(shape()), [&] { return DoubleDoubleSums(table, cols + 2); },
      [&](const Shard& window, RowRange range, int thread, DoubleDoubleSums& block_sums) {
        visit_rows(window, range, [&](auto rows) {
          certifier.add_block(rows, row_data(window, range.begin), window.powers,
                              scratch[static_cast<std::size_t>(thread)], block_sums);
        });
      });
  if (sparse) {
    const DoubleDouble residual = total.at(1);
    for (std::size_t j = 0; j < cols; ++j) total.add(2 + j, -(residual * centre[j]));
  }
  for (std::size_t i = 0; i < cols + 2; ++i) {
    sums[2 * i] = total.high[i];
    sums[2 * i + 1] = total.low[i];
  }
  return work_of_reading(shape(), kFlopsPerValue);
}

}  // namespace muster
