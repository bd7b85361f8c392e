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

// Rows of which margins are found together, then losses, then the gradient: what several rows wait for is then
// under way at once. A dense row is expanded once for both ends.
constexpr std::size_t kSparseTogether = 512;

// One thread's row: x, then x − centre; its margins, then ∂loss/∂margin, by output, and those of rows together with it.
struct Scratch {
  AlignedVector<double> x_high, x_low, z_high, z_low;
  std::size_t outputs, row = 0;  // of those together
  std::vector<DoubleDouble> of_rows;
  std::vector<double> margins, residuals;  // softmax: as the kernels want them

  Scratch(std::size_t cols, std::size_t of_row, std::size_t together)
      : x_high(cols),
        x_low(cols),
        z_high(cols),
        z_low(cols),
        outputs(of_row),
        of_rows(together * of_row),
        margins(class_stride(of_row)),
        residuals(class_stride(of_row)) {}
  std::size_t together() const { return of_rows.size() / outputs; }
  std::span<DoubleDouble> by_output() { return std::span(of_rows).subspan(row * outputs, outputs); }
  DoubleDoubleArray x() { return {x_high.data(), x_low.data()}; }
  DoubleDoubleArray z() { return {z_high.data(), z_low.data()}; }
};

DoubleDouble softmax_of(const KernelTable& table, double target, Scratch& scratch) {
  const std::size_t outputs = scratch.outputs;
  const DoubleDouble own = scratch.by_output()[static_cast<std::size_t>(target)];
  for (std::size_t k = 0; k < outputs; ++k) scratch.margins[k] = static_cast<double>(scratch.by_output()[k] - own);
  std::fill(scratch.residuals.begin(), scratch.residuals.end(), 0.0);
  ClassSums sums;
  sums.residuals = scratch.residuals.data();
  table.class_residuals(ClassFunction::softmax, scratch.margins.data(), nullptr, 1, {&target, nullptr, nullptr},
                        outputs, sums);
  for (std::size_t k = 0; k < outputs; ++k) scratch.by_output()[k] = scratch.residuals[k];
  return sums.loss;
}

// Returns the loss, and puts its derivatives in the margins' place.
DoubleDouble loss_of(const KernelTable& table, Loss loss, double target, Scratch& scratch) {
  if (loss == Loss::softmax) return softmax_of(table, target, scratch);
  DoubleDouble& margin = scratch.by_output()[0];
  if (loss == Loss::squared) {
    margin = margin - DoubleDouble(target);
    return 0.5 * (margin * margin);
  }
  const double rounded = static_cast<double>(margin);
  double derivative = 0;
  PassSums sums;
  table.residuals(RowFunction::logistic, &rounded, 1, {&target, nullptr, nullptr}, &derivative, sums);
  margin = derivative;
  return sums.loss;
}

struct Certifier {
  const LinearRows::PassRows& read;
  std::size_t block_rows;
  Executor& executor;
  const KernelTable& table;
  std::size_t outputs;

  // Calls on_block(window, rows, range, thread's scratch, sums) for every block and adds up what they add.
  template <class OnBlock>
  DoubleDoubleSums all_blocks(std::size_t length, const OnBlock& on_block) const {
    const RowShape& shape = read.source.shape();
    std::vector<Scratch> scratch(static_cast<std::size_t>(executor.threads()),
                                 Scratch(shape.sparse ? 0 : shape.cols, outputs, shape.sparse ? kSparseTogether : 1));
    // A sparse row adds to sums here and there.
    const auto layout = shape.sparse ? DoubleDoubleSums::Layout::side_by_side : DoubleDoubleSums::Layout::apart;
    return sum_rows(
        read.source, executor, block_rows, [&] { return DoubleDoubleSums(table, length, layout); },
        [&](const Shard& window, RowRange range, int thread, DoubleDoubleSums& sums) {
          visit_rows(window, range, [&](auto rows) {
            on_block(window, rows, range, scratch[static_cast<std::size_t>(thread)], sums);
          });
        });
  }

  // Writes the sums of LinearRows::certify. write_margins(rows, i, row, scratch): to scratch.by_output(), of row i of a
  // block, which is row `row` of its window, with intercepts and without the offset. The row is expanded in scratch.
  template <class WriteMargins>
  void certify(Loss loss, std::span<const double> centre, const WriteMargins& write_margins,
               std::span<double> out) const {
    const RowShape& shape = read.source.shape();
    const std::size_t numbers = shape.cols, first = 1 + outputs;
    // The gradient by output and column's number. Of sparse rows without the centre.
    DoubleDoubleSums total = all_blocks(first + outputs * numbers, [&](const Shard& window, auto rows, RowRange range,
                                                                       Scratch& scratch, DoubleDoubleSums& sums) {
      const RowData data = row_data(window, range.begin);
      const auto each_of = [&](RowRange together, const auto& visit) {
        for (std::size_t i = together.begin; i < together.end; ++i) {
          scratch.row = i - together.begin;
          visit(i);
        }
      };
      const RowBlocks tiles{rows.rows, scratch.together()};
      for (std::size_t tile = 0; tile < tiles.count(); ++tile) {
        each_of(tiles.range(tile), [&](std::size_t i) {
          expand(rows, i, window.powers, scratch);
          write_margins(rows, i, range.begin + i, scratch);
        });
        each_of(tiles.range(tile), [&](std::size_t i) { add_loss(loss, data, i, scratch, sums); });
        each_of(tiles.range(tile), [&](std::size_t i) { add_gradient(rows, i, centre, scratch, sums); });
      }
    });
    const auto put = [&](std::size_t at, DoubleDouble value) {
      out[2 * at] = value.high;
      out[2 * at + 1] = value.low;
    };
    for (std::size_t i = 0; i < first; ++i) put(i, total.at(i));
    const std::size_t values = out.size() / 2 - first;
    for (std::size_t i = 0; i < values; ++i) {
      const std::size_t j = i / outputs, k = i % outputs, number = read.number_of(j);
      const DoubleDouble sum =
          number != RenumberedRows::kNone ? total.at(first + k * numbers + number) : DoubleDouble();
      put(first + i, shape.sparse ? sum + -(total.at(1 + k) * centre[j]) : sum);
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
    return table.sparse<T>().dot(rows, i, w.data());
  }

 private:
  // Leaves s_i ∂loss/∂margin in the margins' place.
  void add_loss(Loss loss, const RowData& data, std::size_t i, Scratch& scratch, DoubleDoubleSums& sums) const {
    const std::span<DoubleDouble> by_output = scratch.by_output();
    for (DoubleDouble& margin : by_output) margin = margin + offset_of(data, i);
    const double weight = weight_of(data, i);
    sums.add(0, loss_of(table, loss, data.targets[i], scratch) * weight);
    for (DoubleDouble& residual : by_output) residual = residual * weight;
    for (std::size_t k = 0; k < outputs; ++k) sums.add(1 + k, by_output[k]);
  }

  template <class T>
  void add_gradient(DenseRows<T> rows, std::size_t, std::span<const double> centre, Scratch& scratch,
                    DoubleDoubleSums& sums) const {
    table.subtract(scratch.x(), centre.data(), rows.cols, scratch.z());
    for (std::size_t k = 0; k < outputs; ++k)
      table.add_multiple(scratch.by_output()[k], scratch.z(), rows.cols, sums.array(1 + outputs + k * rows.cols));
  }
  // Without the centre, whose share is the same number for every row.
  template <class T>
  void add_gradient(SparseRows<T> rows, std::size_t i, std::span<const double>, Scratch& scratch,
                    DoubleDoubleSums& sums) const {
    for (std::size_t k = 0; k < outputs; ++k)
      table.sparse<T>().add_multiple(scratch.by_output()[k], rows, i, sums.pairs(1 + outputs + k * rows.cols));
  }
};

// Margins of a model in the user's units.
class ModelMargins {
 public:
  ModelMargins(const LinearRows::PassRows& rows, std::size_t columns, std::span<const double> w,
               std::span<const double> intercepts)
      : numbers_(rows.source.shape().cols), intercepts_(intercepts), by_output_(intercepts.size() * numbers_) {
    const std::size_t outputs = intercepts.size();
    MUSTER_CHECK(w.size() == columns * outputs, "a coefficient a column and output");
    for (std::size_t i = 0; i < w.size(); ++i) {
      const std::size_t number = rows.number_of(i / outputs);
      if (number != RenumberedRows::kNone) by_output_[i % outputs * numbers_ + number] = w[i];
    }
  }

  // Of row i of a block, which is expanded in scratch.
  template <class Rows>
  void write(const Certifier& certifier, Rows rows, std::size_t i, Scratch& scratch) const {
    for (std::size_t k = 0; k < intercepts_.size(); ++k)
      scratch.by_output()[k] =
          certifier.product(rows, i, std::span(by_output_).subspan(k * numbers_, numbers_), scratch) + intercepts_[k];
  }

 private:
  std::size_t numbers_;  // of columns
  std::span<const double> intercepts_;
  AlignedVector<double> by_output_;  // and number
};

}  // namespace

Work LinearRows::certify(Loss loss, std::span<const double> w, std::span<const double> intercepts,
                         std::span<const double> centre, std::span<double> sums) {
  const std::size_t outputs = intercepts.size();
  check_certificate(loss, outputs, centre, sums);
  const PassRows rows_of_pass = pass_rows();
  const ModelMargins model(rows_of_pass, columns(), w, intercepts);
  const Certifier certifier{rows_of_pass, rows_per_block(shape()), executor_, kernel_table(instruction_set_), outputs};
  const auto write_margins = [&](auto rows, std::size_t i, std::size_t, Scratch& scratch) {
    model.write(certifier, rows, i, scratch);
  };
  certifier.certify(loss, centre, write_margins, sums);
  return work_of_reading(shape(), kFlopsPerValue * static_cast<double>(outputs));
}

Work LinearRows::certify_margins(std::span<const double> w, std::span<const double> intercepts,
                                 std::span<double> margins) {
  const std::size_t outputs = intercepts.size();
  MUSTER_CHECK(source_.held() != nullptr, "margins are of rows in memory");
  MUSTER_CHECK(margins.size() == 2 * rows() * outputs, "a pair for every margin");
  const PassRows rows_of_pass = pass_rows();
  const ModelMargins model(rows_of_pass, columns(), w, intercepts);
  const Certifier certifier{rows_of_pass, rows_per_block(shape()), executor_, kernel_table(instruction_set_), outputs};
  certifier.all_blocks(0, [&](const Shard& window, auto rows, RowRange range, Scratch& scratch, DoubleDoubleSums&) {
    for (std::size_t i = 0; i < rows.rows; ++i) {
      certifier.expand(rows, i, window.powers, scratch);
      model.write(certifier, rows, i, scratch);
      double* out = margins.data() + 2 * (range.begin + i) * outputs;
      for (const DoubleDouble& margin : scratch.by_output()) {
        *out++ = margin.high;
        *out++ = margin.low;
      }
    }
  });
  return work_of_reading(shape(), kFlopsPerValue / 2 * static_cast<double>(outputs));
}

Work LinearRows::certify_at(Loss loss, std::size_t outputs, std::span<const double> margins,
                            std::span<const double> centre, std::span<double> sums) {
  MUSTER_CHECK(source_.held() != nullptr, "margins are of rows in memory");
  MUSTER_CHECK(margins.size() == 2 * rows() * outputs, "a pair for every margin");
  check_certificate(loss, outputs, centre, sums);
  const PassRows rows_of_pass = pass_rows();
  const Certifier certifier{rows_of_pass, rows_per_block(shape()), executor_, kernel_table(instruction_set_), outputs};
  const auto write_margins = [&](auto, std::size_t, std::size_t row, Scratch& scratch) {
    const double* pair = margins.data() + 2 * row * outputs;
    for (DoubleDouble& margin : scratch.by_output()) {
      margin = DoubleDouble(pair[0], pair[1]);
      pair += 2;
    }
  };
  certifier.certify(loss, centre, write_margins, sums);
  return work_of_reading(shape(), kFlopsPerValue / 2 * static_cast<double>(outputs));
}

void LinearRows::check_certificate(Loss loss, std::size_t outputs, std::span<const double> centre,
                                   std::span<const double> sums) const {
  MUSTER_CHECK(loss == Loss::softmax ? outputs >= 2 : outputs == 1, "as many outputs as the loss has margins");
  MUSTER_CHECK(centre.size() >= columns(), "a centre a column");
  MUSTER_CHECK(sums.size() == 2 * (1 + outputs * (1 + columns())), "a pair for loss, residuals and every coefficient");
  MUSTER_CHECK(shape().has_targets, "a certificate needs targets");
}

}  // namespace muster
