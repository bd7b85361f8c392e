#include "kernels/sparse_rows.h"

#include <algorithm>

namespace muster {
namespace {

// Rows of a tile: few, so that their entries stay in cache between margin and gradient.
constexpr std::size_t kTile = 16;

}  // namespace

template <class T>
void sparse_pass(const KernelTable& table, SparseRows<T> rows, RowData data, RowFunction function, const double* u,
                 double intercept, double* margins, PassSums& sums, double* gradient) {
  const SparseKernels<T>& kernels = table.sparse<T>();
  double buffer[kTile];
  for (std::size_t begin = 0; begin < rows.rows; begin += kTile) {
    const std::size_t count = std::min(kTile, rows.rows - begin);
    const SparseRows<T> tile{rows.row_begin + begin, rows.columns, rows.values, count, rows.cols};
    kernels.margins(tile, u, buffer);
    for (std::size_t i = 0; i < count; ++i)
      buffer[i] = buffer[i] + intercept + (data.offsets ? data.offsets[begin + i] : 0.0);
    if (margins) std::copy_n(buffer, count, margins + begin);
    const RowData tile_data{data.targets ? data.targets + begin : nullptr,
                            data.weights ? data.weights + begin : nullptr, nullptr};
    table.residuals(function, buffer, count, tile_data, buffer, sums);
    kernels.add_multiples(tile, buffer, gradient);
  }
}

template <class T>
void sparse_add_centred(SparseRows<T> rows, const double* weights, const double* centre, int power, double* sums,
                        double* present) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const double weight = weights ? weights[i] : 1.0;
    for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) {
      const std::size_t j = rows.columns[k];
      if (!centre) {
        const auto x = static_cast<double>(rows.values[k]);
        sums[j] += power == 2 ? weight * x * x : weight * x;
        continue;
      }
      const double z = static_cast<double>(rows.values[k]) - centre[j];
      sums[j] += power == 2 ? weight * z * z : weight * z;
      present[j] += weight;
    }
  }
}

template <class T>
void sparse_ranges(SparseRows<T> rows, const unsigned char* select, double* minimum, double* maximum, double* count) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    if (!select[i]) continue;
    for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) {
      const std::size_t j = rows.columns[k];
      const double x = static_cast<double>(rows.values[k]);
      minimum[j] = std::min(minimum[j], x);
      maximum[j] = std::max(maximum[j], x);
      count[j] += 1;
    }
  }
}

template <class T>
void sparse_centre(SparseRows<T> rows, const double* factors, const double* centre, double* out, std::size_t stride) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const double factor = factors ? factors[i] : 1.0;
    double* row = out + i * stride;
    for (std::size_t j = 0; j < rows.cols; ++j) row[j] = factor * -centre[j];
    for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) {
      const std::size_t j = rows.columns[k];
      row[j] = factor * (static_cast<double>(rows.values[k]) - centre[j]);
    }
  }
}

template void sparse_pass(const KernelTable&, SparseRows<double>, RowData, RowFunction, const double*, double, double*,
                          PassSums&, double*);
template void sparse_pass(const KernelTable&, SparseRows<float>, RowData, RowFunction, const double*, double, double*,
                          PassSums&, double*);
template void sparse_add_centred(SparseRows<double>, const double*, const double*, int, double*, double*);
template void sparse_add_centred(SparseRows<float>, const double*, const double*, int, double*, double*);
template void sparse_ranges(SparseRows<double>, const unsigned char*, double*, double*, double*);
template void sparse_ranges(SparseRows<float>, const unsigned char*, double*, double*, double*);
template void sparse_centre(SparseRows<double>, const double*, const double*, double*, std::size_t);
template void sparse_centre(SparseRows<float>, const double*, const double*, double*, std::size_t);

}  // namespace muster
