// Sparse rows of one margin each: entries are gathered and scattered by vectors, which keeps more of memory's answers
// under way than one entry at a time does. Lanes are those of the scalar twin, without fused products, so that every
// set gives its bits.
#include "kernels/double_double-inl.h"
#include "kernels/kernel_table.h"
#include "kernels/sparse_lanes.h"
#include "kernels/vectors-inl.h"

#if defined(MUSTER_KERNELS_SPARSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MUSTER_KERNELS_SPARSE_INL_H_
#undef MUSTER_KERNELS_SPARSE_INL_H_
#else
#define MUSTER_KERNELS_SPARSE_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

using IndexTag = hn::RebindToSigned<Tag>;
using Indices = hn::Vec<IndexTag>;
inline constexpr std::size_t kWidth = hn::MaxLanes(Tag());
inline constexpr std::size_t kVectors = kSparseLanes / kWidth;

HWY_INLINE Indices load_indices(const std::uint32_t* columns) {
  const hn::RebindToUnsigned<Tag> wide;
  return hn::BitCast(IndexTag(), hn::PromoteTo(wide, hn::LoadU(hn::Rebind<std::uint32_t, Tag>(), columns)));
}

template <class T>
HWY_INLINE double sparse_margin(SparseRows<T> rows, std::size_t row, const double* u) {
  Vector sums[kVectors];
  for (Vector& sum : sums) sum = hn::Zero(Tag());
  std::size_t k = rows.row_begin[row];
  const std::size_t end = rows.row_begin[row + 1];
  for (; k + kSparseLanes <= end; k += kSparseLanes) {
    for (std::size_t i = 0; i < kVectors; ++i) {
      const std::size_t at = k + i * kWidth;
      const Vector of_column = hn::GatherIndex(Tag(), u, load_indices(rows.columns + at));
      sums[i] = hn::Add(sums[i], hn::Mul(of_column, load(rows.values + at)));
    }
  }
  HWY_ALIGN double lanes[kSparseLanes];
  for (std::size_t i = 0; i < kVectors; ++i) hn::Store(sums[i], Tag(), lanes + i * kWidth);
  for (std::size_t lane = 0; k < end; ++k, ++lane)
    lanes[lane] += u[rows.columns[k]] * static_cast<double>(rows.values[k]);
  return sum_of_sparse_lanes(lanes);
}

template <class T>
void sparse_margins(SparseRows<T> rows, const double* u, double* out) {
  for (std::size_t i = 0; i < rows.rows; ++i) out[i] = sparse_margin(rows, i, u);
}

template <class T>
void sparse_add_multiples(SparseRows<T> rows, const double* factors, double* sums) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const Vector factor = hn::Set(Tag(), factors[i]);
    std::size_t k = rows.row_begin[i];
    const std::size_t end = rows.row_begin[i + 1];
    for (; k + kWidth <= end; k += kWidth) {
      const Indices at = load_indices(rows.columns + k);  // of one row, so no two are equal
      const Vector sum = hn::Add(hn::GatherIndex(Tag(), sums, at), hn::Mul(factor, load(rows.values + k)));
      hn::ScatterIndex(sum, Tag(), sums, at);
    }
    for (; k < end; ++k) sums[rows.columns[k]] += factors[i] * static_cast<double>(rows.values[k]);
  }
}

// sum + x·y, as add_to_compensated of one value.
HWY_INLINE Pair add_compensated(Pair sum, Vector x, Vector y) {
  const Vector product = hn::Mul(x, y);
  const Pair high = vector_two_sum(sum.high, product);
  return {high.high, hn::Add(sum.low, hn::Add(high.low, hn::MulSub(x, y, product)))};
}

template <class T>
DoubleDouble sparse_dot(SparseRows<T> rows, std::size_t row, const double* w) {
  Pair sums[kVectors];
  for (Pair& sum : sums) sum = {hn::Zero(Tag()), hn::Zero(Tag())};
  std::size_t k = rows.row_begin[row];
  const std::size_t end = rows.row_begin[row + 1];
  for (; k + kSparseLanes <= end; k += kSparseLanes) {
    for (std::size_t i = 0; i < kVectors; ++i) {
      const std::size_t at = k + i * kWidth;
      const Vector of_column = hn::GatherIndex(Tag(), w, load_indices(rows.columns + at));
      sums[i] = add_compensated(sums[i], of_column, load(rows.values + at));
    }
  }
  HWY_ALIGN double high[kSparseLanes];
  HWY_ALIGN double low[kSparseLanes];
  for (std::size_t i = 0; i < kVectors; ++i) {
    hn::Store(sums[i].high, Tag(), high + i * kWidth);
    hn::Store(sums[i].low, Tag(), low + i * kWidth);
  }
  for (std::size_t lane = 0; k < end; ++k, ++lane)
    add_to_compensated(high[lane], low[lane], w[rows.columns[k]], static_cast<double>(rows.values[k]));
  return sum_of_sparse_lanes(high, low);
}

template <class T>
void sparse_add_multiple(DoubleDouble factor, SparseRows<T> rows, std::size_t row, double* pairs) {
  const Vector factor_high = hn::Set(Tag(), factor.high), factor_low = hn::Set(Tag(), factor.low);
  std::size_t k = rows.row_begin[row];
  const std::size_t end = rows.row_begin[row + 1];
  for (; k + kWidth <= end; k += kWidth) {
    const Indices at = hn::ShiftLeft<1>(load_indices(rows.columns + k));
    const Vector x = load(rows.values + k);
    const Vector product = hn::Mul(factor_high, x);
    const Vector error = hn::MulSub(factor_high, x, product);
    const Pair sum = vector_two_sum(hn::GatherIndex(Tag(), pairs, at), product);
    const Vector low = hn::Add(sum.low, hn::Add(error, hn::Mul(factor_low, x)));
    hn::ScatterIndex(sum.high, Tag(), pairs, at);
    hn::ScatterIndex(hn::Add(hn::GatherIndex(Tag(), pairs + 1, at), low), Tag(), pairs + 1, at);
  }
  for (; k < end; ++k)
    add_product(pairs + 2 * std::size_t{rows.columns[k]}, factor, static_cast<double>(rows.values[k]));
}

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#endif
