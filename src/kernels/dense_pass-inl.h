// The fused pass over dense rows: every row comes from memory once, and memory never stands idle.
//
// Rows are taken in groups: their margins, what the loss makes of them, and their share of the gradient while they are
// in cache. Both loops fetch a part of what comes next beside their arithmetic, evenly, since memory brings only so
// many lines at a time. The rows of a group go on where the last group's stopped, in four runs, each a quarter of the
// rows: memory brings four runs of addresses faster than one, since what fetches ahead in the processor begins anew
// with every page of a run.
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

// Columns up to which a group's centred rows are kept between its two loops, which saves converting and centring them
// twice where that is most of the work; up to which a group has a vector of rows, all of them in the first-level cache;
// and from which on it is no longer groups. Functions of the columns alone, because the lanes of the loss depend on
// them.
constexpr std::size_t kKeptRow = 256;
constexpr std::size_t kShortRow = 384;
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

// What the loops over the columns of a group fetch beside their arithmetic, to the first-level cache: kBytes for every
// vector of columns, a line of each run in turn. Addresses may lie past the end.
template <std::size_t kRuns, std::size_t kBytes>
struct Fetch {
  std::uintptr_t runs[kRuns];

  HWY_INLINE void beside(std::size_t j) {
    if constexpr (kBytes < kCacheLine) {
      if (j % (kCacheLine / kBytes * kPassLanes) != 0) return;
    }
    for (std::size_t at = 0; at < kBytes; at += kCacheLine) {
      const std::uintptr_t line = runs[0];
      __builtin_prefetch(reinterpret_cast<const void*>(line), 0, 3);
      for (std::size_t run = 1; run < kRuns; ++run) runs[run - 1] = runs[run];
      runs[kRuns - 1] = line + kCacheLine;
    }
  }
};

// A pass in groups of kRows rows. kKept: centred rows are kept for the second loop, which else centres them again.
template <class T, std::size_t kRows, bool kKept>
struct GroupPass {
  static_assert(kRows <= kPassLanes && kRows >= 4);
  static constexpr std::size_t kRuns = 4, kOfRun = kRows / kRuns;
  // Half of a group is fetched by each loop.
  using FetchHalf = Fetch<kRuns, kRows * kPassLanes * sizeof(T) / 2>;
  static constexpr std::size_t kPage = 4096;

  DenseRows<T> rows;
  RowData data;
  const MarginRequest& request;
  double* gradient;
  std::size_t groups = rows.rows / kRows;
  std::size_t apart = groups * kOfRun;  // rows of a run

  // Row k of a group.
  HWY_INLINE std::size_t row(std::size_t group, std::size_t k) const {
    return group * kOfRun + k % kOfRun + k / kOfRun * apart;
  }
  HWY_INLINE void rows_of(std::size_t group, const T** x) const {
    for (std::size_t k = 0; k < kRows; ++k) x[k] = rows.values + row(group, k) * rows.cols;
  }
  // For gather(). Vectors are not put together in memory: a load waits until all the stores have come there.
  using Places = hn::Vec<hn::RebindToSigned<Tag>>;
  HWY_INLINE Places places() const {
    alignas(kCacheLine) std::int64_t from[kPassLanes] = {};
    for (std::size_t k = 0; k < kRows; ++k) from[k] = static_cast<std::int64_t>(row(0, k));
    return hn::Load(hn::RebindToSigned<Tag>(), from);
  }
  // Lane k: row k's; 0 past the rows of a group.
  HWY_INLINE Vector gather(const double* values, std::size_t group, Places places) const {
    const Vector lanes = hn::GatherIndex(Tag(), values + group * kOfRun, places);
    return kRows < kPassLanes ? hn::IfThenElseZero(hn::FirstN(Tag(), kRows), lanes) : lanes;
  }

  // A page ahead: farther only where the first loop, which goes through a group twice as fast as it is fetched, would
  // come to its end first. Past the end of the runs, the next rows in memory: those of the next block, as long as this
  // one.
  HWY_INLINE FetchHalf fetch_from(std::size_t group) const {
    const std::size_t row_bytes = rows.cols * sizeof(T), share = kOfRun * row_bytes, bytes = apart * row_bytes;
    const std::size_t ahead = group * share + HWY_MAX(kPage, share / 2);
    FetchHalf fetch;
    fetch.runs[0] = reinterpret_cast<std::uintptr_t>(rows.values) + ahead + (ahead < bytes ? 0 : (kRuns - 1) * bytes);
    for (std::size_t k = 1; k < kRuns; ++k) fetch.runs[k] = fetch.runs[k - 1] + bytes;
    return fetch;
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
  HWY_INLINE Vector margins(std::size_t group, double* kept, FetchHalf& fetch) const {
    const T* x[kRows];
    rows_of(group, x);
    Vector sums[kPassLanes];
    for (std::size_t k = 0; k < kPassLanes; ++k) sums[k] = hn::Zero(Tag());
    std::size_t j = 0;
    for (; j + kPassLanes <= rows.cols; j += kPassLanes) {
      fetch.beside(j);
      multiply(Whole(), x, j, kept, sums);
    }
    if (j < rows.cols) {
      fetch.beside(j);
      multiply(First{rows.cols - j}, x, j, kept, sums);
    }
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
  HWY_INLINE void add_to_gradient(std::size_t group, const double* kept, const double* residuals,
                                  FetchHalf& fetch) const {
    const T* x[kRows];
    rows_of(group, x);
    Vector factors[kRows];
    for (std::size_t k = 0; k < kRows; ++k) factors[k] = hn::Set(Tag(), residuals[k]);
    std::size_t j = 0;
    for (; j + kPassLanes <= rows.cols; j += kPassLanes) {
      fetch.beside(j);
      add(Whole(), x, j, kept, factors);
    }
    if (j < rows.cols) {
      fetch.beside(j);
      add(First{rows.cols - j}, x, j, kept, factors);
    }
  }

  // What the loss makes of a group's margins.
  HWY_INLINE void take_losses(std::size_t group, Places from, Vector m, LaneSums& sums, double* residuals) const {
    const Tag d;
    m = hn::Add(m, hn::Set(d, request.intercept));
    if (data.offsets) m = hn::Add(m, gather(data.offsets, group, from));
    if (request.margins) {
      hn::Store(m, d, residuals);
      for (std::size_t k = 0; k < kRows; ++k) request.margins[row(group, k)] = residuals[k];
    }
    const Vector y = request.function == RowFunction::product ? hn::Zero(d) : gather(data.targets, group, from);
    const Vector weight =
        data.weights ? gather(data.weights, group, from) : hn::IfThenElseZero(hn::FirstN(d, kRows), hn::Set(d, 1.0));
    hn::Store(residual(request.function, m, y, weight, sums), d, residuals);
  }

  // All whole groups; the rows that they have. Where rows are kept, a group's losses are computed beside the margins of
  // the next group: its gradient comes after those.
  HWY_INLINE std::size_t run(LaneSums& sums) const {
    constexpr std::size_t kBehind = kKept ? 1 : 0, kSlots = kBehind + 1, kKeptGroup = kKept ? kRows * kKeptRow : 1;
    alignas(kCacheLine) double kept[kSlots * kKeptGroup];
    alignas(kCacheLine) double residuals[kSlots * kPassLanes];
    const Places from = places();
    for (std::size_t group = 0; group < groups + kBehind; ++group) {
      FetchHalf fetch = fetch_from(group);
      const std::size_t now = group % kSlots;
      if (group < groups) {
        const Vector m = margins(group, kept + now * kKeptGroup, fetch);
        take_losses(group, from, m, sums, residuals + now * kPassLanes);
      }
      if (group >= kBehind) {
        const std::size_t then = (group - kBehind) % kSlots;
        add_to_gradient(group - kBehind, kept + then * kKeptGroup, residuals + then * kPassLanes, fetch);
      }
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
