// XᵀX, upper triangle, of a panel of rows: C_ij += Σ_k x_ki x_kj for i <= j.
//
// Columns are copied into strips of three vectors, row under row, so that the inner loop reads memory in order. A tile
// of C, as many rows as a vector has lanes and up to three vectors wide, stays in registers while the rows of the panel
// go by; each row costs a load for each vector and a broadcast for each row of the tile. After K. Goto, R. van de
// Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34 (2008).
//
// An entry is the sum of its products in order of the rows, kGramRows at a time, whatever tile it lies in.
#include <algorithm>

#include "kernels/kernel_table.h"
#include "kernels/vectors-inl.h"

#if defined(MUSTER_KERNELS_GRAM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MUSTER_KERNELS_GRAM_INL_H_
#undef MUSTER_KERNELS_GRAM_INL_H_
#else
#define MUSTER_KERNELS_GRAM_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

constexpr std::size_t kLanes = hn::MaxLanes(Tag());
constexpr std::size_t kStrip = 3 * kLanes;  // columns

// The columns of one strip, all rows of the panel: row k at values + k·width, the last vector filled up with zeros.
struct Strip {
  const double* values;
  std::size_t width;
};

// Copies columns [begin, begin + count) to `to`, in whole vectors.
HWY_INLINE void pack_strip(const double* panel, std::size_t rows, std::size_t order, std::size_t begin,
                           std::size_t count, double* to) {
  for (std::size_t k = 0; k < rows; ++k) {
    const double* from = panel + k * order + begin;
    std::size_t j = 0;
    for (; j + kLanes <= count; j += kLanes, to += kLanes) store(load(from + j), to);
    if (j == count) continue;
    store(load_first(from + j, count - j), to);
    to += kLanes;
  }
}

// Adds to a tile of C: rows from a's columns on, `height` of them, and kVectors vectors of columns from b's on, of
// which `width` columns are in C.
template <std::size_t kVectors>
HWY_INLINE void add_tile_products(const double* a, std::size_t a_step, const double* b, std::size_t b_step,
                                  std::size_t rows, std::size_t height, std::size_t width, double* c,
                                  std::size_t order) {
  const Tag d;
  Vector sums[kLanes][kVectors];
#pragma GCC unroll 8
  for (std::size_t m = 0; m < kLanes; ++m) {
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kVectors; ++v) sums[m][v] = hn::Zero(d);
  }
  for (std::size_t k = 0; k < rows; ++k, a += a_step, b += b_step) {
    Vector row[kVectors];
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kVectors; ++v) row[v] = load(b + v * kLanes);
#pragma GCC unroll 8
    for (std::size_t m = 0; m < kLanes; ++m) {
      const Vector factor = hn::Set(d, a[m]);
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kVectors; ++v) sums[m][v] = hn::MulAdd(factor, row[v], sums[m][v]);
    }
  }
#pragma GCC unroll 8
  for (std::size_t m = 0; m < kLanes; ++m) {
    if (m >= height) break;
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kVectors; ++v) {
      double* to = c + m * order + v * kLanes;
      if ((v + 1) * kLanes <= width) {
        store(hn::Add(load(to), sums[m][v]), to);
      } else {
        const std::size_t left = width - v * kLanes;
        store_first(hn::Add(load_first(to, left), sums[m][v]), left, to);
      }
    }
  }
}

// All tiles of one strip of columns, from the first row of C down to the diagonal.
HWY_INLINE void add_strip(const double* packed, std::size_t rows, std::size_t order, std::size_t strip, double* sums) {
  const std::size_t first = strip * kStrip;
  const std::size_t columns = HWY_MIN(kStrip, order - first);
  const auto strip_at = [&](std::size_t s) {
    const std::size_t count = HWY_MIN(kStrip, order - s * kStrip);
    return Strip{packed + s * kStrip * rows, (count + kLanes - 1) / kLanes * kLanes};
  };
  const Strip b = strip_at(strip);
  for (std::size_t i = 0; i < first + columns; i += kLanes) {
    const Strip a = strip_at(i / kStrip);
    // On the diagonal, vectors to the left of it are left out.
    const std::size_t skip = i > first ? i - first : 0;
    const std::size_t width = columns - skip;
    const double* from = a.values + i % kStrip;
    const double* with = b.values + skip;
    double* to = sums + i * order + first + skip;
    const std::size_t height = HWY_MIN(kLanes, order - i);
    if (width > 2 * kLanes) {
      add_tile_products<3>(from, a.width, with, b.width, rows, height, width, to, order);
    } else if (width > kLanes) {
      add_tile_products<2>(from, a.width, with, b.width, rows, height, width, to, order);
    } else {
      add_tile_products<1>(from, a.width, with, b.width, rows, height, width, to, order);
    }
  }
}

inline void add_gram(const double* panel, std::size_t rows, std::size_t order, double* room, double* sums) {
  const std::size_t strips = (order + kStrip - 1) / kStrip;
  for (std::size_t begin = 0; begin < rows; begin += kGramRows) {
    const std::size_t count = HWY_MIN(kGramRows, rows - begin);
    for (std::size_t s = 0; s < strips; ++s) {
      pack_strip(panel + begin * order, count, order, s * kStrip, HWY_MIN(kStrip, order - s * kStrip),
                 room + s * kStrip * count);
    }
    for (std::size_t s = 0; s < strips; ++s) add_strip(room, count, order, s, sums);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#endif
