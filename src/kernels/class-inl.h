// Loops over rows of several margins, one for each class. Classes are the lanes, eight at a time on every instruction
// set: the arrays by class are padded to that, so no loop has a partial vector. Formulas: see the scalar twin.
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>

#include "kernels/dense-inl.h"
#include "kernels/kernel_table.h"
#include "kernels/loss-inl.h"
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

// A direction's margins q become s p (q − Σ p q), p being the probabilities of the margins m, which are overwritten.
HWY_INLINE void hessian_tile(double* m, double* q, std::size_t count, RowData data, std::size_t classes) {
  const Tag d;
  const std::size_t stride = class_stride(classes);
  for (std::size_t i = 0; i < count; ++i, m += stride, q += stride) {
    probabilities_of_row(m, classes, stride);
    Vector dot = hn::Zero(d);
    for (std::size_t k = 0; k < stride; k += kVectorLanes) dot = hn::MulAdd(load(m + k), load(q + k), dot);
    const Vector mean = hn::SumOfLanes(d, dot);
    const Vector weight = hn::Set(d, data.weights ? data.weights[i] : 1.0);
    for (std::size_t k = 0; k < stride; k += kVectorLanes)
      store(hn::Mul(hn::Mul(weight, load(m + k)), hn::Sub(load(q + k), mean)), q + k);
  }
}

// Margins become residuals. at: overwritten.
HWY_INLINE void class_residuals_of_tile(ClassFunction function, double* margins, double* at, std::size_t count,
                                        RowData data, std::size_t classes, LaneSums& lanes, ClassSums& sums) {
  const std::size_t stride = class_stride(classes);
  switch (function) {
    case ClassFunction::softmax:
      softmax_tile(margins, count, data, classes, lanes, sums);
      break;
    case ClassFunction::bound:
      bound_tile(margins, count, data, classes);
      break;
    case ClassFunction::hessian:
      hessian_tile(at, margins, count, data, classes);
      break;
  }
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t k = 0; k < stride; k += kVectorLanes)
      store(hn::Add(load(sums.residuals + k), load(margins + i * stride + k)), sums.residuals + k);
}

HWY_INLINE RowData rows_from(RowData data, std::size_t row) {
  return {data.targets ? data.targets + row : nullptr, data.weights ? data.weights + row : nullptr, nullptr};
}

HWY_INLINE void add_lanes(const LaneSums& lanes, ClassSums& sums) {
  sums.loss += sum_of_lanes(lanes.loss);
  sums.wrong_side += sum_of_lanes(lanes.wrong_side);
}

inline void class_residuals(ClassFunction function, double* margins, double* at, std::size_t count, RowData data,
                            std::size_t classes, ClassSums& sums) {
  const std::size_t stride = class_stride(classes);
  LaneSums lanes;
  for (std::size_t begin = 0; begin < count; begin += kLargestTile)
    class_residuals_of_tile(function, margins + begin * stride, at ? at + begin * stride : nullptr,
                            HWY_MIN(kLargestTile, count - begin), rows_from(data, begin), classes, lanes, sums);
  add_lanes(lanes, sums);
}

// `count` rows of `classes` values, so far apart from one to the next.
HWY_INLINE void copy_rows(const double* from, std::size_t from_step, std::size_t count, std::size_t classes, double* to,
                          std::size_t to_step) {
  for (std::size_t i = 0; i < count; ++i) std::copy_n(from + i * from_step, classes, to + i * to_step);
}

// A tile's rows from `begin` on have these margins: makes them residuals. room: as many values, overwritten.
HWY_INLINE void finish_tile(const ClassRequest& request, double* margins, std::size_t begin, std::size_t count,
                            RowData data, double* room, LaneSums& lanes, ClassSums& sums) {
  const std::size_t classes = request.classes, stride = class_stride(classes);
  if (request.margins) copy_rows(margins, stride, count, classes, request.margins + begin * classes, classes);
  if (request.function == ClassFunction::hessian)
    copy_rows(request.at + begin * classes, classes, count, classes, room, stride);
  class_residuals_of_tile(request.function, margins, room, count, rows_from(data, begin), classes, lanes, sums);
}

// Where the parts of a tile of dense rows are in the room.
struct ClassTile {
  std::size_t rows, stride;
  double *z, *margins, *rest;  // centred rows; a stride a row; as many again

  ClassTile(std::size_t cols, std::size_t classes, double* room)
      : rows(tile_rows(cols)),
        stride(class_stride(classes)),
        z(room),
        margins(room + rows * cols),
        rest(margins + rows * stride) {}
};

// Centres the rows from `begin` on, a tile of them or what is left. Returns how many.
template <class T>
HWY_INLINE std::size_t centre_tile(DenseRows<T> rows, std::size_t begin, const double* centre, const ClassTile& tile) {
  const std::size_t count = HWY_MIN(tile.rows, rows.rows - begin);
  centre_rows(DenseRows<T>{rows.values + begin * rows.cols, count, rows.cols}, nullptr, centre, tile.z, rows.cols);
  return count;
}

template <class T>
void class_pass(DenseRows<T> rows, RowData data, ClassRequest request, double* room, ClassSums& sums) {
  const ClassTile tile(rows.cols, request.classes, room);
  LaneSums lanes;
  for (std::size_t begin = 0; begin < rows.rows; begin += tile.rows) {
    const std::size_t count = centre_tile(rows, begin, request.centre, tile);
    class_margins(tile.z, count, rows.cols, tile.stride, request.u, request.intercepts, tile.margins);
    finish_tile(request, tile.margins, begin, count, data, tile.rest, lanes, sums);
    add_class_products(tile.z, rows.cols, rows.cols, tile.margins, tile.stride, count, false, sums.gradient);
  }
  add_lanes(lanes, sums);
}

template <class T>
void dense_class_margins(DenseRows<T> rows, ClassRequest request, double* room) {
  const ClassTile tile(rows.cols, request.classes, room);
  for (std::size_t begin = 0; begin < rows.rows; begin += tile.rows) {
    const std::size_t count = centre_tile(rows, begin, request.centre, tile);
    class_margins(tile.z, count, rows.cols, tile.stride, request.u, request.intercepts, tile.margins);
    copy_rows(tile.margins, tile.stride, count, request.classes, request.margins + begin * request.classes,
              request.classes);
  }
}

template <class T>
void dense_class_products(DenseRows<T> rows, const double* residuals, std::size_t classes, const double* centre,
                          double* room, double* gradient) {
  const ClassTile tile(rows.cols, classes, room);
  for (std::size_t begin = 0; begin < rows.rows; begin += tile.rows) {
    const std::size_t count = centre_tile(rows, begin, centre, tile);
    add_class_products(tile.z, rows.cols, rows.cols, residuals + begin * tile.stride, tile.stride, count, false,
                       gradient);
  }
}

// margins_k = Σ_j x_j u_jk + intercept_k over the entries of a row.
template <class T>
HWY_INLINE void margins_of_sparse_row(SparseRows<T> rows, std::size_t row, const ClassRequest& request,
                                      std::size_t stride, double* margins) {
  for (std::size_t k = 0; k < stride; k += kVectorLanes) {
    Vector sum = load(request.intercepts + k);
    for (std::size_t e = rows.row_begin[row]; e < rows.row_begin[row + 1]; ++e)
      sum = hn::MulAdd(hn::Set(Tag(), static_cast<double>(rows.values[e])),
                       load(request.u + rows.columns[e] * stride + k), sum);
    store(sum, margins + k);
  }
}

template <class T>
HWY_INLINE void add_products_of_sparse_row(SparseRows<T> rows, std::size_t row, const double* residuals,
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
    for (std::size_t i = 0; i < count; ++i) margins_of_sparse_row(rows, begin + i, request, stride, room + i * stride);
    finish_tile(request, room, begin, count, data, room + kLargestTile * stride, lanes, sums);
    for (std::size_t i = 0; i < count; ++i)
      add_products_of_sparse_row(rows, begin + i, room + i * stride, stride, sums.gradient);
  }
  add_lanes(lanes, sums);
}

template <class T>
void sparse_class_margins(SparseRows<T> rows, ClassRequest request, double* room) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    margins_of_sparse_row(rows, i, request, class_stride(request.classes), room);
    std::copy_n(room, request.classes, request.margins + i * request.classes);
  }
}

template <class T>
void sparse_class_products(SparseRows<T> rows, const double* residuals, std::size_t classes, const double*, double*,
                           double* gradient) {
  const std::size_t stride = class_stride(classes);
  for (std::size_t i = 0; i < rows.rows; ++i)
    add_products_of_sparse_row(rows, i, residuals + i * stride, stride, gradient);
}

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#endif
