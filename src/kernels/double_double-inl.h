// Double-double arithmetic on vectors: the operations of base/double_double.h lane by lane, in the same order, so that
// a lane has the bits of the scalar twin.
#include "kernels/kernel_table.h"
#include "kernels/vectors-inl.h"

#if defined(MUSTER_KERNELS_DOUBLE_DOUBLE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MUSTER_KERNELS_DOUBLE_DOUBLE_INL_H_
#undef MUSTER_KERNELS_DOUBLE_DOUBLE_INL_H_
#else
#define MUSTER_KERNELS_DOUBLE_DOUBLE_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

struct Pair {
  Vector high, low;
};

HWY_INLINE Pair vector_two_sum(Vector a, Vector b) {
  const Vector s = hn::Add(a, b);
  const Vector a_part = hn::Sub(s, b);
  const Vector b_part = hn::Sub(s, a_part);
  return {s, hn::Add(hn::Sub(a, a_part), hn::Sub(b, b_part))};
}

HWY_INLINE Pair vector_quick_two_sum(Vector a, Vector b) {
  const Vector s = hn::Add(a, b);
  return {s, hn::Sub(b, hn::Sub(s, a))};
}

HWY_INLINE Pair add_pairs(Pair x, Pair y) {
  const Pair s = vector_two_sum(x.high, y.high);
  const Pair t = vector_two_sum(x.low, y.low);
  const Pair v = vector_quick_two_sum(s.high, hn::Add(s.low, t.high));
  return vector_quick_two_sum(v.high, hn::Add(t.low, v.low));
}

HWY_INLINE Pair multiply_pairs(Pair x, Pair y) {
  const Vector p = hn::Mul(x.high, y.high);
  const Vector error = hn::MulSub(x.high, y.high, p);
  const Vector t = hn::MulAdd(x.high, y.low, hn::Mul(x.low, y.low));
  return vector_quick_two_sum(p, hn::Add(error, hn::MulAdd(x.low, y.high, t)));
}

HWY_INLINE Pair multiply_pair(Pair x, Vector y) {
  const Vector p = hn::Mul(x.high, y);
  const Vector error = hn::MulSub(x.high, y, p);
  return vector_quick_two_sum(p, hn::MulAdd(x.low, y, error));
}

template <class Part>
HWY_INLINE Pair get_pair(Part part, DoubleDoubleView from, std::size_t j) {
  return {part.get(from.high + j), part.get(from.low + j)};
}

template <class Part>
HWY_INLINE void put_pair(Part part, Pair value, DoubleDoubleArray to, std::size_t j) {
  part.put(value.high, to.high + j);
  part.put(value.low, to.low + j);
}

// Lanes are summed apart and added in order at the end.
DoubleDouble dot(DoubleDoubleView x, const double* w, std::size_t count) {
  const std::size_t lanes = hn::Lanes(Tag());
  Pair sum{hn::Zero(Tag()), hn::Zero(Tag())};
  std::size_t j = 0;
  for (; j + lanes <= count; j += lanes) {
    sum = add_pairs(sum, multiply_pair(get_pair(Whole(), x, j), load(w + j)));
  }
  if (j < count) {
    const First part{count - j};
    sum = add_pairs(sum, multiply_pair(get_pair(part, x, j), part.get(w + j)));
  }
  double high[HWY_MAX_BYTES / sizeof(double)];
  double low[HWY_MAX_BYTES / sizeof(double)];
  store(sum.high, high);
  store(sum.low, low);
  DoubleDouble total{high[0], low[0]};
  for (std::size_t lane = 1; lane < lanes; ++lane) total += DoubleDouble(high[lane], low[lane]);
  return total;
}

template <class Part>
HWY_INLINE void subtract_part(Part part, DoubleDoubleView x, const double* centre, std::size_t j,
                              DoubleDoubleArray out) {
  const Pair s = vector_two_sum(part.get(x.high + j), hn::Neg(part.get(centre + j)));
  put_pair(part, vector_quick_two_sum(s.high, hn::Add(part.get(x.low + j), s.low)), out, j);
}

void subtract(DoubleDoubleView x, const double* centre, std::size_t count, DoubleDoubleArray out) {
  const std::size_t lanes = hn::Lanes(Tag());
  std::size_t j = 0;
  for (; j + lanes <= count; j += lanes) subtract_part(Whole(), x, centre, j, out);
  if (j < count) subtract_part(First{count - j}, x, centre, j, out);
}

template <class Part>
HWY_INLINE void add_multiple_part(Part part, Pair factor, DoubleDoubleView z, std::size_t j, DoubleDoubleArray sums) {
  const Pair product = multiply_pairs(factor, get_pair(part, z, j));
  put_pair(part, add_pairs(get_pair(part, sums, j), product), sums, j);
}

HWY_INLINE void add_multiple_inline(DoubleDouble factor, DoubleDoubleView z, std::size_t count,
                                    DoubleDoubleArray sums) {
  const std::size_t lanes = hn::Lanes(Tag());
  const Pair factors{hn::Set(Tag(), factor.high), hn::Set(Tag(), factor.low)};
  std::size_t j = 0;
  for (; j + lanes <= count; j += lanes) add_multiple_part(Whole(), factors, z, j, sums);
  if (j < count) add_multiple_part(First{count - j}, factors, z, j, sums);
}

void add_multiple(DoubleDouble factor, DoubleDoubleView z, std::size_t count, DoubleDoubleArray sums) {
  add_multiple_inline(factor, z, count, sums);
}

template <class Part>
HWY_INLINE void add_part(Part part, DoubleDoubleView from, std::size_t j, DoubleDoubleArray sums) {
  put_pair(part, add_pairs(get_pair(part, sums, j), get_pair(part, from, j)), sums, j);
}

void add(DoubleDoubleView from, std::size_t count, DoubleDoubleArray sums) {
  const std::size_t lanes = hn::Lanes(Tag());
  std::size_t j = 0;
  for (; j + lanes <= count; j += lanes) add_part(Whole(), from, j, sums);
  if (j < count) add_part(First{count - j}, from, j, sums);
}

// Rows of M start at the multiple of the lanes before the diagonal, which spoils entries below it and saves partial
// vectors.
void add_outer(double s, DoubleDoubleView z, std::size_t order, std::size_t stride, DoubleDoubleArray sums) {
  const std::size_t lanes = hn::Lanes(Tag());
  for (std::size_t i = 0; i < order; ++i) {
    const DoubleDouble factor = DoubleDouble(z.high[i], z.low[i]) * s;
    const std::size_t begin = i / lanes * lanes;
    const std::size_t row = i * stride + begin;
    add_multiple_inline(factor, {z.high + begin, z.low + begin}, stride - begin, {sums.high + row, sums.low + row});
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#endif
