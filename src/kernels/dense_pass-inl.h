// The fused pass over dense rows: every row comes from memory once, and memory never stands idle.
//
// Rows are taken in groups: their margins, what the loss makes of them, and their share of the gradient while they are
// in cache. Both loops fetch a part of what comes next beside their arithmetic. Half of a group goes on where the last
// group's stopped, and half of it does so from the middle of the rows: memory brings two runs of addresses faster than
// one, since what fetches ahead in the processor begins anew with every page of a run.
//
// Very long rows are taken by both loops in one (add_and_multiply).
#include <algorithm>
#include <cstdint>

#include "kernels/dense-inl.h"
#include "kernels/kernel_table.h"
#include "kernels/loss-inl.h"
#include "kernels/vectors-inl.h"

#if defined(MUSTER_KERNELS_DENSE_PASS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MUSTER_KERNELS_DENSE_PASS_INL_H_
#undef MUSTER_KERNELS_DENSE_PASS_INL_H_
#else
#define MUSTER_KERNELS_DENSE_PASS_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

constexpr std::size_t kPassLanes = hn::MaxLanes(Tag());
constexpr std::size_t kCacheLine = 64;

// Columns up to which a group's centred rows are kept between its two loops, in the first-level cache; as many as a
// group has a vector of rows; and from which on it is no longer groups. Functions of the columns alone, because the
// lanes of the loss depend on them.
constexpr std::size_t kKeptRow = 256;
constexpr std::size_t kShortRow = 512;
constexpr std::size_t kLongRow = 4096;

// Lane k: the sum of the lanes of v[k], in the order of sum_of_lanes().
HWY_INLINE Vector sums_of_lanes(const Vector* v) {
  const Tag d;
  constexpr std::size_t kHalf = kPassLanes / 2;
  Vector halves[kHalf];
  for (std::size_t k = 0; k < kHalf; ++k) {
    halves[k] = hn::Add(hn::ConcatLowerLower(d, v[k + kHalf], v[k]), hn::ConcatUpperUpper(d, v[k + kHalf], v[k]));
  }
  if constexpr (kHalf == 4) {
    for (std::size_t k = 0; k < 2; ++k) {
      const Vector outer = hn::OddEvenBlocks(halves[k + 2], halves[k]);
      const Vector inner = hn::OddEvenBlocks(halves[k], halves[k + 2]);
      halves[k] = hn::Add(outer, hn::SwapAdjacentBlocks(inner));
    }
  }
  return hn::Add(hn::InterleaveLower(d, halves[0], halves[1]), hn::InterleaveUpper(d, halves[0], halves[1]));
}

// What a loop over the columns of a group fetches beside: kBytes of each run for every vector of columns, from
// addresses on that may lie past the end. kLevel: of cache, 1 or 2.
template <int kLevel, std::size_t kBytes>
struct Fetch {
  std::uintptr_t runs[2];

  HWY_INLINE void beside(std::size_t j) const {
    for (std::size_t at = 0; at < kBytes; at += kCacheLine) {
      for (const std::uintptr_t run : runs) {
        __builtin_prefetch(reinterpret_cast<const void*>(run + j * kBytes / kPassLanes + at), 0, 4 - kLevel);
      }
    }
  }
  // For the loop after this one, over so many columns.
  HWY_INLINE Fetch after(std::size_t cols) const {
    const std::size_t bytes = cols * kBytes / kPassLanes;
    return {{runs[0] + bytes, runs[1] + bytes}};
  }
};

// A pass in groups of kRows rows. kKept: centred rows are kept for the second loop, which else centres them again.
template <class T, std::size_t kRows, bool kKept>
struct GroupPass {
  static_assert(kRows <= kPassLanes && kRows >= 4);
  // Half of a group is fetched by each loop. Where rows are kept, they are too short for a group to be far enough
  // ahead.
  using FetchHalf = Fetch<kKept ? 1 : 2, kRows / 2 * kPassLanes * sizeof(T) / 2>;
  static constexpr std::size_t kBytesAhead = 4000;

  DenseRows<T> rows;
  RowData data;
  const MarginRequest& request;
  double* gradient;
  std::size_t groups = rows.rows / kRows;
  std::size_t middle = groups * (kRows / 2);

  // Row k of a group.
  HWY_INLINE std::size_t row(std::size_t group, std::size_t k) const {
    return group * (kRows / 2) + (k < kRows / 2 ? k : middle + k - kRows / 2);
  }
  HWY_INLINE const T* at(std::size_t i) const { return rows.values + i * rows.cols; }
  HWY_INLINE Vector gather(const double* values, std::size_t group) const {
    alignas(kCacheLine) double lanes[kPassLanes] = {};
    for (std::size_t k = 0; k < kRows; ++k) lanes[k] = values[row(group, k)];
    return hn::Load(Tag(), lanes);
  }

  // Past the middle, and past the end, the next rows in memory: those of the next block, as long as this one.
  HWY_INLINE FetchHalf fetch_from(std::size_t group) const {
    const std::size_t run = middle * rows.cols * sizeof(T);
    const std::size_t half = kRows / 2 * rows.cols * sizeof(T);
    const std::size_t ahead = group * half + (kKept ? kBytesAhead : half);
    const std::uintptr_t from = reinterpret_cast<std::uintptr_t>(rows.values) + ahead + (ahead < run ? 0 : run);
    return {{from, from + run}};
  }

  template <class Part>
  HWY_INLINE void multiply(Part part, const T* const* x, std::size_t j, double* kept, Vector* sums) const {
    const Vector coefficient = part.get(request.u + j);
    const Vector centre = part.get(request.centre + j);
    for (std::size_t k = 0; k < kRows; ++k) {
      const Vector z = hn::Sub(part.get(x[k] + j), centre);
      if constexpr (kKept) hn::Store(z, Tag(), kept + j * kRows + k * kPassLanes);
      sums[k] = hn::MulAdd(coefficient, z, sums[k]);
    }
  }
  HWY_INLINE Vector margins(const T* const* x, double* kept, FetchHalf fetch) const {
    Vector sums[kPassLanes];
    for (std::size_t k = 0; k < kPassLanes; ++k) sums[k] = hn::Zero(Tag());
    std::size_t j = 0;
    for (; j + kPassLanes <= rows.cols; j += kPassLanes) {
      fetch.beside(j);
      multiply(Whole(), x, j, kept, sums);
    }
    if (j < rows.cols) multiply(First{rows.cols - j}, x, j, kept, sums);
    return sums_of_lanes(sums);
  }

  template <class Part>
  HWY_INLINE void add(Part part, const T* const* x, std::size_t j, const double* kept, const Vector* factors) const {
    Vector sum = part.get(gradient + j);
    const Vector centre = part.get(request.centre + j);
    for (std::size_t k = 0; k < kRows; ++k) {
      const Vector z = kKept ? hn::Load(Tag(), kept + j * kRows + k * kPassLanes) : hn::Sub(part.get(x[k] + j), centre);
      sum = hn::MulAdd(factors[k], z, sum);
    }
    part.put(sum, gradient + j);
  }
  HWY_INLINE void add_to_gradient(const T* const* x, const double* kept, const double* residuals,
                                  FetchHalf fetch) const {
    Vector factors[kRows];
    for (std::size_t k = 0; k < kRows; ++k) factors[k] = hn::Set(Tag(), residuals[k]);
    std::size_t j = 0;
    for (; j + kPassLanes <= rows.cols; j += kPassLanes) {
      fetch.beside(j);
      add(Whole(), x, j, kept, factors);
    }
    if (j < rows.cols) add(First{rows.cols - j}, x, j, kept, factors);
  }

  // All whole groups; the rows that they have.
  HWY_INLINE std::size_t run(LaneSums& sums) const {
    const Tag d;
    alignas(kCacheLine) double kept[kKept ? kRows * kKeptRow : 1];
    alignas(kCacheLine) double lanes[kPassLanes];
    const Vector ones = hn::IfThenElseZero(hn::FirstN(d, kRows), hn::Set(d, 1.0));
    for (std::size_t group = 0; group < groups; ++group) {
      const T* x[kRows];
      for (std::size_t k = 0; k < kRows; ++k) x[k] = at(row(group, k));
      const FetchHalf fetch = fetch_from(group);
      Vector m = hn::Add(margins(x, kept, fetch), hn::Set(d, request.intercept));
      if (data.offsets) m = hn::Add(m, gather(data.offsets, group));
      if (request.margins) {
        hn::Store(m, d, lanes);
        for (std::size_t k = 0; k < kRows; ++k) request.margins[row(group, k)] = lanes[k];
      }
      const Vector y = request.function == RowFunction::product ? hn::Zero(d) : gather(data.targets, group);
      const Vector weight = data.weights ? gather(data.weights, group) : ones;
      hn::Store(residual(request.function, m, y, weight, sums), d, lanes);
      add_to_gradient(x, kept, lanes, fetch.after(rows.cols));
    }
    return groups * kRows;
  }
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

// Consecutive rows.
template <class T>
struct Tile {
  const T* x;
  std::size_t count;
};

// The gradient's share of the rows of one tile, and the margins of the next, where there are any.
template <class T>
HWY_INLINE void finish_and_begin(Tile<T> done, const double* factors, Tile<T> next, std::size_t cols,
                                 const MarginRequest& request, double* gradient, double* margins) {
  std::size_t i = 0;
  for (; i + 4 <= HWY_MIN(done.count, next.count); i += 4) {
    add_and_multiply_rows(done.x + i * cols, factors + i, next.x + i * cols, cols, request.u, request.centre, gradient,
                          margins + i);
  }
  add_tile<false>(done.x + i * cols, done.count - i, cols, factors + i, request.centre, gradient);
  margins_of_tile(next.x + i * cols, next.count - i, cols, request.u, request.centre, margins + i);
}

// Rows from `begin` on. A tile is four rows, or eight where a row is so long that coefficients come from memory, too.
template <class T>
HWY_INLINE void pass_in_tiles(DenseRows<T> rows, std::size_t begin, RowData data, const MarginRequest& request,
                              LaneSums& sums, double* gradient) {
  constexpr std::size_t kLargest = 8;
  double margins[kLargest];
  double factors[kLargest];
  const std::size_t tile = rows.cols > 16 * kLongRow ? kLargest : 4;
  const auto tile_at = [&](std::size_t i) {
    return Tile<T>{rows.values + i * rows.cols, HWY_MIN(tile, rows.rows - i)};
  };
  Tile<T> current = tile_at(begin);
  margins_of_tile(current.x, current.count, rows.cols, request.u, request.centre, margins);
  while (begin < rows.rows) {
    for (std::size_t i = 0; i < current.count; ++i) {
      margins[i] = margins[i] + request.intercept + (data.offsets ? data.offsets[begin + i] : 0.0);
    }
    if (request.margins) std::copy_n(margins, current.count, request.margins + begin);
    const RowData tile_data{data.targets ? data.targets + begin : nullptr,
                            data.weights ? data.weights + begin : nullptr, nullptr};
    residual_rows(request.function, margins, current.count, tile_data, factors, sums);
    begin += current.count;
    const Tile<T> next = tile_at(begin);
    finish_and_begin(current, factors, next, rows.cols, request, gradient, margins);
    current = next;
  }
}

template <class T>
void pass(DenseRows<T> rows, RowData data, MarginRequest request, PassSums& sums, double* gradient) {
  LaneSums lane_sums;
  std::size_t done = 0;
  if (rows.cols <= kKeptRow) {
    done = GroupPass<T, kPassLanes, true>{rows, data, request, gradient}.run(lane_sums);
  } else if (rows.cols <= kShortRow) {
    done = GroupPass<T, kPassLanes, false>{rows, data, request, gradient}.run(lane_sums);
  } else if (rows.cols <= kLongRow) {
    done = GroupPass<T, 4, false>{rows, data, request, gradient}.run(lane_sums);
  }
  pass_in_tiles(rows, done, data, request, lane_sums, gradient);
  lane_sums.add_to(sums);
}

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#endif
