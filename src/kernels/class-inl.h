// Loops over rows of several margins, one for each class. Classes are the lanes, eight at a time on every instruction
// set: the arrays by class are padded to that, so no loop has a partial vector. Formulas: see the scalar twin.
#include <hwy/contrib/math/math-inl.h>

#include "kernels/dense-inl.h"
#include "kernels/kernel_table.h"
#include "kernels/vectors-inl.h"

#if defined(MUSTER_KERNELS_CLASS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MUSTER_KERNELS_CLASS_INL_H_
#undef MUSTER_KERNELS_CLASS_INL_H_
#else
#define MUSTER_KERNELS_CLASS_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

// Eight classes are so many vectors.
constexpr std::size_t kEight = kClassLanes / hn::MaxLanes(Tag());
constexpr std::size_t kVectorLanes = hn::MaxLanes(Tag());

// margins_ik = Σ_j z_ij u_jk + intercept_k for kRows rows of `cols` values and eight classes.
template <std::size_t kRows>
HWY_INLINE void margins_of_eight(const double* z, std::size_t cols, const double* u, std::size_t stride,
                                 const double* intercepts, double* margins) {
  const Tag d;
  Vector sums[kRows][kEight];
  for (std::size_t i = 0; i < kRows; ++i)
    for (std::size_t p = 0; p < kEight; ++p) sums[i][p] = hn::Zero(d);
  for (std::size_t j = 0; j < cols; ++j, u += stride) {
    Vector coefficients[kEight];
    for (std::size_t p = 0; p < kEight; ++p) coefficients[p] = load(u + p * kVectorLanes);
    for (std::size_t i = 0; i < kRows; ++i) {
      const Vector x = hn::Set(d, z[i * cols + j]);
      for (std::size_t p = 0; p < kEight; ++p) sums[i][p] = hn::MulAdd(x, coefficients[p], sums[i][p]);
    }
  }
  for (std::size_t i = 0; i < kRows; ++i)
    for (std::size_t p = 0; p < kEight; ++p)
      store(hn::Add(sums[i][p], load(intercepts + p * kVectorLanes)), margins + i * stride + p * kVectorLanes);
}

HWY_INLINE void class_margins(const double* z, std::size_t count, std::size_t cols, std::size_t stride, const double* u,
                              const double* intercepts, double* margins) {
  for (std::size_t k = 0; k < stride; k += kClassLanes) {
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4)
      margins_of_eight<4>(z + i * cols, cols, u + k, stride, intercepts + k, margins + i * stride + k);
    for (; i < count; ++i)
      margins_of_eight<1>(z + i * cols, cols, u + k, stride, intercepts + k, margins + i * stride + k);
  }
}

// sums_jk += Σ_i z_ij r_ik for kCols columns of `count` rows, `step` apart, and eight classes.
template <std::size_t kCols>
HWY_INLINE void add_products_of_eight(const double* z, std::size_t step, const double* r, std::size_t stride,
                                      std::size_t count, double* sums) {
  Vector total[kCols][kEight];
  for (std::size_t j = 0; j < kCols; ++j)
    for (std::size_t p = 0; p < kEight; ++p) total[j][p] = load(sums + j * stride + p * kVectorLanes);
  for (std::size_t i = 0; i < count; ++i, z += step, r += stride) {
    Vector residual[kEight];
    for (std::size_t p = 0; p < kEight; ++p) residual[p] = load(r + p * kVectorLanes);
    for (std::size_t j = 0; j < kCols; ++j) {
      const Vector x = hn::Set(Tag(), z[j]);
      for (std::size_t p = 0; p < kEight; ++p) total[j][p] = hn::MulAdd(x, residual[p], total[j][p]);
    }
  }
  for (std::size_t j = 0; j < kCols; ++j)
    for (std::size_t p = 0; p < kEight; ++p) store(total[j][p], sums + j * stride + p * kVectorLanes);
}

// The same for columns [0, cols). upper: column j is class j, and only classes from its own eight on are added to.
HWY_INLINE void add_class_products(const double* z, std::size_t step, std::size_t cols, const double* r,
                                   std::size_t stride, std::size_t count, bool upper, double* sums) {
  std::size_t j = 0;
  for (; j + 4 <= cols; j += 4)
    for (std::size_t k = upper ? j / kClassLanes * kClassLanes : 0; k < stride; k += kClassLanes)
      add_products_of_eight<4>(z + j, step, r + k, stride, count, sums + j * stride + k);
  for (; j < cols; ++j)
    for (std::size_t k = upper ? j / kClassLanes * kClassLanes : 0; k < stride; k += kClassLanes)
      add_products_of_eight<1>(z + j, step, r + k, stride, count, sums + j * stride + k);
}

// Overwrites a row's margins by e^(m_k − top), 0 for class y and the padding; top is the largest of all. Writes
// m_y − max of the others, and the sum of what it wrote.
HWY_INLINE void exponentials_of_row(double* margins, std::size_t classes, std::size_t stride, std::size_t y,
                                    double& lead, double& rest) {
  const Tag d;
  const double own = margins[y];
  margins[y] = kNoMargin;
  for (std::size_t k = classes; k < stride; ++k) margins[k] = kNoMargin;
  Vector largest = hn::Set(d, kNoMargin);
  for (std::size_t k = 0; k < stride; k += kVectorLanes) largest = hn::Max(largest, load(margins + k));
  const double other = hn::GetLane(hn::MaxOfLanes(d, largest));
  const Vector top = hn::Set(d, HWY_MAX(own, other));
  Vector sum = hn::Zero(d);
  for (std::size_t k = 0; k < stride; k += kVectorLanes) {
    const Vector e = hn::Exp(d, hn::Sub(load(margins + k), top));
    sum = hn::Add(sum, e);
    store(e, margins + k);
  }
  lead = own - other;
  rest = sum_of_lanes(sum);
}

// Of a tile, by row: what softmax needs besides the exponentials.
struct SoftmaxTile {
  double lead[kLargestTile], rest[kLargestTile];    // of exponentials_of_row
  double inverse[kLargestTile], own[kLargestTile];  // 1/Σ_k e_k, and p_y
};

// Losses, a vector of rows at a time.
HWY_INLINE void softmax_losses(SoftmaxTile& tile, std::size_t count, const double* weights, LaneSums& sums) {
  const Tag d;
  const Vector one = hn::Set(d, 1.0);
  for (std::size_t i = 0; i < count; i += kVectorLanes) {
    const First rows{HWY_MIN(kVectorLanes, count - i)};
    const Vector weight = weights ? rows.get(weights + i) : hn::IfThenElseZero(hn::FirstN(d, rows.count), one);
    const Vector lead = rows.get(tile.lead + i), rest = rows.get(tile.rest + i);
    const Vector behind = hn::Min(lead, hn::Zero(d));
    const Vector e = hn::Exp(d, behind);
    const Vector loss = hn::Sub(hn::Log1p(d, hn::Add(rest, hn::Sub(e, one))), behind);
    sums.loss = hn::MulAdd(weight, loss, sums.loss);
    const auto counts = hn::And(hn::Gt(weight, hn::Zero(d)), hn::Le(lead, hn::Zero(d)));
    sums.wrong_side = hn::Add(sums.wrong_side, hn::IfThenElseZero(counts, one));
    const Vector inverse = hn::Div(one, hn::Add(rest, e));
    rows.put(inverse, tile.inverse + i);
    rows.put(hn::Mul(e, inverse), tile.own + i);
  }
}

// row *= factor.
HWY_INLINE void scale_row(double* row, std::size_t stride, double factor) {
  for (std::size_t k = 0; k < stride; k += kVectorLanes) store(hn::Mul(load(row + k), hn::Set(Tag(), factor)), row + k);
}

HWY_INLINE void softmax_tile(double* margins, std::size_t count, RowData data, std::size_t classes, LaneSums& lanes,
                             ClassSums& sums) {
  const std::size_t stride = class_stride(classes);
  SoftmaxTile tile;
  for (std::size_t i = 0; i < count; ++i)
    exponentials_of_row(margins + i * stride, classes, stride, static_cast<std::size_t>(data.targets[i]), tile.lead[i],
                        tile.rest[i]);
  softmax_losses(tile, count, data.weights, lanes);
  // To √s p, whose products with itself are the overlaps, and on to s (p − 1(k = y)).
  for (std::size_t i = 0; i < count; ++i) {
    const double root = data.weights ? std::sqrt(data.weights[i]) : 1.0;
    scale_row(margins + i * stride, stride, root * tile.inverse[i]);
    margins[i * stride + static_cast<std::size_t>(data.targets[i])] = root * tile.own[i];
  }
  if (sums.overlaps) add_class_products(margins, stride, classes, margins, stride, count, true, sums.overlaps);
  for (std::size_t i = 0; i < count; ++i) {
    const double weight = data.weights ? data.weights[i] : 1.0;
    if (data.weights) scale_row(margins + i * stride, stride, std::sqrt(weight));
    margins[i * stride + static_cast<std::size_t>(data.targets[i])] = -weight * (tile.rest[i] * tile.inverse[i]);
  }
}

HWY_INLINE void bound_tile(double* margins, std::size_t count, RowData data, std::size_t classes) {
  const Tag d;
  const std::size_t stride = class_stride(classes);
  for (std::size_t i = 0; i < count; ++i) {
    double* row = margins + i * stride;
    Vector sum = hn::Zero(d);
    for (std::size_t k = 0; k < stride; k += kVectorLanes)
      sum = hn::Add(sum, load_first(row + k, k < classes ? classes - k : 0));
    const Vector mean = hn::Set(d, sum_of_lanes(sum) / static_cast<double>(classes));
    const Vector factor = hn::Set(d, 0.5 * (data.weights ? data.weights[i] : 1.0));
    for (std::size_t k = 0; k < stride; k += kVectorLanes)
      store(hn::IfThenElseZero(hn::FirstN(d, k < classes ? classes - k : 0),
                               hn::Mul(factor, hn::Sub(load(row + k), mean))),
            row + k);
  }
}

HWY_INLINE void class_residuals_of_tile(ClassFunction function, double* margins, std::size_t count, RowData data,
                                        std::size_t classes, LaneSums& lanes, ClassSums& sums) {
  const std::size_t stride = class_stride(classes);
  if (function == ClassFunction::softmax) {
    softmax_tile(margins, count, data, classes, lanes, sums);
  } else {
    bound_tile(margins, count, data, classes);
  }
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t k = 0; k < stride; k += kVectorLanes)
      store(hn::Add(load(sums.residuals + k), load(margins + i * stride + k)), sums.residuals + k);
}

// A row's margins become probabilities, 0 in the padding.
HWY_INLINE void probabilities_of_row(double* margins, std::size_t classes, std::size_t stride) {
  const Tag d;
  for (std::size_t k = classes; k < stride; ++k) margins[k] = kNoMargin;
  Vector top = hn::Set(d, kNoMargin), sum = hn::Zero(d);
  for (std::size_t k = 0; k < stride; k += kVectorLanes) top = hn::Max(top, load(margins + k));
  top = hn::MaxOfLanes(d, top);
  for (std::size_t k = 0; k < stride; k += kVectorLanes) {
    const Vector e = hn::Exp(d, hn::Sub(load(margins + k), top));
    sum = hn::Add(sum, e);
    store(e, margins + k);
  }
  scale_row(margins, stride, 1 / sum_of_lanes(sum));
}

// The direction's margins q become s p (q − Σ p q).
HWY_INLINE void hessian_tile(double* margins, double* direction, std::size_t count, RowData data, std::size_t classes,
                             ClassSums& sums) {
  const Tag d;
  const std::size_t stride = class_stride(classes);
  for (std::size_t i = 0; i < count; ++i) {
    double* p = margins + i * stride;
    double* q = direction + i * stride;
    probabilities_of_row(p, classes, stride);
    Vector dot = hn::Zero(d);
    for (std::size_t k = 0; k < stride; k += kVectorLanes) dot = hn::MulAdd(load(p + k), load(q + k), dot);
    const Vector mean = hn::SumOfLanes(d, dot);
    const Vector weight = hn::Set(d, data.weights ? data.weights[i] : 1.0);
    for (std::size_t k = 0; k < stride; k += kVectorLanes) {
      const Vector r = hn::Mul(hn::Mul(weight, load(p + k)), hn::Sub(load(q + k), mean));
      store(r, q + k);
      store(hn::Add(load(sums.residuals + k), r), sums.residuals + k);
    }
  }
}

HWY_INLINE RowData rows_from(RowData data, std::size_t row) {
  return {data.targets ? data.targets + row : nullptr, data.weights ? data.weights + row : nullptr, nullptr};
}

HWY_INLINE void add_lanes(const LaneSums& lanes, ClassSums& sums) {
  sums.loss += sum_of_lanes(lanes.loss);
  sums.wrong_side += sum_of_lanes(lanes.wrong_side);
}

inline void class_residuals(ClassFunction function, double* margins, std::size_t count, RowData data,
                            std::size_t classes, ClassSums& sums) {
  LaneSums lanes;
  for (std::size_t begin = 0; begin < count; begin += kLargestTile)
    class_residuals_of_tile(function, margins + begin * class_stride(classes), HWY_MIN(kLargestTile, count - begin),
                            rows_from(data, begin), classes, lanes, sums);
  add_lanes(lanes, sums);
}

// Margins of a tile, in the first half of room, become residuals; where there is a direction, its margins do, in the
// second. Returns which.
HWY_INLINE double* residuals_in_room(const ClassRequest& request, double* room, std::size_t room_rows,
                                     std::size_t count, RowData data, LaneSums& lanes, ClassSums& sums) {
  if (request.function != ClassFunction::hessian) {
    class_residuals_of_tile(request.function, room, count, data, request.classes, lanes, sums);
    return room;
  }
  double* direction = room + room_rows * class_stride(request.classes);
  hessian_tile(room, direction, count, data, request.classes, sums);
  return direction;
}

template <class T>
void class_pass(DenseRows<T> rows, RowData data, ClassRequest request, double* room, ClassSums& sums) {
  const std::size_t tile = tile_rows(rows.cols), stride = class_stride(request.classes);
  double* margins = room + tile * rows.cols;
  LaneSums lanes;
  for (std::size_t begin = 0; begin < rows.rows; begin += tile) {
    const std::size_t count = HWY_MIN(tile, rows.rows - begin);
    centre_rows(DenseRows<T>{rows.values + begin * rows.cols, count, rows.cols}, nullptr, request.centre, room,
                rows.cols);
    class_margins(room, count, rows.cols, stride, request.u, request.intercepts, margins);
    if (request.direction)
      class_margins(room, count, rows.cols, stride, request.direction, request.direction_intercepts,
                    margins + tile * stride);
    const double* residuals = residuals_in_room(request, margins, tile, count, rows_from(data, begin), lanes, sums);
    add_class_products(room, rows.cols, rows.cols, residuals, stride, count, false, sums.gradient);
  }
  add_lanes(lanes, sums);
}

// margins_k = Σ_j x_j u_jk + intercept_k over the entries [begin, end) of a row.
template <class T>
HWY_INLINE void sparse_class_margins(SparseRows<T> rows, std::size_t row, const double* u, const double* intercepts,
                                     std::size_t stride, double* margins) {
  for (std::size_t k = 0; k < stride; k += kVectorLanes) {
    Vector sum = load(intercepts + k);
    for (std::size_t e = rows.row_begin[row]; e < rows.row_begin[row + 1]; ++e)
      sum =
          hn::MulAdd(hn::Set(Tag(), static_cast<double>(rows.values[e])), load(u + rows.columns[e] * stride + k), sum);
    store(sum, margins + k);
  }
}

template <class T>
HWY_INLINE void add_sparse_class_products(SparseRows<T> rows, std::size_t row, const double* residuals,
                                          std::size_t stride, double* gradient) {
  for (std::size_t e = rows.row_begin[row]; e < rows.row_begin[row + 1]; ++e) {
    const Vector x = hn::Set(Tag(), static_cast<double>(rows.values[e]));
    double* sums = gradient + rows.columns[e] * stride;
    for (std::size_t k = 0; k < stride; k += kVectorLanes)
      store(hn::MulAdd(x, load(residuals + k), load(sums + k)), sums + k);
  }
}

template <class T>
void sparse_class_pass(SparseRows<T> rows, RowData data, ClassRequest request, double* room, ClassSums& sums) {
  const std::size_t stride = class_stride(request.classes);
  LaneSums lanes;
  for (std::size_t begin = 0; begin < rows.rows; begin += kLargestTile) {
    const std::size_t count = HWY_MIN(kLargestTile, rows.rows - begin);
    for (std::size_t i = 0; i < count; ++i) {
      sparse_class_margins(rows, begin + i, request.u, request.intercepts, stride, room + i * stride);
      if (request.direction)
        sparse_class_margins(rows, begin + i, request.direction, request.direction_intercepts, stride,
                             room + (kLargestTile + i) * stride);
    }
    const double* residuals =
        residuals_in_room(request, room, kLargestTile, count, rows_from(data, begin), lanes, sums);
    for (std::size_t i = 0; i < count; ++i)
      add_sparse_class_products(rows, begin + i, residuals + i * stride, stride, sums.gradient);
  }
  add_lanes(lanes, sums);
}

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#endif
