// Loops over dense rows. A row's columns go to lanes in order, the last vector partial; rows are taken four at a time
// so that sums and coefficients are loaded once for four rows. A row's margin and a column's sum have the same bits
// however rows are grouped: the four are independent, and columns add rows in order.
//
// The fused pass takes the margins of a tile of rows and adds the tile to the gradient while it is in cache. Memory
// must not stand idle meanwhile: each of the two loops fetches a part of the next tile. Rows too long for that are
// taken by both loops in one (add_and_multiply).
#include <algorithm>
#include <cstdint>

#include "kernels/kernel_table.h"
#include "kernels/loss-inl.h"
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

constexpr std::size_t kCacheLine = 64;

// sums_k += u (x_k − c) for kRows rows `cols` apart.
template <std::size_t kRows, class T, class Part>
HWY_INLINE void add_products(Part part, const T* x, std::size_t cols, const double* u, const double* c, Vector* sums) {
  const Vector coefficient = part.get(u);
  const Vector centre = part.get(c);
  for (std::size_t k = 0; k < kRows; ++k) {
    sums[k] = hn::MulAdd(coefficient, hn::Sub(part.get(x + k * cols), centre), sums[k]);
  }
}

// What a loop over rows brings to the second-level cache beside: nothing, or so many quarters of as many values as it
// reads, from an address on that may lie past the end.
struct FetchNothing {
  template <std::size_t kRows>
  HWY_INLINE void beside(std::size_t) const {}
  HWY_INLINE FetchNothing after(std::size_t) const { return {}; }
};
template <class T, std::size_t kQuarters>
struct Fetch {
  std::uintptr_t from;

  // At the vector of columns j of kRows rows.
  template <std::size_t kRows>
  HWY_INLINE void beside(std::size_t j) const {
    const std::uintptr_t begin = after(kRows * j).from;
    for (std::size_t at = 0; at < kRows * hn::Lanes(Tag()) * kQuarters / 4 * sizeof(T); at += kCacheLine) {
      __builtin_prefetch(reinterpret_cast<const void*>(begin + at), 0, 2);
    }
  }
  // For the rows behind so many values.
  HWY_INLINE Fetch after(std::size_t values) const { return {from + values * kQuarters / 4 * sizeof(T)}; }
};

// Σ_j u_j (x_kj − c_j) for kRows rows.
template <std::size_t kRows, class T, class Beside>
HWY_INLINE void margins_of(const T* x, std::size_t cols, const double* u, const double* c, double* margins,
                           Beside fetch) {
  const std::size_t lanes = hn::Lanes(Tag());
  Vector sums[kRows];
  for (std::size_t k = 0; k < kRows; ++k) sums[k] = hn::Zero(Tag());
  std::size_t j = 0;
  for (; j + lanes <= cols; j += lanes) {
    fetch.template beside<kRows>(j);
    add_products<kRows>(Whole(), x + j, cols, u + j, c + j, sums);
  }
  if (j < cols) add_products<kRows>(First{cols - j}, x + j, cols, u + j, c + j, sums);
  for (std::size_t k = 0; k < kRows; ++k) margins[k] = sum_of_lanes(sums[k]);
}

template <class T, class Beside = FetchNothing>
HWY_INLINE void margins_of_tile(const T* x, std::size_t count, std::size_t cols, const double* u, const double* c,
                                double* margins, Beside fetch = {}) {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    margins_of<4>(x + i * cols, cols, u, c, margins + i, fetch.after(i * cols));
  }
  for (; i < count; ++i) margins_of<1>(x + i * cols, cols, u, c, margins + i, FetchNothing());
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

template <bool kSquare, std::size_t kRows, class T, class Beside>
HWY_INLINE void add_rows(const T* x, std::size_t cols, const double* factors, const double* c, double* sums,
                         Beside fetch) {
  const Tag d;
  const std::size_t lanes = hn::Lanes(d);
  Vector factor[kRows];
  for (std::size_t k = 0; k < kRows; ++k) factor[k] = hn::Set(d, factors ? factors[k] : 1.0);
  std::size_t j = 0;
  for (; j + lanes <= cols; j += lanes) {
    fetch.template beside<kRows>(j);
    add_scaled<kSquare, kRows>(Whole(), x + j, cols, factor, c + j, sums + j);
  }
  if (j < cols) add_scaled<kSquare, kRows>(First{cols - j}, x + j, cols, factor, c + j, sums + j);
}

// factors null: all 1.
template <bool kSquare, class T, class Beside = FetchNothing>
HWY_INLINE void add_tile(const T* x, std::size_t count, std::size_t cols, const double* factors, const double* c,
                         double* sums, Beside fetch = {}) {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    add_rows<kSquare, 4>(x + i * cols, cols, factors ? factors + i : nullptr, c, sums, fetch.after(i * cols));
  }
  for (; i < count; ++i) {
    add_rows<kSquare, 1>(x + i * cols, cols, factors ? factors + i : nullptr, c, sums, FetchNothing());
  }
}

// Rows of a tile of the fused pass: few enough for the first-level cache, but four where it can be helped, since four
// rows share every load of a coefficient; eight where a row is so long that coefficients come from memory, too. A
// function of the number of columns alone, because the lanes of the loss depend on it.
constexpr std::size_t kLongRow = 4096;  // columns
constexpr std::size_t rows_of_pass(std::size_t cols) {
  constexpr std::size_t kTileValues = 4096;  // 32 KiB as float64
  if (cols > 16 * kLongRow) return 8;
  std::size_t rows = kLargestTile;
  while (rows > 4 && rows * cols > kTileValues) rows /= 2;
  return rows;
}

// Consecutive rows.
template <class T>
struct Tile {
  const T* x;
  std::size_t count;
};

// Both loops of the pass at once, for four rows each: adds the rows of `done` to the gradient and takes the margins of
// `next`.
template <class T, class Part>
HWY_INLINE void add_and_multiply(Part part, const T* done, const Vector* factors, const T* next, std::size_t cols,
                                 const double* u, const double* c, double* gradient, Vector* margins) {
  const Vector centre = part.get(c);
  const Vector coefficient = part.get(u);
  Vector sum = part.get(gradient);
  for (std::size_t k = 0; k < 4; ++k) {
    margins[k] = hn::MulAdd(coefficient, hn::Sub(part.get(next + k * cols), centre), margins[k]);
    sum = hn::MulAdd(factors[k], hn::Sub(part.get(done + k * cols), centre), sum);
  }
  part.put(sum, gradient);
}

template <class T>
HWY_INLINE void add_and_multiply_rows(const T* done, const double* factors, const T* next, std::size_t cols,
                                      const double* u, const double* c, double* gradient, double* margins) {
  const Tag d;
  const std::size_t lanes = hn::Lanes(d);
  Vector factor[4], sums[4];
  for (std::size_t k = 0; k < 4; ++k) {
    factor[k] = hn::Set(d, factors[k]);
    sums[k] = hn::Zero(d);
  }
  std::size_t j = 0;
  for (; j + lanes <= cols; j += lanes) {
    add_and_multiply(Whole(), done + j, factor, next + j, cols, u + j, c + j, gradient + j, sums);
  }
  if (j < cols) {
    add_and_multiply(First{cols - j}, done + j, factor, next + j, cols, u + j, c + j, gradient + j, sums);
  }
  for (std::size_t k = 0; k < 4; ++k) margins[k] = sum_of_lanes(sums[k]);
}

// How many quarters of the next tile are fetched while margins are taken, which come from further away; the rest while
// they are added to the gradient. Whole lines for every vector of four rows, where that can be.
template <class T>
constexpr std::size_t kQuartersWithMargins = 4 * hn::MaxLanes(Tag()) * sizeof(T) % (4 * kCacheLine) == 0 ? 3 : 2;

// The gradient's share of the rows of one tile, and the margins of the next, where there are any.
template <class T>
HWY_INLINE void finish_and_begin(Tile<T> done, const double* factors, Tile<T> next, std::size_t cols,
                                 const MarginRequest& request, double* gradient, double* margins) {
  if (cols <= kLongRow) {
    constexpr std::size_t kFirst = kQuartersWithMargins<T>;
    const auto begin = reinterpret_cast<std::uintptr_t>(next.x);
    const std::size_t values = done.count * cols;
    const Fetch<T, 4 - kFirst> rest{Fetch<T, kFirst>{begin}.after(values).from};
    add_tile<false>(done.x, done.count, cols, factors, request.centre, gradient, rest);
    const Fetch<T, kFirst> first{begin + values * sizeof(T)};
    margins_of_tile(next.x, next.count, cols, request.u, request.centre, margins, first);
    return;
  }
  std::size_t i = 0;
  for (; i + 4 <= HWY_MIN(done.count, next.count); i += 4) {
    add_and_multiply_rows(done.x + i * cols, factors + i, next.x + i * cols, cols, request.u, request.centre, gradient,
                          margins + i);
  }
  add_tile<false>(done.x + i * cols, done.count - i, cols, factors + i, request.centre, gradient);
  margins_of_tile(next.x + i * cols, next.count - i, cols, request.u, request.centre, margins + i);
}

template <class T>
void pass(DenseRows<T> rows, RowData data, MarginRequest request, PassSums& sums, double* gradient) {
  double margins[kLargestTile];
  double factors[kLargestTile];
  LaneSums lane_sums;
  const std::size_t tile = rows_of_pass(rows.cols);
  const auto tile_at = [&](std::size_t begin) {
    return Tile<T>{rows.values + begin * rows.cols, HWY_MIN(tile, rows.rows - begin)};
  };
  if (rows.rows == 0) return;
  Tile<T> current = tile_at(0);
  margins_of_tile(current.x, current.count, rows.cols, request.u, request.centre, margins);
  for (std::size_t begin = 0; begin < rows.rows;) {
    for (std::size_t i = 0; i < current.count; ++i) {
      margins[i] = margins[i] + request.intercept + (data.offsets ? data.offsets[begin + i] : 0.0);
    }
    if (request.margins) std::copy_n(margins, current.count, request.margins + begin);
    const RowData tile_data{data.targets ? data.targets + begin : nullptr,
                            data.weights ? data.weights + begin : nullptr, nullptr};
    residual_rows(request.function, margins, current.count, tile_data, factors, lane_sums);
    begin += current.count;
    const Tile<T> next = tile_at(begin);
    finish_and_begin(current, factors, next, rows.cols, request, gradient, margins);
    current = next;
  }
  lane_sums.add_to(sums);
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
