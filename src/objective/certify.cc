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
  RowSource& source;
  Executor& executor;
  const KernelTable& table;

  // Calls on_block(window, rows, range, thread's scratch, sums) for every block and adds up what they add.
  template <class OnBlock>
  DoubleDoubleSums all_blocks(std::size_t length, const OnBlock& on_block) const {
    const RowShape& shape = source.shape();
    std::vector<Scratch> scratch(static_cast<std::size_t>(executor.threads()), Scratch(shape.sparse ? 0 : shape.cols));
    return sum_rows(
        source, executor, rows_per_block(shape), [&] { return DoubleDoubleSums(table, length); },
        [&](const Shard& window, RowRange range, int thread, DoubleDoubleSums& sums) {
          visit_rows(window, range, [&](auto rows) {
            on_block(window, rows, range, scratch[static_cast<std::size_t>(thread)], sums);
          });
        });
  }

  // Writes [Σ s loss, Σ s loss', gradient] in pairs. margin_of(rows, i, row, scratch): of row i of a block, which is
  // row `row` of its window, with the intercept and without the offset. The row is expanded in scratch.
  template <class MarginOf>
  void certify(Loss loss, std::span<const double> centre, const MarginOf& margin_of, std::span<double> out) const {
    const RowShape& shape = source.shape();
    DoubleDoubleSums total = all_blocks(
        shape.cols + 2, [&](const Shard& window, auto rows, RowRange range, Scratch& scratch, DoubleDoubleSums& sums) {
          const RowData data = row_data(window, range.begin);
          for (std::size_t i = 0; i < rows.rows; ++i) {
            expand(rows, i, window.powers, scratch);
            const DoubleDouble margin = margin_of(rows, i, range.begin + i, scratch) + offset_of(data, i);
            const RowLoss row = loss_of(table, loss, margin, data.targets[i]);
            const double weight = weight_of(data, i);
            const DoubleDouble residual = row.derivative * weight;
            sums.add(0, row.value * weight);
            sums.add(1, residual);
            add_gradient(rows, i, residual, centre, scratch, sums);
          }
        });
    for (std::size_t j = 0; shape.sparse && j < shape.cols; ++j) total.add(2 + j, -(total.at(1) * centre[j]));
    for (std::size_t i = 0; i < total.size(); ++i) {
      out[2 * i] = total.high[i];
      out[2 * i + 1] = total.low[i];
    }
  }

  template <class T>
  void expand(DenseRows<T> rows, std::size_t i, std::span<const PowerFeature> powers, Scratch& scratch) const {
    expand_row(rows.values + i * rows.cols, rows.cols, powers, scratch.x());
  }
  template <class T>
  void expand(SparseRows<T>, std::size_t, std::span<const PowerFeature>, Scratch&) const {}

  // Σ_j w_j x_ij of an expanded row.
  template <class T>
  DoubleDouble product(DenseRows<T> rows, std::size_t, std::span<const double> w, Scratch& scratch) const {
    return table.dot(scratch.x(), w.data(), rows.cols);
  }
  template <class T>
  DoubleDouble product(SparseRows<T> rows, std::size_t i, std::span<const double> w, Scratch&) const {
    DoubleDouble sum;
    for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) {
      sum += two_product(w[rows.columns[k]], static_cast<double>(rows.values[k]));
    }
    return sum;
  }

 private:
  template <class T>
  void add_gradient(DenseRows<T> rows, std::size_t, DoubleDouble residual, std::span<const double> centre,
                    Scratch& scratch, DoubleDoubleSums& sums) const {
    table.subtract(scratch.x(), centre.data(), rows.cols, scratch.z());
    table.add_multiple(residual, scratch.z(), rows.cols, sums.array(2));
  }
  // Without the centre, whose share is the same number for every row.
  template <class T>
  void add_gradient(SparseRows<T> rows, std::size_t i, DoubleDouble residual, std::span<const double>, Scratch&,
                    DoubleDoubleSums& sums) const {
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
  const Certifier certifier{source_, executor_, kernel_table(instruction_set_)};
  const auto margin_of = [&](auto rows, std::size_t i, std::size_t, Scratch& scratch) {
    return certifier.product(rows, i, w, scratch) + intercept;
  };
  certifier.certify(loss, centre, margin_of, sums);
  return work_of_reading(shape(), kFlopsPerValue);
}

Work LinearRows::certify_margins(std::span<const double> w, double intercept, std::span<double> margins) {
  MUSTER_CHECK(source_.held() != nullptr, "margins are of rows in memory");
  MUSTER_CHECK(w.size() == columns() && margins.size() == 2 * rows(), "a coefficient a column, a margin a row");
  const Certifier certifier{source_, executor_, kernel_table(instruction_set_)};
  certifier.all_blocks(0, [&](const Shard& window, auto rows, RowRange range, Scratch& scratch, DoubleDoubleSums&) {
    for (std::size_t i = 0; i < rows.rows; ++i) {
      certifier.expand(rows, i, window.powers, scratch);
      const DoubleDouble margin = certifier.product(rows, i, w, scratch) + intercept;
      margins[2 * (range.begin + i)] = margin.high;
      margins[2 * (range.begin + i) + 1] = margin.low;
    }
  });
  return work_of_reading(shape(), kFlopsPerValue / 2);
}

Work LinearRows::certify_at(Loss loss, std::span<const double> margins, std::span<const double> centre,
                            std::span<double> sums) {
  MUSTER_CHECK(source_.held() != nullptr, "margins are of rows in memory");
  MUSTER_CHECK(margins.size() == 2 * rows() && centre.size() >= columns(), "a margin a row, a centre a column");
  MUSTER_CHECK(sums.size() == 2 * (columns() + 2), "a pair for loss, residual and every column");
  const Certifier certifier{source_, executor_, kernel_table(instruction_set_)};
  const auto margin_of = [&](auto, std::size_t, std::size_t row, Scratch&) {
    return DoubleDouble(margins[2 * row], margins[2 * row + 1]);
  };
  certifier.certify(loss, centre, margin_of, sums);
  return work_of_reading(shape(), kFlopsPerValue / 2);
}

}  // namespace muster
