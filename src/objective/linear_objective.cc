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

// Where margins are taken: u by column, and what a kernel adds to Σ_j u_j x_ij (sparse rows: not centred) or to
// Σ_j u_j (x_ij − centre_j).
struct Point {
  std::vector<double> u;
  double shift;
};

// One fused pass over all rows.
struct Pass {
  RowSource& source;
  Executor& executor;
  const KernelTable& table;
  RowFunction function;
  const Point& point;
  std::span<const double> centre;  // by column
  bool with_offsets;
  // Of rows in memory:
  std::span<double> margins = {};         // of all rows, written; empty: nowhere
  std::span<const double> curve_at = {};  // margins where the loss is curved as its Hessian is; empty: curvature 1
  std::span<double> curvatures = {};      // s·loss'' of all rows
  bool curvatures_known = false;          // else written
  // Of rows that are read anew: the point of those margins, which are found again.
  const Point* curved_at = nullptr;

  // PassSums in order of declaration, then the gradient with respect to u.
  Sums all_blocks() const {
    const RowShape& shape = source.shape();
    const std::size_t length = kScalars + shape.cols;
    Sums total = sum_rows(
        source, executor, rows_per_block(shape), [length] { return Sums(length); },
        [&](const Shard& window, RowRange range, int, Sums& sums) { add_block(window, range, sums); });
    if (shape.sparse) {
      const double residual = total.values[1];
      for (std::size_t j = 0; j < centre.size(); ++j) {
        total.values[kScalars + j] = std::fma(-centre[j], residual, total.values[kScalars + j]);
      }
    }
    return total;
  }

  // The margins at another point of rows that begin a block of per_block rows, with the bits that a pass over all
  // blocks gives them.
  const double* find_margins(const Shard& window, RowRange range, std::size_t per_block, const Point& at,
                             AlignedVector<double>& found) const {
    found.resize(range.size());
    AlignedVector<double> gradient(window.cols(), 0.0);
    for (std::size_t begin = range.begin; begin < range.end; begin += per_block) {
      const RowRange block{begin, std::min(range.end, begin + per_block)};
      PassSums sums;
      const MarginRequest request{RowFunction::squared, at.u.data(), centre.data(), at.shift,
                                  found.data() + (begin - range.begin)};
      visit_rows(window, block, [&](auto rows) { run(rows, row_data(window, begin), request, sums, gradient.data()); });
    }
    return found.data();
  }

 private:
  void add_block(const Shard& window, RowRange range, Sums& sums) const {
    RowData data = row_data(window, range.begin);
    if (!with_offsets) data.offsets = nullptr;
    AlignedVector<double> found, curved;
    if (curved_at) {
      curved.resize(range.size());
      find_margins(window, range, range.size(), *curved_at, found);
      table.logistic_curvatures(found.data(), range.size(), data.weights, curved.data());
      data.weights = curved.data();
    } else if (!curvatures.empty()) {
      double* block = curvatures.data() + range.begin;
      if (!curvatures_known)
        table.logistic_curvatures(curve_at.data() + range.begin, range.size(), data.weights, block);
      data.weights = block;
    }
    const MarginRequest request{function, point.u.data(), centre.data(), point.shift,
                                margins.empty() ? nullptr : margins.data() + range.begin};
    PassSums scalars;
    double* gradient = sums.values.data() + kScalars;
    visit_rows(window, range, [&](auto rows) { run(rows, data, request, scalars, gradient); });
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

Point point_of(std::span<const double> v, const Scaling& scaling, const RowShape& shape) {
  Point point{scaling.unscale(v.first(shape.cols)), v.size() > shape.cols ? v[shape.cols] : 0.0};
  if (shape.sparse) point.shift = static_cast<double>(DoubleDouble(point.shift) - dot_product(point.u, scaling.centre));
  return point;
}

}  // namespace

std::vector<double> Scaling::unscale(std::span<const double> v) const {
  std::vector<double> u(scale.size());
  for (std::size_t j = 0; j < u.size(); ++j) u[j] = scale[j] == 0 ? 0.0 : v[j] / scale[j];
  return u;
}

LinearObjective::LinearObjective(LinearRows& rows, Loss loss, Scaling scaling, bool intercept)
    : rows_(rows), loss_(loss), scaling_(std::move(scaling)), intercept_(intercept) {
  const std::size_t columns = rows.columns();
  MUSTER_CHECK(scaling_.centre.size() == columns && scaling_.scale.size() == columns, "a scaling of every column");
  MUSTER_CHECK(rows.shape().has_targets, "training needs targets");
}

std::size_t LinearObjective::dimension() const {
  return rows_.columns() + (intercept_ ? 1 : 0);
}
std::size_t LinearObjective::rows() const {
  return rows_.rows();
}
double LinearObjective::weight() const {
  return rows_.shape().weight;
}
std::size_t LinearObjective::tallies() const {
  return loss_ == Loss::logistic ? 2 : 0;
}

Work LinearObjective::value_and_gradient(std::span<const double> v, double& value, std::span<double> gradient,
                                         std::span<double> tallies_out) {
  const std::size_t columns = rows_.columns();
  MUSTER_CHECK(v.size() == dimension() && gradient.size() == dimension(), "a vector of the objective's dimension");
  MUSTER_CHECK(tallies_out.size() == tallies(), "room for the tallies");
  const Point point = point_of(v, scaling_, rows_.shape());
  Pass pass{
      rows_.source_, rows_.executor_, kernel_table(rows_.instruction_set_), row_function(), point, scaling_.centre,
      true};
  if (margins_) pass.margins = margins_->put(v, rows_kept());
  const Sums sums = pass.all_blocks();
  value = sums.values[0];
  const std::span<const double> by_u(sums.values.data() + kScalars, columns);
  const std::vector<double> by_v = scaling_.unscale(by_u);
  std::copy(by_v.begin(), by_v.end(), gradient.begin());
  if (intercept_) gradient[columns] = sums.values[1];
  if (loss_ == Loss::logistic) {
    tallies_out[0] = sums.values[2];
    tallies_out[1] = sums.values[3];
  }
  return work_of_reading(rows_.shape(), 6);
}

Work LinearObjective::curvature_product(std::span<const double> v, std::span<double> product) {
  const double bound = loss_ == Loss::logistic ? 0.25 : 1.0;  // the largest loss''
  const Work work = multiply(v, product, {}, {}, false);
  for (double& value : product) value *= bound;
  return work;
}

Work LinearObjective::hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) {
  if (loss_ == Loss::squared) return multiply(v, product, {}, {}, false);
  Work work;
  if (!margins_) margins_.emplace();
  if (!margins_->at(w, rows_kept())) {
    double value = 0;
    std::vector<double> gradient(dimension()), tallies_out(tallies());
    work += value_and_gradient(w, value, gradient, tallies_out);
  }
  if (rows_kept() == 0) {
    work += multiply(v, product, w, {}, false);
    return work;
  }
  const bool known =
      std::equal(w.begin(), w.end(), curved_at_.begin(), curved_at_.end()) && curvatures_.size() == rows();
  if (!known) {
    curvatures_.resize(rows());
    curved_at_.assign(w.begin(), w.end());
  }
  work += multiply(v, product, {}, *margins_->at(w, rows()), known);
  return work;
}

Work LinearObjective::multiply(std::span<const double> v, std::span<double> product, std::span<const double> curved_at,
                               std::span<const double> curve_at, bool curvatures_known) {
  const std::size_t columns = rows_.columns();
  MUSTER_CHECK(v.size() == dimension() && product.size() == dimension(), "a vector of the objective's dimension");
  const Point point = point_of(v, scaling_, rows_.shape());
  Pass pass{rows_.source_,
            rows_.executor_,
            kernel_table(rows_.instruction_set_),
            RowFunction::product,
            point,
            scaling_.centre,
            false};
  std::optional<Point> of_curvature;
  if (!curved_at.empty()) pass.curved_at = &of_curvature.emplace(point_of(curved_at, scaling_, rows_.shape()));
  if (!curve_at.empty()) {
    pass.curve_at = curve_at;
    pass.curvatures = curvatures_;
    pass.curvatures_known = curvatures_known;
  }
  const Sums sums = pass.all_blocks();
  const std::span<const double> by_u(sums.values.data() + kScalars, columns);
  const std::vector<double> by_v = scaling_.unscale(by_u);
  std::copy(by_v.begin(), by_v.end(), product.begin());
  if (intercept_) product[columns] = sums.values[1];
  return work_of_reading(rows_.shape(), 6);
}

std::optional<Work> LinearObjective::value_on_line(std::span<const double> a, std::span<const double> b, double t,
                                                   double& value, double& slope) {
  if (!margins_) margins_.emplace();
  const auto at_a = margins_->at(a, rows_kept()), at_b = margins_->at(b, rows_kept());
  if (!at_a || !at_b) return std::nullopt;
  const KernelTable& table = kernel_table(rows_.instruction_set_);
  const Point point_a = point_of(a, scaling_, rows_.shape()), point_b = point_of(b, scaling_, rows_.shape());
  const Pass pass{rows_.source_, rows_.executor_, table, row_function(), point_a, scaling_.centre, true};
  const std::size_t per_pass = rows_per_block(rows_.shape());
  const Sums sums = sum_rows(
      rows_.source_, rows_.executor_, kLargestBlock, [] { return Sums(2); },
      [&](const Shard& window, RowRange range, int, Sums& sum) {
        AlignedVector<double> found_a, found_b, residuals(range.size());
        const double *from, *to;
        if (rows_kept() > 0) {
          from = at_a->data() + range.begin;
          to = at_b->data() + range.begin;
        } else {
          from = pass.find_margins(window, range, per_pass, point_a, found_a);
          to = pass.find_margins(window, range, per_pass, point_b, found_b);
        }
        for (std::size_t i = 0; i < range.size(); ++i) residuals[i] = from[i] + t * (to[i] - from[i]);
        PassSums of_block;
        table.residuals(row_function(), residuals.data(), range.size(), row_data(window, range.begin), residuals.data(),
                        of_block);
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
  if (rows_.shape().sparse && !intercept_) {
    for (const double centre : scaling_.centre) MUSTER_CHECK(centre == 0, "sparse rows are centred by the intercept");
  }
  return dealt_.deal(rows_.source(), intercept_, rows, seed);
}

std::span<const std::uint32_t> LinearObjective::keys(std::size_t batch) {
  const DealtRows::Place place = dealt_.at(batch);
  return place.batches.keys(place.batch);
}
double LinearObjective::batch_weight(std::size_t batch) {
  const DealtRows::Place place = dealt_.at(batch);
  return place.batches.weight(place.shard, place.batch);
}

Work LinearObjective::batch_gradient(std::size_t batch, std::span<const double> w, double& value, double& residual,
                                     std::span<double> gradient) {
  const DealtRows::Place place = dealt_.at(batch);
  place.batches.gradient(place.shard, kernel_table(rows_.instruction_set_), batch_model(), place.batch, w, value,
                         residual, gradient);
  const Work all = work_of_reading(rows_.shape(), 6);
  const double share = static_cast<double>(place.batches.rows(place.batch)) / static_cast<double>(rows_.rows());
  return {all.bytes * share, all.flops * share};
}

double LinearObjective::largest_row_curvature() {
  return muster::largest_row_curvature(rows_.source(), batch_model());
}

std::vector<double> LinearObjective::implicit_centre() const {
  if (!rows_.shape().sparse) return {};
  std::vector<double> k = scaling_.unscale(scaling_.centre);
  if (intercept_) k.push_back(0);
  return k;
}

}  // namespace muster
