#include "objective/softmax_objective.h"

#include <cmath>
#include <utility>

#include "base/check.h"
#include "objective/row_blocks.h"

namespace muster {

// Coefficients as the kernels want them: arrays by class are padded.
struct SoftmaxObjective::Point {
  AlignedVector<double> u;           // by column and class: v_jk / scale_j
  AlignedVector<double> intercepts;  // by class; sparse: Σ_j u_jk centre_j less
};

// One fused pass over all rows.
struct SoftmaxObjective::Pass {
  RowSource& source;
  Executor& executor;
  const KernelTable& table;
  std::size_t classes, stride;
  std::span<const double> centre;
  const Point& point;
  const Point* direction = nullptr;  // of the Hessian's product

  // What precedes the gradient in an accumulator: [loss, wrong side, residuals by class, overlaps].
  static constexpr std::size_t kResiduals = kClassLanes;
  std::size_t overlaps() const { return kResiduals + stride; }
  std::size_t gradient() const { return overlaps() + classes * stride; }

  Sums all_blocks(ClassFunction function) const {
    const RowShape& shape = source.shape();
    const std::size_t length = gradient() + point.u.size();
    using Room = AlignedVector<double>;
    std::vector<Room> rooms(static_cast<std::size_t>(executor.threads()),
                            Room(class_room(shape.sparse ? 0 : shape.cols, classes)));
    Sums total = sum_rows(
        source, executor, rows_per_block(shape), [length] { return Sums(length); },
        [&](const Shard& window, RowRange range, int thread, Sums& sums) {
          add_block(function, window, range, rooms[static_cast<std::size_t>(thread)].data(), sums);
        });
    if (shape.sparse) centre_gradient(total);
    return total;
  }

 private:
  void add_block(ClassFunction function, const Shard& window, RowRange range, double* room, Sums& sums) const {
    RowData data = row_data(window, range.begin);
    data.offsets = nullptr;
    double* values = sums.values.data();
    ClassSums parts{0, 0, values + kResiduals, values + gradient(), values + overlaps()};
    visit_rows(window, range, [&](auto rows) {
      ClassRequest request{function, classes, point.u.data(), centre.data(), point.intercepts.data()};
      if (direction) {
        request.direction = direction->u.data();
        request.direction_intercepts = direction->intercepts.data();
      }
      run(rows, data, request, room, parts);
    });
    values[0] = parts.loss;
    values[1] = parts.wrong_side;
  }

  template <class T>
  void run(DenseRows<T> rows, RowData data, const ClassRequest& request, double* room, ClassSums& sums) const {
    table.dense<T>().class_pass(rows, data, request, room, sums);
  }
  template <class T>
  void run(SparseRows<T> rows, RowData data, const ClassRequest& request, double* room, ClassSums& sums) const {
    table.sparse<T>().class_pass(rows, data, request, room, sums);
  }

  // Takes off what the kernel, which does not centre, has put into the sums.
  void centre_gradient(Sums& total) const {
    double* by_u = total.values.data() + gradient();
    for (std::size_t j = 0; j < centre.size(); ++j) {
      for (std::size_t k = 0; k < classes; ++k) {
        double& sum = by_u[j * stride + k];
        sum = std::fma(-centre[j], total.values[kResiduals + k], sum);
      }
    }
  }
};

SoftmaxObjective::SoftmaxObjective(LinearRows& rows, std::size_t classes, Scaling scaling, bool intercept)
    : rows_(rows), classes_(classes), scaling_(std::move(scaling)), intercept_(intercept) {
  const std::size_t columns = rows.columns();
  MUSTER_CHECK(classes >= 2, "two classes or more");
  MUSTER_CHECK(scaling_.centre.size() == columns && scaling_.scale.size() == columns, "a scaling of every column");
  MUSTER_CHECK(rows.shape().has_targets, "training needs targets");
}

SoftmaxObjective::Point SoftmaxObjective::point_at(std::span<const double> v) const {
  MUSTER_CHECK(v.size() == dimension(), "a vector of the objective's dimension");
  const std::size_t columns = rows_.columns(), stride = class_stride(classes_);
  Point point{AlignedVector<double>(columns * stride, 0.0), AlignedVector<double>(stride, 0.0)};
  const bool sparse = rows_.shape().sparse;
  for (std::size_t k = 0; k < classes_; ++k) {
    DoubleDouble intercept = intercept_ ? v[columns * classes_ + k] : 0.0;
    for (std::size_t j = 0; j < columns; ++j) {
      if (scaling_.scale[j] == 0) continue;
      const double u = v[j * classes_ + k] / scaling_.scale[j];
      point.u[j * stride + k] = u;
      if (sparse) intercept -= two_product(u, scaling_.centre[j]);
    }
    point.intercepts[k] = static_cast<double>(intercept);
  }
  return point;
}

SoftmaxObjective::Pass SoftmaxObjective::pass_at(const Point& point) const {
  const KernelTable& table = kernel_table(rows_.instruction_set_);
  return {rows_.source_, rows_.executor_, table, classes_, class_stride(classes_), scaling_.centre, point};
}

void SoftmaxObjective::write_gradient(const Pass& pass, std::span<const double> sums,
                                      std::span<double> gradient) const {
  MUSTER_CHECK(gradient.size() == dimension(), "a vector of the objective's dimension");
  const std::size_t columns = rows_.columns();
  const double* by_u = sums.data() + pass.gradient();
  for (std::size_t j = 0; j < columns; ++j) {
    for (std::size_t k = 0; k < classes_; ++k) {
      const double scale = scaling_.scale[j];
      gradient[j * classes_ + k] = scale == 0 ? 0.0 : by_u[j * pass.stride + k] / scale;
    }
  }
  for (std::size_t k = 0; k < classes_ && intercept_; ++k)
    gradient[columns * classes_ + k] = sums[Pass::kResiduals + k];
}

Work SoftmaxObjective::value_and_gradient(std::span<const double> v, double& value, std::span<double> gradient,
                                          std::span<double> tallies_out) {
  MUSTER_CHECK(tallies_out.size() == tallies(), "room for the tallies");
  const Point point = point_at(v);
  const Pass pass = pass_at(point);
  const Sums sums = pass.all_blocks(ClassFunction::softmax);
  value = sums.values[0];
  write_gradient(pass, sums.values, gradient);
  std::size_t at = 0;
  tallies_out[at++] = sums.values[1];
  for (std::size_t a = 0; a < classes_; ++a)
    for (std::size_t b = a + 1; b < classes_; ++b)
      tallies_out[at++] = sums.values[pass.overlaps() + a * pass.stride + b];
  return work_of_reading(rows_.shape(), 4 * static_cast<double>(classes_));
}

Work SoftmaxObjective::curvature_product(std::span<const double> v, std::span<double> product) {
  const Point point = point_at(v);
  const Pass pass = pass_at(point);
  const Sums sums = pass.all_blocks(ClassFunction::bound);
  write_gradient(pass, sums.values, product);
  return work_of_reading(rows_.shape(), 4 * static_cast<double>(classes_));
}

Work SoftmaxObjective::hessian_product(std::span<const double> w, std::span<const double> v,
                                       std::span<double> product) {
  const Point point = point_at(w), direction = point_at(v);
  Pass pass = pass_at(point);
  pass.direction = &direction;
  const Sums sums = pass.all_blocks(ClassFunction::hessian);
  write_gradient(pass, sums.values, product);
  return work_of_reading(rows_.shape(), 6 * static_cast<double>(classes_));
}

std::vector<double> curvature_by_intercepts(std::span<const double> tallies, std::size_t classes, double weight) {
  MUSTER_CHECK(tallies.size() == 1 + classes * (classes - 1) / 2, "the tallies of so many classes");
  std::vector<double> curvature(classes * classes, 0.0);
  std::size_t at = 1;
  for (std::size_t a = 0; a < classes; ++a) {
    for (std::size_t b = a + 1; b < classes; ++b, ++at) {
      const double overlap = tallies[at] / weight;
      curvature[a * classes + b] = curvature[b * classes + a] = -overlap;
      curvature[a * classes + a] += overlap;
      curvature[b * classes + b] += overlap;
    }
  }
  return curvature;
}

}  // namespace muster
