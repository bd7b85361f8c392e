// Loops over dense rows. A row's columns go to lanes in order, the last vector partial; rows are taken four at a time
// so that sums and coefficients are loaded once for four rows. A row's margin and a column's sum have the same bits
// however rows are grouped: the four are independent, and columns add rows in order.
#include "kernels/kernel_table.h"
#include "kernels/vectors-inl.h"

#if defined(MUSTER_KERNELS_DENSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MUSTER_KERNELS_DENSE_INL_H_
#undef MUSTER_KERNELS_DENSE_INL_H_
#else
#define MUSTER_KERNELS_DENSE_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

// sums_k += u (x_k − c) for kRows rows `cols` apart.
template <std::size_t kRows, class T, class Part>
HWY_INLINE void add_products(Part part, const T* x, std::size_t cols, const double* u, const double* c, Vector* sums) {
  const Vector coefficient = part.get(u);
  const Vector centre = part.get(c);
  for (std::size_t k = 0; k < kRows; ++k) {
    sums[k] = hn::MulAdd(coefficient, hn::Sub(part.get(x + k * cols), centre), sums[k]);
  }
}

// Σ_j u_j (x_kj − c_j) for kRows rows.
template <std::size_t kRows, class T>
HWY_INLINE void margins_of(const T* x, std::size_t cols, const double* u, const double* c, double* margins) {
  const std::size_t lanes = hn::Lanes(Tag());
  Vector sums[kRows];
  for (std::size_t k = 0; k < kRows; ++k) sums[k] = hn::Zero(Tag());
  std::size_t j = 0;
  for (; j + lanes <= cols; j += lanes) add_products<kRows>(Whole(), x + j, cols, u + j, c + j, sums);
  if (j < cols) add_products<kRows>(First{cols - j}, x + j, cols, u + j, c + j, sums);
  for (std::size_t k = 0; k < kRows; ++k) margins[k] = sum_of_lanes(sums[k]);
}

template <class T>
HWY_INLINE void margins_of_tile(const T* x, std::size_t count, std::size_t cols, const double* u, const double* c,
                                double* margins) {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) margins_of<4>(x + i * cols, cols, u, c, margins + i);
  for (; i < count; ++i) margins_of<1>(x + i * cols, cols, u, c, margins + i);
}

// sums_j += Σ_k factor_k z_kj, or factor_k z_kj², z = x − c, for kRows rows.
template <bool kSquare, std::size_t kRows, class T, class Part>
HWY_INLINE void add_scaled(Part part, const T* x, std::size_t cols, const Vector* factors, const double* c,
                           double* sums) {
  const Vector centre = part.get(c);
  Vector sum = part.get(sums);
  for (std::size_t k = 0; k < kRows; ++k) {
    const Vector z = hn::Sub(part.get(x + k * cols), centre);
    if constexpr (kSquare) {
      sum = hn::MulAdd(hn::Mul(factors[k], z), z, sum);
    } else {
      sum = hn::MulAdd(factors[k], z, sum);
    }
  }
  part.put(sum, sums);
}

template <bool kSquare, std::size_t kRows, class T>
HWY_INLINE void add_rows(const T* x, std::size_t cols, const double* factors, const double* c, double* sums) {
  const Tag d;
  const std::size_t lanes = hn::Lanes(d);
  Vector factor[kRows];
  for (std::size_t k = 0; k < kRows; ++k) factor[k] = hn::Set(d, factors ? factors[k] : 1.0);
  std::size_t j = 0;
  for (; j + lanes <= cols; j += lanes) {
    add_scaled<kSquare, kRows>(Whole(), x + j, cols, factor, c + j, sums + j);
  }
  if (j < cols) add_scaled<kSquare, kRows>(First{cols - j}, x + j, cols, factor, c + j, sums + j);
}

// factors null: all 1.
template <bool kSquare, class T>
HWY_INLINE void add_tile(const T* x, std::size_t count, std::size_t cols, const double* factors, const double* c,
                         double* sums) {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    add_rows<kSquare, 4>(x + i * cols, cols, factors ? factors + i : nullptr, c, sums);
  }
  for (; i < count; ++i) add_rows<kSquare, 1>(x + i * cols, cols, factors ? factors + i : nullptr, c, sums);
}

template <class T>
void margins_of_rows(DenseRows<T> rows, const double* u, const double* centre, double* out) {
  margins_of_tile(rows.values, rows.rows, rows.cols, u, centre, out);
}

template <class T>
void add_centred(DenseRows<T> rows, const double* weights, const double* centre, double* sums) {
  add_tile<false>(rows.values, rows.rows, rows.cols, weights, centre, sums);
}

template <class T>
void add_centred_squares(DenseRows<T> rows, const double* weights, const double* centre, double* sums) {
  add_tile<true>(rows.values, rows.rows, rows.cols, weights, centre, sums);
}

template <class T, class Part>
HWY_INLINE void centre_part(Part part, const T* x, Vector factor, const double* c, double* out) {
  part.put(hn::Mul(factor, hn::Sub(part.get(x), part.get(c))), out);
}

template <class T>
void centre_rows(DenseRows<T> rows, const double* factors, const double* centre, double* out, std::size_t stride) {
  const std::size_t lanes = hn::Lanes(Tag());
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const T* x = rows.values + i * rows.cols;
    const Vector factor = hn::Set(Tag(), factors ? factors[i] : 1.0);
    std::size_t j = 0;
    for (; j + lanes <= rows.cols; j += lanes) centre_part(Whole(), x + j, factor, centre + j, out + i * stride + j);
    if (j < rows.cols) centre_part(First{rows.cols - j}, x + j, factor, centre + j, out + i * stride + j);
  }
}

template <class T, class Part>
HWY_INLINE void range_part(Part part, const T* x, double* minimum, double* maximum) {
  const Vector v = part.get(x);
  part.put(hn::Min(v, part.get(minimum)), minimum);
  part.put(hn::Max(v, part.get(maximum)), maximum);
}

template <class T>
void ranges(DenseRows<T> rows, const unsigned char* select, double* minimum, double* maximum) {
  const std::size_t lanes = hn::Lanes(Tag());
  for (std::size_t i = 0; i < rows.rows; ++i) {
    if (!select[i]) continue;
    const T* x = rows.values + i * rows.cols;
    std::size_t j = 0;
    for (; j + lanes <= rows.cols; j += lanes) range_part(Whole(), x + j, minimum + j, maximum + j);
    if (j < rows.cols) range_part(First{rows.cols - j}, x + j, minimum + j, maximum + j);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#endif
