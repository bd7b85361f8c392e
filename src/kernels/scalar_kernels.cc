// The scalar twins: each kernel written plainly, one value at a time. They are the instruction set `scalar`, and what
// the vector kernels are tested against.
#include <algorithm>
#include <cmath>

#include "kernels/scalar_classes.h"
#include "kernels/scalar_math.h"
#include "kernels/sparse_lanes.h"
#include "kernels/tables.h"

namespace muster {
namespace {

double weight_of(const RowData& data, std::size_t row) {
  return data.weights ? data.weights[row] : 1.0;
}

RowData from_row(RowData data, std::size_t row) {
  return {data.targets ? data.targets + row : nullptr, data.weights ? data.weights + row : nullptr,
          data.offsets ? data.offsets + row : nullptr};
}

// σ(−z) and the loss in terms of z = (2y − 1)·m and e = exp(−|z|) <= 1: nothing overflows and nothing cancels.
double logistic_residual(double m, double y, double weight, PassSums& sums) {
  const double side = 2 * y - 1;
  const double z = side * m;
  const double e = scalar_exp(-std::fabs(z));
  const double other = 1 / (1 + e);
  const double wrong = (z >= 0 ? e : 1.0) * other;
  sums.loss += weight * ((z < 0 ? -z : 0.0) + scalar_log1p(e));
  sums.uncertainty += weight * (e * other * other);
  if (weight > 0 && z <= 0) sums.wrong_side += 1;
  return weight * (-side * wrong);
}

void residuals(RowFunction function, const double* margins, std::size_t count, RowData data, double* out,
               PassSums& sums) {
  for (std::size_t i = 0; i < count; ++i) {
    const double weight = weight_of(data, i);
    double r = 0;
    switch (function) {
      case RowFunction::squared: {
        const double difference = margins[i] - data.targets[i];
        r = weight * difference;
        sums.loss += 0.5 * (r * difference);
        break;
      }
      case RowFunction::logistic:
        r = logistic_residual(margins[i], data.targets[i], weight, sums);
        break;
      case RowFunction::product:
        r = weight * margins[i];
        break;
    }
    sums.residual += r;
    out[i] = r;
  }
}

void logistic_curvatures(const double* margins, std::size_t count, const double* weights, double* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const double e = scalar_exp(-std::fabs(margins[i]));
    const double other = 1 / (1 + e);
    out[i] = (weights ? weights[i] : 1.0) * (e * other * other);
  }
}

template <class T>
double margin_of(const T* x, std::size_t cols, const double* u, const double* centre) {
  double margin = 0;
  for (std::size_t j = 0; j < cols; ++j) margin += u[j] * (static_cast<double>(x[j]) - centre[j]);
  return margin;
}

template <class T>
void margins_of_rows(DenseRows<T> rows, const double* u, const double* centre, double* out) {
  for (std::size_t i = 0; i < rows.rows; ++i) out[i] = margin_of(rows.values + i * rows.cols, rows.cols, u, centre);
}

template <class T>
void pass(DenseRows<T> rows, RowData data, MarginRequest request, PassSums& sums, double* gradient) {
  double buffer[kLargestTile];
  const std::size_t tile = tile_rows(rows.cols);
  for (std::size_t begin = 0; begin < rows.rows; begin += tile) {
    const std::size_t count = std::min(tile, rows.rows - begin);
    for (std::size_t i = 0; i < count; ++i) {
      const double margin = margin_of(rows.values + (begin + i) * rows.cols, rows.cols, request.u, request.centre);
      buffer[i] = margin + request.intercept + (data.offsets ? data.offsets[begin + i] : 0.0);
    }
    if (request.margins) std::copy_n(buffer, count, request.margins + begin);
    residuals(request.function, buffer, count, from_row(data, begin), buffer, sums);
    for (std::size_t i = 0; i < count; ++i) {
      const T* x = rows.values + (begin + i) * rows.cols;
      for (std::size_t j = 0; j < rows.cols; ++j) {
        gradient[j] += buffer[i] * (static_cast<double>(x[j]) - request.centre[j]);
      }
    }
  }
}

template <class T>
void add_centred(DenseRows<T> rows, const double* weights, const double* centre, double* sums) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const double weight = weights ? weights[i] : 1.0;
    for (std::size_t j = 0; j < rows.cols; ++j) {
      sums[j] += weight * (static_cast<double>(rows.values[i * rows.cols + j]) - centre[j]);
    }
  }
}

template <class T>
void add_centred_squares(DenseRows<T> rows, const double* weights, const double* centre, double* sums) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const double weight = weights ? weights[i] : 1.0;
    for (std::size_t j = 0; j < rows.cols; ++j) {
      const double z = static_cast<double>(rows.values[i * rows.cols + j]) - centre[j];
      sums[j] += weight * z * z;
    }
  }
}

template <class T>
void centre_rows(DenseRows<T> rows, const double* factors, const double* centre, double* out, std::size_t stride) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const double factor = factors ? factors[i] : 1.0;
    for (std::size_t j = 0; j < rows.cols; ++j) {
      out[i * stride + j] = factor * (static_cast<double>(rows.values[i * rows.cols + j]) - centre[j]);
    }
  }
}

template <class T>
void ranges(DenseRows<T> rows, const unsigned char* select, double* minimum, double* maximum) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    if (!select[i]) continue;
    for (std::size_t j = 0; j < rows.cols; ++j) {
      const double x = static_cast<double>(rows.values[i * rows.cols + j]);
      minimum[j] = std::min(minimum[j], x);
      maximum[j] = std::max(maximum[j], x);
    }
  }
}

template <class T>
void sparse_margins(SparseRows<T> rows, const double* u, double* out) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    double lanes[kSparseLanes] = {};
    const std::size_t first = rows.row_begin[i];
    for (std::size_t k = first; k < rows.row_begin[i + 1]; ++k)
      lanes[(k - first) % kSparseLanes] += u[rows.columns[k]] * static_cast<double>(rows.values[k]);
    out[i] = sum_of_sparse_lanes(lanes);
  }
}

template <class T>
void sparse_add_multiples(SparseRows<T> rows, const double* factors, double* sums) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k)
      sums[rows.columns[k]] += factors[i] * static_cast<double>(rows.values[k]);
  }
}

template <class T>
DoubleDouble sparse_dot(SparseRows<T> rows, std::size_t row, const double* w) {
  double high[kSparseLanes] = {}, low[kSparseLanes] = {};
  const std::size_t first = rows.row_begin[row];
  for (std::size_t k = first; k < rows.row_begin[row + 1]; ++k) {
    const std::size_t lane = (k - first) % kSparseLanes;
    add_to_compensated(high[lane], low[lane], w[rows.columns[k]], static_cast<double>(rows.values[k]));
  }
  return sum_of_sparse_lanes(high, low);
}

template <class T>
void sparse_add_multiple(DoubleDouble factor, SparseRows<T> rows, std::size_t row, double* pairs) {
  for (std::size_t k = rows.row_begin[row]; k < rows.row_begin[row + 1]; ++k)
    add_product(pairs + 2 * std::size_t{rows.columns[k]}, factor, static_cast<double>(rows.values[k]));
}

void exp_array(const double* x, std::size_t count, double* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = scalar_exp(x[i]);
}

void log1p_array(const double* x, std::size_t count, double* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = scalar_log1p(x[i]);
}

DoubleDouble at(DoubleDoubleView array, std::size_t j) {
  return {array.high[j], array.low[j]};
}

void put(DoubleDoubleArray array, std::size_t j, DoubleDouble value) {
  array.high[j] = value.high;
  array.low[j] = value.low;
}

DoubleDouble dot(DoubleDoubleView x, const double* w, std::size_t count) {
  DoubleDouble sum;
  for (std::size_t j = 0; j < count; ++j) sum += at(x, j) * w[j];
  return sum;
}

void subtract(DoubleDoubleView x, const double* centre, std::size_t count, DoubleDoubleArray out) {
  for (std::size_t j = 0; j < count; ++j) {
    const DoubleDouble s = two_sum(x.high[j], -centre[j]);
    put(out, j, quick_two_sum(s.high, x.low[j] + s.low));
  }
}

void add_multiple(DoubleDouble factor, DoubleDoubleView z, std::size_t count, DoubleDoubleArray sums) {
  for (std::size_t j = 0; j < count; ++j) put(sums, j, at(sums, j) + factor * at(z, j));
}

void add(DoubleDoubleView from, std::size_t count, DoubleDoubleArray sums) {
  for (std::size_t j = 0; j < count; ++j) put(sums, j, at(sums, j) + at(from, j));
}

void add_outer(double s, DoubleDoubleView z, std::size_t order, std::size_t stride, DoubleDoubleArray sums) {
  for (std::size_t i = 0; i < order; ++i) {
    const DoubleDouble factor = at(z, i) * s;
    const std::size_t row = i * stride + i;
    add_multiple(factor, {z.high + i, z.low + i}, order - i, {sums.high + row, sums.low + row});
  }
}

// C_ij over so many rows for a tile of 4 × 4 entries, or of `height` × `width` at an edge.
void add_gram_tile(const double* x, const double* y, std::size_t rows, std::size_t order, std::size_t height,
                   std::size_t width, double* sums) {
  double tile[4][4] = {};
  const auto add = [&](std::size_t h, std::size_t w) {
    for (std::size_t k = 0; k < rows; ++k) {
      for (std::size_t i = 0; i < h; ++i) {
        for (std::size_t j = 0; j < w; ++j) tile[i][j] += x[k * order + i] * y[k * order + j];
      }
    }
  };
  if (height == 4 && width == 4) {
    add(4, 4);
  } else {
    add(height, width);
  }
  for (std::size_t i = 0; i < height; ++i) {
    for (std::size_t j = 0; j < width; ++j) sums[i * order + j] += tile[i][j];
  }
}

void add_gram(const double* panel, std::size_t rows, std::size_t order, double*, double* sums) {
  for (std::size_t begin = 0; begin < rows; begin += kGramRows) {
    const double* x = panel + begin * order;
    const std::size_t count = std::min(kGramRows, rows - begin);
    for (std::size_t i = 0; i < order; i += 4) {
      for (std::size_t j = i; j < order; j += 4) {
        add_gram_tile(x + i, x + j, count, order, std::min<std::size_t>(4, order - i),
                      std::min<std::size_t>(4, order - j), sums + i * order + j);
      }
    }
  }
}

template <class T>
constexpr DenseKernels<T> dense_kernels() {
  return {pass<T>,
          margins_of_rows<T>,
          add_centred<T>,
          add_centred_squares<T>,
          centre_rows<T>,
          ranges<T>,
          scalar_class_pass<DenseRows<T>>,
          scalar_class_margins<DenseRows<T>>,
          scalar_class_products<DenseRows<T>>};
}
template <class T>
constexpr SparseKernels<T> sparse_kernels() {
  return {sparse_margins<T>,
          sparse_add_multiples<T>,
          sparse_dot<T>,
          sparse_add_multiple<T>,
          scalar_class_pass<SparseRows<T>>,
          scalar_class_margins<SparseRows<T>>,
          scalar_class_products<SparseRows<T>>};
}

constexpr KernelTable kTable{InstructionSet::scalar,
                             dense_kernels<double>(),
                             dense_kernels<float>(),
                             sparse_kernels<double>(),
                             sparse_kernels<float>(),
                             residuals,
                             logistic_curvatures,
                             scalar_class_residuals,
                             exp_array,
                             log1p_array,
                             dot,
                             subtract,
                             add_multiple,
                             add,
                             add_outer,
                             add_gram};

}  // namespace

const KernelTable& scalar_kernel_table() {
  return kTable;
}

}  // namespace muster
