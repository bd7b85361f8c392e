// The loops over rows, compiled for every instruction set, as a table of function pointers per set. There is no global
// dispatch: callers hold the table of the set they were given.
//
// Common to all kernels: arithmetic in float64 whatever the storage, so that float32 and float64 storage of the same
// values give the same bits; results depend neither on alignment nor on anything outside the arguments; pointers of
// different arguments do not overlap; no kernel throws or allocates. Sums run in fixed lanes: the same on every machine
// for one instruction set, different between sets by rounding (except where a comment says "same bits on every set").
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/double_double.h"
#include "kernels/instruction_set.h"

namespace muster {

// What becomes of a margin m in a pass over rows.
enum class RowFunction {
  squared,  // loss ½(m − y)², residual m − y
  logistic,  // loss log(1 + e^m) − y·m for y in {0, 1}, residual 1/(1 + e^−m) − y; exact to rounding at any margin
  product,  // no loss; residual m: the pass computes XᵀSXv
};

// `rows` rows of `cols` values, row-major without padding.
template <class T>
struct DenseRows {
  const T* values;
  std::size_t rows;
  std::size_t cols;
};

// Row i's entries are [row_begin[i], row_begin[i+1]) of columns and values.
template <class T>
struct SparseRows {
  const std::uint64_t* row_begin;
  const std::uint32_t* columns;
  const T* values;
  std::size_t rows;
  std::size_t cols;
};

// What stands beside the rows; each pointer is at the first of them.
struct RowData {
  const double* targets;  // not read for RowFunction::product
  const double* weights;  // null: all 1
  const double* offsets;  // null: all 0
};

// A linear function of centred rows: margin_i = Σ_j u_j (x_ij − centre_j) + intercept + offset_i.
struct MarginRequest {
  RowFunction function;
  const double* u;
  const double* centre;
  double intercept;
  double* margins = nullptr;  // margin_i is written here too; null: nowhere
};

// Sums over rows; kernels add to them.
struct PassSums {
  double loss = 0;         // Σ s·loss
  double residual = 0;     // Σ s·residual
  double wrong_side = 0;   // logistic: number of rows with s > 0 and (2y − 1)·m <= 0
  double uncertainty = 0;  // logistic: Σ s·p(1 − p)
};

// Rows of several margins, one for each of `classes` classes. Arrays by class have class_stride(classes) entries, those
// past the classes being padding: 0 in what kernels read, spoilt in rows of margins, kept 0 in sums.
inline constexpr std::size_t kClassLanes = 8;
constexpr std::size_t class_stride(std::size_t classes) {
  return (classes + kClassLanes - 1) / kClassLanes * kClassLanes;
}

// What becomes of a row's margins m_k; y is its class.
enum class ClassFunction {
  softmax,  // p_k = e^m_k / Σ e^m; loss −log p_y, residual_k = p_k − 1(k = y); exact to rounding at any margins
  bound,    // no loss; residual_k = ½(m_k − mean of m): the pass computes B·v for the bound B on the Hessian
  hessian,  // no loss; residual_k = p_k (m_k − Σ p_l m_l), p of other margins, m those of a direction: H·v
};

// margin_ik = Σ_j u_jk (x_ij − centre_j) + intercept_k, u_jk at j·stride + k.
struct ClassRequest {
  ClassFunction function;
  std::size_t classes;
  const double* u;
  const double* centre;      // not read for sparse rows: they are not centred
  const double* intercepts;  // by class
  // Without padding, row i's at i·classes:
  const double* at = nullptr;  // hessian: the margins where the loss is curved
  double* margins = nullptr;   // margin_ik is written here too; null: nowhere
};

// Sums over rows; kernels add to them.
struct ClassSums {
  double loss = 0;              // Σ s·loss
  double wrong_side = 0;        // softmax: number of rows with s > 0 whose class has not the largest margin alone
  double* residuals = nullptr;  // by class: Σ s·residual_k
  double* gradient = nullptr;   // by column and class, as u: Σ s·residual_k (x_j − centre_j)
  double* overlaps = nullptr;   // softmax: Σ s·p_a p_b, a < b, at a·stride + b; others are spoilt. Null: not wanted
};

// Below every margin: its exponential is 0.
inline constexpr double kNoMargin = -1e300;

// Kernels over dense rows stored as T.
template <class T>
struct DenseKernels {
  // The fused pass: margins, then residuals, then gradient_j += Σ_i s_i residual_i (x_ij − centre_j), in tiles of rows
  // small enough to stay in cache, so that each row comes from memory once.
  void (*pass)(DenseRows<T> rows, RowData data, MarginRequest request, PassSums& sums, double* gradient);

  // out_i = Σ_j u_j (x_ij − centre_j), with the bits of the fused pass.
  void (*margins)(DenseRows<T> rows, const double* u, const double* centre, double* out);

  // sums_j += Σ_i s_i (x_ij − centre_j); weights null: all 1.
  void (*add_centred)(DenseRows<T> rows, const double* weights, const double* centre, double* sums);
  // sums_j += Σ_i s_i (x_ij − centre_j)².
  void (*add_centred_squares)(DenseRows<T> rows, const double* weights, const double* centre, double* sums);

  // out[i·stride + j] = factor_i (x_ij − centre_j); factors null: all 1. stride >= cols.
  void (*centre)(DenseRows<T> rows, const double* factors, const double* centre, double* out, std::size_t stride);

  // minimum_j = min(minimum_j, x_ij), maximum_j likewise, over rows i with select[i] != 0.
  void (*ranges)(DenseRows<T> rows, const unsigned char* select, double* minimum, double* maximum);

  // As pass, for rows of several margins. room: class_room(cols, classes) values, overwritten.
  void (*class_pass)(DenseRows<T> rows, RowData data, ClassRequest request, double* room, ClassSums& sums);
  // Its halves: writes request.margins alone, with the bits of class_pass; and gradient_jk += Σ_i residual_ik (x_ij −
  // centre_j), residuals being class_stride(classes) apart, their padding 0.
  void (*class_margins)(DenseRows<T> rows, ClassRequest request, double* room);
  void (*add_class_products)(DenseRows<T> rows, const double* residuals, std::size_t classes, const double* centre,
                             double* room, double* gradient);
};

// Kernels over sparse rows, whose entries are those of different columns; the others are plain C++ for every set
// (kernels/sparse_rows.h). Of rows of one margin the same bits on every set.
template <class T>
struct SparseKernels {
  // out_i = Σ_j u_j x_ij, and sums_j += Σ_i factor_i x_ij: the halves of a pass, without a centre.
  void (*margins)(SparseRows<T> rows, const double* u, double* out);
  void (*add_multiples)(SparseRows<T> rows, const double* factors, double* sums);
  // The same of one row as if in twice the precision. Pairs are high and low parts side by side, column j's at 2j.
  DoubleDouble (*dot)(SparseRows<T> rows, std::size_t row, const double* w);
  void (*add_multiple)(DoubleDouble factor, SparseRows<T> rows, std::size_t row, double* pairs);

  // As the dense ones on x itself: centres are not read. room: class_room(0, classes) values, overwritten.
  void (*class_pass)(SparseRows<T> rows, RowData data, ClassRequest request, double* room, ClassSums& sums);
  void (*class_margins)(SparseRows<T> rows, ClassRequest request, double* room);
  void (*add_class_products)(SparseRows<T> rows, const double* residuals, std::size_t classes, const double* centre,
                             double* room, double* gradient);
};

// An array of double-doubles, high parts apart from low ones.
struct DoubleDoubleArray {
  double* high;
  double* low;
};
struct DoubleDoubleView {
  const double* high;
  const double* low;

  DoubleDoubleView(const double* h, const double* l) : high(h), low(l) {}
  DoubleDoubleView(DoubleDoubleArray array) : high(array.high), low(array.low) {}  // NOLINT: a view of it
};

struct KernelTable {
  InstructionSet set;
  DenseKernels<double> dense64;
  DenseKernels<float> dense32;
  SparseKernels<double> sparse64;
  SparseKernels<float> sparse32;

  // residuals_i = s_i · residual(margins_i, y_i), and their sums, for `count` rows. margins and residuals may be the
  // same array.
  void (*residuals)(RowFunction function, const double* margins, std::size_t count, RowData data, double* residuals,
                    PassSums& sums);

  // out_i = s_i p(1 − p), p = 1/(1 + e^−m): the logistic loss's second derivative; weights null: all 1. out may be
  // margins.
  void (*logistic_curvatures)(const double* margins, std::size_t count, const double* weights, double* out);
  // `count` rows of margins, class_stride(classes) apart, become s_i·residual_k, and their sums, but for the gradient.
  // at: hessian's, as far apart, overwritten; else null.
  void (*class_residuals)(ClassFunction function, double* margins, double* at, std::size_t count, RowData data,
                          std::size_t classes, ClassSums& sums);

  // out = e^x and log(1 + x), x > −1, within 3 ulp; a value's bits do not depend on where it stands in the array.
  void (*exp)(const double* x, std::size_t count, double* out);
  void (*log1p)(const double* x, std::size_t count, double* out);

  // The double-double kernels give the same bits on every set, except dot, whose order of addition is the set's.
  // Σ_j x_j w_j.
  DoubleDouble (*dot)(DoubleDoubleView x, const double* w, std::size_t count);
  // out_j = x_j − centre_j; exact to 2u² relative, and exact where the low parts of x are 0.
  void (*subtract)(DoubleDoubleView x, const double* centre, std::size_t count, DoubleDoubleArray out);
  // sums_j += factor · z_j.
  void (*add_multiple)(DoubleDouble factor, DoubleDoubleView z, std::size_t count, DoubleDoubleArray sums);
  // sums_j += from_j.
  void (*add)(DoubleDoubleView from, std::size_t count, DoubleDoubleArray sums);
  // M += s·z·zᵀ, upper triangle: entry (i, j), i <= j, at i·stride + j. stride is a multiple of 8, z has stride
  // entries, those past the order being 0. Entries below the diagonal are spoilt.
  void (*add_outer)(double s, DoubleDoubleView z, std::size_t order, std::size_t stride, DoubleDoubleArray sums);

  // C += XᵀX, upper triangle, for `rows` rows of `order` columns without padding: entry (i, j), i <= j, at i·order + j.
  // Entries below the diagonal are spoilt. room: gram_room(order) values, overwritten.
  void (*add_gram)(const double* panel, std::size_t rows, std::size_t order, double* room, double* sums);

  template <class T>
  const DenseKernels<T>& dense() const {
    if constexpr (sizeof(T) == sizeof(double)) {
      return dense64;
    } else {
      return dense32;
    }
  }
  template <class T>
  const SparseKernels<T>& sparse() const {
    if constexpr (sizeof(T) == sizeof(double)) {
      return sparse64;
    } else {
      return sparse32;
    }
  }
};

// add_gram takes so many rows of a panel at a time: a strip of their columns fits in a first-level cache.
inline constexpr std::size_t kGramRows = 128;
constexpr std::size_t gram_room(std::size_t order) {
  constexpr std::size_t kWidestVector = 8;
  return kGramRows * (order + kWidestVector);
}

// The kernels of a set this program was compiled for. Calling one on a machine without the set is a bug.
const KernelTable& kernel_table(InstructionSet set);

// Rows of a tile of the fused pass: few enough for two tiles to stay in a core's second-level cache between the two
// times they are used, but four where it can be helped, since four rows share every load of a coefficient. A function
// of the number of columns alone, because the lanes of the loss depend on it.
constexpr std::size_t kLargestTile = 64;
constexpr std::size_t tile_rows(std::size_t cols) {
  constexpr std::size_t kTileValues = 8 * 1024;  // 64 KiB as float64
  constexpr std::size_t kFourRows = 256 * 1024;  // values; 2 MiB
  if (4 * cols > kTileValues) return 4 * cols <= kFourRows ? 4 : 1;
  std::size_t rows = kLargestTile;
  while (rows * cols > kTileValues) rows /= 2;
  return rows;
}

constexpr std::size_t class_room(std::size_t cols, std::size_t classes) {
  return tile_rows(cols) * (cols + 2 * class_stride(classes));
}

}  // namespace muster
