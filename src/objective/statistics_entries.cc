// With a = [1, x_1, …, x_d, t − c_{d+1}] and U = Σ s a aᵀ, the centred sums are
//     M_ij = U_ij − c_i U_0j − c_j U_0i + c_i c_j U_00,   c_0 = c_t = 0,
// so only pairs of entries that are there are multiplied.
#include <vector>

#include "objective/row_blocks.h"
#include "objective/statistics.h"

namespace muster {
namespace {

constexpr double kFlopsPerPair = 29;

struct Entry {
  std::size_t index;  // in a
  DoubleDouble value;
};

struct Accumulator {
  const Statistics& statistics;

  template <class T>
  void add_block(SparseRows<T> rows, RowData data, std::vector<Entry>& entries, DoubleDoubleSums& sums) const {
    const std::size_t p = statistics.order();
    for (std::size_t i = 0; i < rows.rows; ++i) {
      entries.clear();
      entries.push_back({0, 1.0});
      for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) {
        entries.push_back({1 + std::size_t{rows.columns[k]}, static_cast<double>(rows.values[k])});
      }
      const DoubleDouble target = two_sum(data.targets[i], -offset_of(data, i));
      entries.push_back({p - 1, target - DoubleDouble(statistics.centre[p - 2])});
      add_products(entries, weight_of(data, i), sums);
    }
  }
  // Dense rows go another way.
  template <class T>
  void add_block(DenseRows<T>, RowData, std::vector<Entry>&, DoubleDoubleSums&) const {
    MUSTER_CHECK(false, "dense rows have their own statistics");
  }

 private:
  void add_products(const std::vector<Entry>& entries, double weight, DoubleDoubleSums& sums) const {
    const std::size_t p = statistics.order();
    for (std::size_t a = 0; a < entries.size(); ++a) {
      const DoubleDouble factor = entries[a].value * weight;
      const std::size_t row = packed_index(entries[a].index, 0, p);
      for (std::size_t b = a; b < entries.size(); ++b) {
        sums.add(row + entries[b].index, factor * entries[b].value);
      }
    }
  }
};

// U to M, in place; rows from the last, so that U's first row is there until it is centred itself.
void centre(const std::vector<double>& centres, std::size_t p, DoubleDoubleSums& sums) {
  const auto centre_of = [&](std::size_t i) { return i == 0 || i == p - 1 ? 0.0 : centres[i - 1]; };
  for (std::size_t i = p; i-- > 0;) {
    for (std::size_t j = p; j-- > i;) {
      const double ci = centre_of(i);
      const double cj = centre_of(j);
      DoubleDouble entry = sums.at(packed_index(i, j, p));
      if (i > 0) entry -= ci * sums.at(j) + cj * sums.at(i) - two_product(ci, cj) * sums.at(0);
      if (i == 0 && j > 0) entry -= cj * sums.at(0);
      sums.put(packed_index(i, j, p), entry);
    }
  }
}

}  // namespace

Work accumulate_entries(RowSource& source, Executor& executor, const KernelTable& table, Statistics& statistics) {
  const RowShape& shape = source.shape();
  const std::size_t size = statistics.entries();
  const Accumulator accumulator{statistics};
  std::vector<std::vector<Entry>> scratch(static_cast<std::size_t>(executor.threads()));
  const double per_row = static_cast<double>(shape.entries) / static_cast<double>(std::max<std::size_t>(shape.rows, 1));
  const double pairs = (per_row + 2) * (per_row + 3) / 2;
  // At least four products for each sum, so that clearing and adding sums stays cheaper.
  const double operations = std::max(1e7, 4.0 * static_cast<double>(size) * kFlopsPerPair);
  DoubleDoubleSums total = sum_rows(
      source, executor, rows_for(operations, pairs * kFlopsPerPair, 64, std::size_t{1} << 20),
      [&] { return DoubleDoubleSums(table, size); },
      [&](const Shard& window, RowRange range, int thread, DoubleDoubleSums& sums) {
        visit_rows(window, range, [&](auto rows) {
          accumulator.add_block(rows, row_data(window, range.begin), scratch[static_cast<std::size_t>(thread)], sums);
        });
      });
  centre(statistics.centre, statistics.order(), total);
  const bool in_pairs = statistics.precision == Statistics::Precision::double_double;
  for (std::size_t k = 0; k < size; ++k) {
    if (in_pairs) {
      statistics.sums[2 * k] = total.at(k).high;
      statistics.sums[2 * k + 1] = total.at(k).low;
    } else {
      statistics.sums[k] = total.at(k).high;
    }
  }
  Work work = work_of_reading(shape, 0);
  work.flops = static_cast<double>(shape.rows) * pairs * kFlopsPerPair;
  return work;
}

}  // namespace muster
