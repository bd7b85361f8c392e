// LinearObjective as a function of margins: the fused pass of linear_objective.cc in its two halves, each of which
// reads the rows once.
//
//     m_i = Σ_j u_j (x_ij − c_j) + b        ∂f/∂u_j = Σ_i s_i loss'(m_i + o_i) (x_ij − c_j)
#include <cmath>

#include "base/check.h"
#include "kernels/sparse_rows.h"
#include "objective/linear_rows.h"
#include "objective/row_blocks.h"

namespace muster {
namespace {

// What precedes the gradient in an accumulator: PassSums in order of declaration.
constexpr std::size_t kBefore = 4;

template <class T>
void margins_of(const KernelTable& table, DenseRows<T> rows, const double* u, const double* centre, double* out) {
  table.dense<T>().margins(rows, u, centre, out);
}
// Without the centre, which is the same number for every row.
template <class T>
void margins_of(const KernelTable&, SparseRows<T> rows, const double* u, const double*, double* out) {
  sparse_margins(rows, u, out);
}

template <class T>
void add_gradient(const KernelTable& table, DenseRows<T> rows, const double* residuals, const double* centre,
                  double* sums) {
  table.dense<T>().add_centred(rows, residuals, centre, sums);
}
template <class T>
void add_gradient(const KernelTable&, SparseRows<T> rows, const double* residuals, const double*, double* sums) {
  sparse_add_multiples(rows, residuals, sums);
}

// Halves are of rows in memory, whose margins have a place.
const Shard& held_rows(RowSource& source) {
  const Shard* shard = source.held();
  MUSTER_CHECK(shard != nullptr, "margins are of rows in memory");
  return *shard;
}

// The second half.
struct GradientPass {
  RowSource& source;
  Executor& executor;
  const KernelTable& table;
  RowFunction function;
  std::span<const double> margins;
  std::span<const double> centre;
  std::span<const double> curve_at = {};  // product: times the logistic loss's second derivative at these margins

  Sums all_blocks() const {
    const RowShape& shape = source.shape();
    const Shard& shard = held_rows(source);
    const std::size_t length = kBefore + shape.cols;
    const RowBlocks blocks{shape.rows, rows_per_block(shape)};
    Sums total = sum_blocks(
        executor, blocks.count(), [length] { return Sums(length); },
        [&](std::size_t block, int, Sums& sums) { add_block(shard, blocks.range(block), sums); });
    for (std::size_t j = 0; shape.sparse && j < centre.size(); ++j)
      total.values[kBefore + j] = std::fma(-centre[j], total.values[1], total.values[kBefore + j]);
    return total;
  }

 private:
  void add_block(const Shard& shard, RowRange range, Sums& sums) const {
    RowData data = row_data(shard, range.begin);
    std::vector<double> residuals(margins.begin() + static_cast<std::ptrdiff_t>(range.begin),
                                  margins.begin() + static_cast<std::ptrdiff_t>(range.end));
    if (function != RowFunction::product)
      for (std::size_t i = 0; i < residuals.size(); ++i) residuals[i] += offset_of(data, i);
    PassSums scalars;
    if (curve_at.empty()) {
      data.offsets = nullptr;
      table.residuals(function, residuals.data(), residuals.size(), data, residuals.data(), scalars);
    } else {
      scalars.residual = curve(range, data, residuals);
    }
    visit_rows(shard, range, [&](auto rows) {
      add_gradient(table, rows, residuals.data(), centre.data(), sums.values.data() + kBefore);
    });
    const double parts[kBefore] = {scalars.loss, scalars.residual, scalars.wrong_side, scalars.uncertainty};
    std::copy_n(parts, kBefore, sums.values.begin());
  }

  // Multiplies each by its row's s·loss''; returns the sum.
  double curve(RowRange range, const RowData& data, std::vector<double>& values) const {
    std::vector<double> at(values.size()), curvatures(values.size());
    for (std::size_t i = 0; i < at.size(); ++i) at[i] = curve_at[range.begin + i] + offset_of(data, i);
    table.logistic_curvatures(at.data(), at.size(), data.weights, curvatures.data());
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) sum += values[i] *= curvatures[i];
    return sum;
  }
};

}  // namespace

Work LinearObjective::margins(std::span<const double> v, std::span<double> margins) {
  const std::size_t columns = rows_.columns();
  MUSTER_CHECK(v.size() == dimension() && margins.size() == rows(), "a margin for every row");
  const Shard& shard = held_rows(rows_.source_);
  const RowShape& shape = rows_.shape();
  const KernelTable& table = kernel_table(rows_.instruction_set_);
  const std::vector<double> u = scaling_.unscale(v.first(columns));
  DoubleDouble shift = intercept_ ? v[columns] : 0.0;
  if (shape.sparse) shift = shift - dot_product(u, scaling_.centre);
  const RowBlocks blocks{shape.rows, rows_per_block(shape)};
  rows_.executor_.run(blocks.count(), [&](std::size_t block, int) {
    const RowRange range = blocks.range(block);
    const std::span<double> out = margins.subspan(range.begin, range.size());
    visit_rows(shard, range, [&](auto rows) { margins_of(table, rows, u.data(), scaling_.centre.data(), out.data()); });
    for (double& margin : out) margin += static_cast<double>(shift);
  });
  return work_of_reading(shape, 2);
}

Work LinearObjective::value_and_gradient_at(std::span<const double> margins, double& value, std::span<double> gradient,
                                            std::span<double> tallies_out) {
  const std::size_t columns = rows_.columns();
  MUSTER_CHECK(gradient.size() == dimension() && margins.size() == rows(), "a margin for every row");
  MUSTER_CHECK(tallies_out.size() == tallies(), "room for the tallies");
  const GradientPass pass{rows_.source_,  rows_.executor_, kernel_table(rows_.instruction_set_),
                          row_function(), margins,         scaling_.centre};
  const Sums sums = pass.all_blocks();
  value = sums.values[0];
  const std::vector<double> by_v = scaling_.unscale(std::span(sums.values).subspan(kBefore, columns));
  std::copy(by_v.begin(), by_v.end(), gradient.begin());
  if (intercept_) gradient[columns] = sums.values[1];
  std::copy_n(sums.values.begin() + 2, tallies(), tallies_out.begin());
  return work_of_reading(rows_.shape(), 3);
}

Work LinearObjective::curvature_product_at(std::span<const double> margins, std::span<double> product) {
  const double bound = loss_ == Loss::logistic ? 0.25 : 1.0;  // the largest loss''
  const Work work = multiply_at({}, margins, product);
  for (double& value : product) value *= bound;
  return work;
}

Work LinearObjective::hessian_product_at(std::span<const double> margins, std::span<const double> of_v,
                                         std::span<double> product) {
  return multiply_at(loss_ == Loss::squared ? std::span<const double>() : margins, of_v, product);
}

Work LinearObjective::multiply_at(std::span<const double> at, std::span<const double> of_v, std::span<double> product) {
  const std::size_t columns = rows_.columns();
  MUSTER_CHECK(product.size() == dimension() && of_v.size() == rows(), "a margin for every row");
  const GradientPass pass{rows_.source_,
                          rows_.executor_,
                          kernel_table(rows_.instruction_set_),
                          RowFunction::product,
                          of_v,
                          scaling_.centre,
                          at};
  const Sums sums = pass.all_blocks();
  const std::vector<double> by_v = scaling_.unscale(std::span(sums.values).subspan(kBefore, columns));
  std::copy(by_v.begin(), by_v.end(), product.begin());
  if (intercept_) product[columns] = sums.values[1];
  return work_of_reading(rows_.shape(), 3);
}

}  // namespace muster
