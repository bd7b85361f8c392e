#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/sparse_rows.h"
#include "objective/row_blocks.h"
#include "objective/statistics.h"

namespace muster {
namespace {

// Rows of a panel: it and the product stay in cache for moderate orders.
constexpr std::size_t kPanelRows = 256;

struct Scratch {
  AlignedVector<double> panel;    // kPanelRows × p, the rows [1, x − c, t − c] times √s
  AlignedVector<double> product;  // p × p, upper triangle
  AlignedVector<double> room;     // of the product's kernel
  AlignedVector<double> factors;  // √s
};

struct Panels {
  const KernelTable& table;
  const Statistics& statistics;

  void add_block(const Shard& window, RowRange range, Scratch& scratch, Sums& sums) const {
    const std::size_t p = statistics.order();
    scratch.panel.resize(kPanelRows * p);
    scratch.product.assign(p * p, 0.0);
    scratch.room.resize(gram_room(p));
    double weight = 0;
    for (std::size_t begin = range.begin; begin < range.end; begin += kPanelRows) {
      const RowRange rows{begin, std::min(range.end, begin + kPanelRows)};
      weight += fill(window, rows, scratch);
      table.add_gram(scratch.panel.data(), rows.size(), p, scratch.room.data(), scratch.product.data());
    }
    scratch.product[0] = weight;  // exact, where squares of √s are not
    double* out = sums.values.data();
    for (std::size_t i = 0; i < p; ++i) {
      for (std::size_t j = i; j < p; ++j) *out++ = scratch.product[i * p + j];
    }
  }

 private:
  // Writes the panel of a range of rows, and returns their weight.
  double fill(const Shard& window, RowRange range, Scratch& scratch) const {
    const std::size_t p = statistics.order();
    const RowData data = row_data(window, range.begin);
    const double* factors = nullptr;
    double weight = static_cast<double>(range.size());
    if (data.weights) {
      scratch.factors.resize(range.size());
      weight = 0;
      for (std::size_t i = 0; i < range.size(); ++i) {
        weight += data.weights[i];
        scratch.factors[i] = std::sqrt(data.weights[i]);
      }
      factors = scratch.factors.data();
    }
    visit_rows(window, range, [&](auto rows) { centre(rows, factors, scratch.panel.data() + 1, p); });
    for (std::size_t i = 0; i < range.size(); ++i) {
      const double factor = factors ? factors[i] : 1.0;
      const double target = data.targets[i] - offset_of(data, i) - statistics.centre[p - 2];
      scratch.panel[i * p] = factor;
      scratch.panel[i * p + p - 1] = factor * target;
    }
    return weight;
  }

  template <class T>
  void centre(DenseRows<T> rows, const double* factors, double* out, std::size_t stride) const {
    table.dense<T>().centre(rows, factors, statistics.centre.data(), out, stride);
  }
  template <class T>
  void centre(SparseRows<T> rows, const double* factors, double* out, std::size_t stride) const {
    sparse_centre(rows, factors, statistics.centre.data(), out, stride);
  }
};

}  // namespace

Work accumulate_panels(RowSource& source, Executor& executor, const KernelTable& table, Statistics& statistics) {
  const auto p = static_cast<double>(statistics.order());
  const Panels panels{table, statistics};
  std::vector<Scratch> scratch(static_cast<std::size_t>(executor.threads()));
  const std::size_t entries = statistics.entries();
  const Sums total = sum_rows(
      source, executor, rows_for(16e9, p * p, kPanelRows, 4096), [entries] { return Sums(entries); },
      [&](const Shard& window, RowRange range, int thread, Sums& sums) {
        panels.add_block(window, range, scratch[static_cast<std::size_t>(thread)], sums);
      });
  std::copy(total.values.begin(), total.values.end(), statistics.sums.begin());
  Work work = work_of_reading(source.shape(), 2);
  work.flops += static_cast<double>(source.shape().rows) * p * p;
  return work;
}

}  // namespace muster
