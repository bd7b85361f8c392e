#include "cluster/tree_sum.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/double_double.h"

namespace muster {

namespace {

// Values of a block: with a scratch block for each level of the tree it stays in the first cache.
constexpr std::size_t kBlock = 256;
constexpr std::size_t kLevels = 20;

DoubleDouble pair_at(const double* values) {
  return {values[0], values[1]};
}

// out <- left op right. Inlined, so that the compiler knows whether out is left, or apart from both.
[[gnu::always_inline]] inline void combine_into(double* out, const double* left, const double* right, std::size_t n,
                                                ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      for (std::size_t i = 0; i < n; ++i) out[i] = left[i] + right[i];
      return;
    case ReduceOp::sum_double_double:
      for (std::size_t i = 0; i < n; i += 2) {
        const DoubleDouble sum = pair_at(left + i) + pair_at(right + i);
        out[i] = sum.high;
        out[i + 1] = sum.low;
      }
      return;
    case ReduceOp::min:
      for (std::size_t i = 0; i < n; ++i) out[i] = std::min(left[i], right[i]);
      return;
    case ReduceOp::max:
      for (std::size_t i = 0; i < n; ++i) out[i] = std::max(left[i], right[i]);
      return;
  }
}

void combine_apart(double* __restrict out, const double* left, const double* right, std::size_t n, ReduceOp op) {
  combine_into(out, left, right, n, op);
}

// Blocks of all sources, which start at `at`.
struct BlockSum {
  std::size_t at, count;
  ReduceOp op;

  // Writes the sum to out, which overlaps no source; scratch: a block for each level.
  void add(std::span<const double* const> sources, double* out, double* scratch) const {
    if (sources.size() == 1) {
      std::copy_n(sources[0] + at, count, out);
      return;
    }
    const std::size_t half = std::bit_ceil(sources.size()) / 2;
    const auto lower = sources.first(half), upper = sources.subspan(half);
    const double* right = upper[0] + at;
    if (upper.size() > 1) {
      add(upper, scratch, scratch + kBlock);
      right = scratch;
    }
    if (half == 1) return combine_apart(out, lower[0] + at, right, count, op);
    add(lower, out, scratch + kBlock);
    combine({out, count}, {right, count}, op);
  }
};

}  // namespace

void combine(std::span<double> values, std::span<const double> other, ReduceOp op) {
  MUSTER_CHECK(op != ReduceOp::sum_double_double || values.size() % 2 == 0, "sum_double_double needs pairs");
  combine_into(values.data(), values.data(), other.data(), values.size(), op);
}

void tree_sum(std::span<const double* const> sources, std::span<double* const> outs, std::size_t count, ReduceOp op) {
  MUSTER_CHECK(op != ReduceOp::sum_double_double || count % 2 == 0, "sum_double_double needs pairs");
  alignas(64) double blocks[(1 + kLevels) * kBlock];  // the sum, and scratch; touched as far as the tree is high
  const bool apart = !outs.empty() && std::find(sources.begin(), sources.end(), outs[0]) == sources.end();
  for (std::size_t at = 0; at < count; at += kBlock) {
    const std::size_t n = std::min(kBlock, count - at);
    double* const sum = apart ? outs[0] + at : blocks;
    BlockSum{at, n, op}.add(sources, sum, blocks + kBlock);
    for (double* out : outs.subspan(apart ? 1 : 0)) std::copy_n(sum, n, out + at);
  }
}

}  // namespace muster
