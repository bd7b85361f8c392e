// One pass over the rows for f's data part and its gradient, and one for a product with its Hessian or a bound on that.
//
//     m_i = Σ_j u_j (x_ij − c_j) + b + o_i,  u_j = v_j / scale_j        ∂f/∂v_j = Σ_i s_i loss'(m_i) (x_ij − c_j) /
//     scale_j
//     ∇²f·v = Σ_i s_i loss''(m_i) (x_i − c)/scale ((x_i − c)/scale)ᵀv, and loss'' replaced by its supremum for the
//     bound
//
// so that the rows are read as stored and the change of variables costs two operations a column.
#include <cmath>

#include "base/check.h"
#include "kernels/sparse_rows.h"
#include "objective/linear_rows.h"
#include "objective/row_blocks.h"

namespace muster {
namespace {

// What precedes the gradient in an accumulator.
constexpr std::size_t kScalars = 4;

// One fused pass over all rows.
struct Pass {
  const Shard& shard;
  Executor& executor;
  const KernelTable& table;
  RowFunction function;
  std::span<const double> u;       // by column
  std::span<const double> centre;  // by column
  double intercept;
  bool with_offsets;
  std::span<double> margins = {};         // of all rows, written; empty: nowhere
  std::span<const double> curve_at = {};  // margins where the loss is curved as its Hessian is; empty: curvature 1
  std::span<double> curvatures = {};      // s·loss'' of all rows
  bool curvatures_known = false;          // else written

  // PassSums in order of declaration, then the gradient with respect to u.
  Sums all_blocks() const {
    const std::size_t length = kScalars + shard.cols();
    const RowBlocks blocks{shard.rows(), rows_per_block(shard)};
    const bool sparse = std::holds_alternative<SparseMatrix>(shard.matrix);
    const double shift = sparse ? static_cast<double>(DoubleDouble(intercept) - dot(u, centre)) : intercept;
    Sums total = sum_blocks(
        executor, blocks.count(), [length] { return Sums(length); },
        [&](std::size_t block, int, Sums& sums) { add_block(blocks.range(block), shift, sums); });
    if (sparse) {
      const double residual = total.values[1];
      for (std::size_t j = 0; j < u.size(); ++j) {
        total.values[kScalars + j] = std::fma(-centre[j], residual, total.values[kScalars + j]);
      }
    }
    return total;
  }

 private:
  static DoubleDouble dot(std::span<const double> a, std::span<const double> b) {
    DoubleDouble sum;
    for (std::size_t j = 0; j < a.size(); ++j) sum += two_product(a[j], b[j]);
    return sum;
  }

  void add_block(RowRange range, double shift, Sums& sums) const {
    RowData data = row_data(shard, range.begin);
    if (!with_offsets) data.offsets = nullptr;
    if (!curvatures.empty()) {
      double* block = curvatures.data() + range.begin;
      if (!curvatures_known)
        table.logistic_curvatures(curve_at.data() + range.begin, range.size(), data.weights, block);
      data.weights = block;
    }
    const MarginRequest request{function, u.data(), centre.data(), shift,
                                margins.empty() ? nullptr : margins.data() + range.begin};
    PassSums scalars;
    double* gradient = sums.values.data() + kScalars;
    visit_rows(shard, range, [&](auto rows) { run(rows, data, request, scalars, gradient); });
    const double parts[kScalars] = {scalars.loss, scalars.residual, scalars.wrong_side, scalars.uncertainty};
    std::copy_n(parts, kScalars, sums.values.begin());
  }

  template <class T>
  void run(DenseRows<T> rows, RowData data, MarginRequest request, PassSums& scalars, double* gradient) const {
    table.dense<T>().pass(rows, data, request, scalars, gradient);
  }
  template <class T>
  void run(SparseRows<T> rows, RowData data, MarginRequest request, PassSums& scalars, double* gradient) const {
    sparse_pass(table, rows, data, request.function, request.u, request.intercept, request.margins, scalars, gradient);
  }
};

double sum_of_weights(const Shard& shard) {
  if (shard.weights.empty()) return static_cast<double>(shard.rows());
  DoubleDouble sum;
  for (double weight : shard.weights) sum += weight;
  return static_cast<double>(sum);
}

// v_j / scale_j, or 0 for a constant column.
std::vector<double> unscale(std::span<const double> v, std::span<const double> scale) {
  std::vector<double> u(scale.size());
  for (std::size_t j = 0; j < u.size(); ++j) u[j] = scale[j] == 0 ? 0.0 : v[j] / scale[j];
  return u;
}

}  // namespace

LinearObjective::LinearObjective(LinearRows& rows, Loss loss, Scaling scaling, bool intercept)
    : rows_(rows), loss_(loss), scaling_(std::move(scaling)), intercept_(intercept) {
  const std::size_t columns = rows.columns();
  MUSTER_CHECK(scaling_.centre.size() == columns && scaling_.scale.size() == columns, "a scaling of every column");
  MUSTER_CHECK(rows.shard().targets.size() == rows.rows(), "training needs targets");
}

std::size_t LinearObjective::dimension() const {
  return rows_.columns() + (intercept_ ? 1 : 0);
}
std::size_t LinearObjective::rows() const {
  return rows_.rows();
}
double LinearObjective::weight() const {
  return sum_of_weights(rows_.shard());
}
std::size_t LinearObjective::tallies() const {
  return loss_ == Loss::logistic ? 2 : 0;
}

Work LinearObjective::value_and_gradient(std::span<const double> v, double& value, std::span<double> gradient,
                                         std::span<double> tallies_out) {
  const std::size_t columns = rows_.columns();
  MUSTER_CHECK(v.size() == dimension() && gradient.size() == dimension(), "a vector of the objective's dimension");
  MUSTER_CHECK(tallies_out.size() == tallies(), "room for the tallies");
  const std::vector<double> u = unscale(v.first(columns), scaling_.scale);
  Pass pass{rows_.shard_,
            rows_.executor_,
            kernel_table(rows_.instruction_set_),
            row_function(),
            u,
            scaling_.centre,
            intercept_ ? v[columns] : 0.0,
            true};
  if (margins_) pass.margins = margins_->put(v, rows());
  const Sums sums = pass.all_blocks();
  value = sums.values[0];
  const std::span<const double> by_u(sums.values.data() + kScalars, columns);
  const std::vector<double> by_v = unscale(by_u, scaling_.scale);
  std::copy(by_v.begin(), by_v.end(), gradient.begin());
  if (intercept_) gradient[columns] = sums.values[1];
  if (loss_ == Loss::logistic) {
    tallies_out[0] = sums.values[2];
    tallies_out[1] = sums.values[3];
  }
  return work_of_reading(rows_.shard_, 6);
}

Work LinearObjective::curvature_product(std::span<const double> v, std::span<double> product) {
  const double bound = loss_ == Loss::logistic ? 0.25 : 1.0;  // the largest loss''
  const Work work = multiply(v, product, {}, false);
  for (double& value : product) value *= bound;
  return work;
}

Work LinearObjective::hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) {
  if (loss_ == Loss::squared) return multiply(v, product, {}, false);
  Work work;
  if (!margins_) margins_.emplace();
  if (!margins_->at(w, rows())) {
    double value = 0;
    std::vector<double> gradient(dimension()), tallies_out(tallies());
    work += value_and_gradient(w, value, gradient, tallies_out);
  }
  const bool known =
      std::equal(w.begin(), w.end(), curved_at_.begin(), curved_at_.end()) && curvatures_.size() == rows();
  if (!known) {
    curvatures_.resize(rows());
    curved_at_.assign(w.begin(), w.end());
  }
  work += multiply(v, product, *margins_->at(w, rows()), known);
  return work;
}

Work LinearObjective::multiply(std::span<const double> v, std::span<double> product, std::span<const double> curve_at,
                               bool curvatures_known) {
  const std::size_t columns = rows_.columns();
  MUSTER_CHECK(v.size() == dimension() && product.size() == dimension(), "a vector of the objective's dimension");
  const std::vector<double> u = unscale(v.first(columns), scaling_.scale);
  Pass pass{rows_.shard_,
            rows_.executor_,
            kernel_table(rows_.instruction_set_),
            RowFunction::product,
            u,
            scaling_.centre,
            intercept_ ? v[columns] : 0.0,
            false};
  if (!curve_at.empty()) {
    pass.curve_at = curve_at;
    pass.curvatures = curvatures_;
    pass.curvatures_known = curvatures_known;
  }
  const Sums sums = pass.all_blocks();
  const std::span<const double> by_u(sums.values.data() + kScalars, columns);
  const std::vector<double> by_v = unscale(by_u, scaling_.scale);
  std::copy(by_v.begin(), by_v.end(), product.begin());
  if (intercept_) product[columns] = sums.values[1];
  return work_of_reading(rows_.shard_, 6);
}

std::optional<Work> LinearObjective::value_on_line(std::span<const double> a, std::span<const double> b, double t,
                                                   double& value, double& slope) {
  if (!margins_) margins_.emplace();
  const auto at_a = margins_->at(a, rows()), at_b = margins_->at(b, rows());
  if (!at_a || !at_b) return std::nullopt;
  const KernelTable& table = kernel_table(rows_.instruction_set_);
  const RowBlocks blocks{rows(), kLargestBlock};
  const Sums sums = sum_blocks(
      rows_.executor_, blocks.count(), [] { return Sums(2); },
      [&](std::size_t block, int, Sums& sum) {
        const RowRange range = blocks.range(block);
        const double* from = at_a->data() + range.begin;
        const double* to = at_b->data() + range.begin;
        AlignedVector<double> residuals(range.size());
        for (std::size_t i = 0; i < range.size(); ++i) residuals[i] = from[i] + t * (to[i] - from[i]);
        PassSums of_block;
        table.residuals(row_function(), residuals.data(), range.size(), row_data(rows_.shard_, range.begin),
                        residuals.data(), of_block);
        sum.values[0] = of_block.loss;
        for (std::size_t i = 0; i < range.size(); ++i) sum.values[1] += residuals[i] * (to[i] - from[i]);
      });
  value = sums.values[0];
  slope = sums.values[1];
  const auto count = static_cast<double>(rows());
  return Work{3 * sizeof(double) * count, 30 * count};
}

BatchModel LinearObjective::batch_model() const {
  return {row_function(), scaling_.centre, scaling_.scale, intercept_};
}

std::size_t LinearObjective::deal(std::size_t rows, std::uint64_t seed) {
  if (std::holds_alternative<SparseMatrix>(shard().matrix) && !intercept_) {
    for (const double centre : scaling_.centre) MUSTER_CHECK(centre == 0, "sparse rows are centred by the intercept");
  }
  return batches_.deal(shard(), intercept_, rows, seed);
}

std::span<const std::uint32_t> LinearObjective::keys(std::size_t batch) {
  return batches_.keys(batch);
}
double LinearObjective::batch_weight(std::size_t batch) {
  return batches_.weight(shard(), batch);
}

Work LinearObjective::batch_gradient(std::size_t batch, std::span<const double> w, double& value, double& residual,
                                     std::span<double> gradient) {
  return batches_.gradient(shard(), kernel_table(rows_.instruction_set_), batch_model(), batch, w, value, residual,
                           gradient);
}

double LinearObjective::largest_row_curvature() {
  return muster::largest_row_curvature(shard(), batch_model());
}

std::vector<double> LinearObjective::implicit_centre() const {
  if (std::holds_alternative<DenseMatrix>(shard().matrix)) return {};
  std::vector<double> k = unscale(scaling_.centre, scaling_.scale);
  if (intercept_) k.push_back(0);
  return k;
}

}  // namespace muster
