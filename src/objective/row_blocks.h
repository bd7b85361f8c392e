// How a worker's rows are cut into blocks and shown to kernels, sums over the blocks, and their accumulators.
//
// A block's rows are a function of the shape alone (columns, and for sparse data the average number of entries of a
// row), never of threads or memory: the sums' bits depend on it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/aligned.h"
#include "base/block_tree.h"
#include "base/double_double.h"
#include "data/row_source.h"
#include "data/shard.h"
#include "kernels/kernel_table.h"
#include "muster/objective.h"

namespace muster {

// Values of a block of rows: a hundred microseconds or two, so that handing out blocks and adding their sums costs
// little beside reading them.
inline constexpr std::size_t kBlockValues = 256 * 1024;
inline constexpr std::size_t kSmallestBlock = 256;
inline constexpr std::size_t kLargestBlock = 8192;  // of dense rows: they are added in a chain, blocks in a tree

// Rows of a block for sums of length cols. Sparse: besides, at least eight entries a column, so that clearing and
// adding an accumulator of that length costs little beside the rows.
inline std::size_t rows_per_block(const RowShape& shape) {
  const std::size_t cols = std::max<std::size_t>(shape.cols, 1);
  std::size_t rows = std::min(kBlockValues / cols, kLargestBlock);
  if (shape.sparse) {
    const std::size_t per_row = std::max<std::size_t>(shape.entries / std::max<std::size_t>(shape.rows, 1), 1);
    rows = std::max(kBlockValues, 8 * cols) / per_row;
  }
  return std::bit_floor(std::max(rows, kSmallestBlock));
}

struct RowRange {
  std::size_t begin, end;
  std::size_t size() const { return end - begin; }
};

struct RowBlocks {
  std::size_t rows, per_block;

  std::size_t count() const { return (rows + per_block - 1) / per_block; }
  RowRange range(std::size_t block) const { return {block * per_block, std::min(rows, (block + 1) * per_block)}; }
};

// Calls add_block(window, range, thread, accumulator) once for each block of per_block rows, which are those of `range`
// in the window, and returns the sum of all, as sum_blocks() does: bit for bit the same for any number of threads and
// however the source cuts its windows. spares: accumulators like those that make() builds, used first; what is left
// over at the end is put there.
template <class Make, class AddBlock, class Accumulator = std::invoke_result_t<const Make&>>
Accumulator sum_rows(RowSource& source, Executor& executor, std::size_t per_block, const Make& make,
                     const AddBlock& add_block, Spares<Accumulator>* spares = nullptr) {
  BlockTree<Accumulator> tree(spares ? std::move(*spares) : Spares<Accumulator>());
  std::size_t first = 0;  // block of the window
  const std::unique_ptr<RowPass> pass = source.begin(per_block);
  while (const Shard* window = pass->next()) {
    const RowBlocks cut{window->rows(), per_block};
    executor.run(cut.count(), [&](std::size_t block, int thread) {
      std::unique_ptr<Accumulator> sum = tree.take(make);
      add_block(*window, cut.range(block), thread, *sum);
      tree.finish(first + block, std::move(sum));
    });
    first += cut.count();
  }
  Accumulator sum = first > 0 ? tree.root() : std::move(*tree.take(make));
  if (spares) *spares = tree.release();
  return sum;
}

// Calls visit(DenseRows<T>) or visit(SparseRows<T>) with the rows of the range, T being the storage.
template <class Visit>
decltype(auto) visit_rows(const Shard& shard, RowRange range, Visit&& visit) {
  return std::visit(
      [&](const auto& matrix) -> decltype(auto) {
        return std::visit(
            [&](const auto& values) -> decltype(auto) {
              using T = typename std::remove_cvref_t<decltype(values)>::value_type;
              if constexpr (std::is_same_v<std::remove_cvref_t<decltype(matrix)>, DenseMatrix>) {
                return visit(DenseRows<T>{values.data() + range.begin * matrix.cols, range.size(), matrix.cols});
              } else {
                return visit(SparseRows<T>{matrix.row_begin.data() + range.begin, matrix.columns.data(), values.data(),
                                           range.size(), matrix.cols});
              }
            },
            matrix.values);
      },
      shard.matrix);
}

inline RowData row_data(const Shard& shard, std::size_t row) {
  return {shard.targets.empty() ? nullptr : shard.targets.data() + row,
          shard.weights.empty() ? nullptr : shard.weights.data() + row,
          shard.offsets.empty() ? nullptr : shard.offsets.data() + row};
}

inline double weight_of(const RowData& data, std::size_t row) {
  return data.weights ? data.weights[row] : 1.0;
}
inline double offset_of(const RowData& data, std::size_t row) {
  return data.offsets ? data.offsets[row] : 0.0;
}

// Reading every row once, with what stands beside it, at flops_per_value for each stored value.
Work work_of_reading(const RowShape& shape, double flops_per_value);

// Σ a_j b_j.
inline DoubleDouble dot_product(std::span<const double> a, std::span<const double> b) {
  DoubleDouble sum;
  for (std::size_t j = 0; j < a.size(); ++j) sum += two_product(a[j], b[j]);
  return sum;
}

// A vector of float64 sums.
struct Sums {
  AlignedVector<double> values;

  explicit Sums(std::size_t size) : values(size, 0.0) {}
  void clear() { std::fill(values.begin(), values.end(), 0.0); }
  void merge(const Sums& from) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += from.values[i];
  }
};

// A vector of double-double sums: all high parts, then all low ones, as kernels want them; or, where single sums here
// and there are added to, each pair side by side, on one line of cache. Then the low part takes what is rounded off the
// high one, and is brought to size when it is read: T. Ogita, S. M. Rump, S. Oishi, "Accurate sum and dot product",
// SIAM J. Sci. Comput. 26 (2005), whose sums are as if computed in twice the precision.
struct DoubleDoubleSums {
  enum class Layout { apart, side_by_side };
  const KernelTable* table;
  std::size_t count, step, gap;  // sum i is values[i·step] + values[i·step + gap]
  AlignedVector<double> values;

  DoubleDoubleSums(const KernelTable& kernels, std::size_t size, Layout layout = Layout::apart)
      : table(&kernels),
        count(size),
        step(layout == Layout::apart ? 1 : 2),
        gap(layout == Layout::apart ? size : 1),
        values(2 * size, 0.0) {}
  // Laid out apart.
  DoubleDoubleArray array(std::size_t from = 0) { return {values.data() + from, values.data() + gap + from}; }
  DoubleDouble at(std::size_t i) const {
    const double high = values[i * step], low = values[i * step + gap];
    return step == 1 ? DoubleDouble(high, low) : two_sum(high, low);
  }
  void put(std::size_t i, DoubleDouble value) {
    values[i * step] = value.high;
    values[i * step + gap] = value.low;
  }
  void add(std::size_t i, DoubleDouble value) { put(i, at(i) + value); }
  // Laid out side by side.
  double* pairs(std::size_t from) { return values.data() + 2 * from; }
  void clear() { std::fill(values.begin(), values.end(), 0.0); }
  void merge(const DoubleDoubleSums& from) {
    if (step == 1) {
      table->add({from.values.data(), from.values.data() + from.gap}, count, array());
    } else {
      for (std::size_t i = 0; i < count; ++i) add(i, from.at(i));
    }
  }
};

}  // namespace muster
