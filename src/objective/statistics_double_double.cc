#include <vector>

#include "objective/expand_row.h"
#include "objective/row_blocks.h"
#include "objective/statistics.h"

namespace muster {
namespace {

constexpr double kFlopsPerPair = 29;  // a product (9) and a sum (20)

// One thread's row: [x, t], then z.
struct Scratch {
  AlignedVector<double> x_high, x_low, z_high, z_low;
};

struct Accumulator {
  const KernelTable& table;
  const Statistics& statistics;
  std::size_t stride;  // the order, rounded up to 8

  template <class Rows>
  void add_block(Rows rows, RowData data, std::span<const PowerFeature> powers, Scratch& scratch,
                 DoubleDoubleSums& sums) const {
    prepare(scratch);
    const std::size_t cols = rows.cols;
    const DoubleDoubleArray x{scratch.x_high.data(), scratch.x_low.data()};
    const DoubleDoubleArray z{scratch.z_high.data(), scratch.z_low.data()};
    for (std::size_t i = 0; i < rows.rows; ++i) {
      expand(rows, i, powers, x);
      const DoubleDouble target = two_sum(data.targets[i], -offset_of(data, i));
      x.high[cols] = target.high;
      x.low[cols] = target.low;
      table.subtract(x, statistics.centre.data(), cols + 1, {z.high + 1, z.low + 1});
      table.add_outer(weight_of(data, i), z, statistics.order(), stride, sums.array());
    }
  }

 private:
  template <class T>
  void expand(DenseRows<T> rows, std::size_t i, std::span<const PowerFeature> powers, DoubleDoubleArray x) const {
    expand_row(rows.values + i * rows.cols, rows.cols, powers, x);
  }
  template <class T>
  void expand(SparseRows<T> rows, std::size_t i, std::span<const PowerFeature>, DoubleDoubleArray x) const {
    std::fill_n(x.high, rows.cols, 0.0);
    std::fill_n(x.low, rows.cols, 0.0);
    for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) {
      x.high[rows.columns[k]] = static_cast<double>(rows.values[k]);
    }
  }

  void prepare(Scratch& scratch) const {
    if (scratch.z_high.size() == stride) return;
    scratch.x_high.resize(stride);
    scratch.x_low.resize(stride);
    scratch.z_high.assign(stride, 0.0);
    scratch.z_low.assign(stride, 0.0);
    scratch.z_high[0] = 1;
  }
};

}  // namespace

Work accumulate_double_double(RowSource& source, Executor& executor, const KernelTable& table, Statistics& statistics) {
  const std::size_t order = statistics.order();
  const Accumulator accumulator{table, statistics, (order + 7) / 8 * 8};
  const auto pairs = static_cast<double>(statistics.entries());
  std::vector<Scratch> scratch(static_cast<std::size_t>(executor.threads()));
  const DoubleDoubleSums total = sum_rows(
      source, executor, rows_for(2e9, kFlopsPerPair * pairs, 16, 2048),
      [&] { return DoubleDoubleSums(table, order * accumulator.stride); },
      [&](const Shard& window, RowRange range, int thread, DoubleDoubleSums& sums) {
        visit_rows(window, range, [&](auto rows) {
          accumulator.add_block(rows, row_data(window, range.begin), window.powers,
                                scratch[static_cast<std::size_t>(thread)], sums);
        });
      });
  double* out = statistics.sums.data();
  for (std::size_t i = 0; i < order; ++i) {
    for (std::size_t j = i; j < order; ++j) {
      const DoubleDouble sum = total.at(i * accumulator.stride + j);
      *out++ = sum.high;
      *out++ = sum.low;
    }
  }
  Work work = work_of_reading(source.shape(), 6);
  work.flops += static_cast<double>(source.shape().rows) * pairs * kFlopsPerPair;
  return work;
}

}  // namespace muster
