#include "objective/linear_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/sparse_rows.h"
#include "objective/row_blocks.h"

namespace muster {
namespace {

// Σ s (t − c), or of its square, over a block, and Σ s.
void add_targets(const RowData& data, std::size_t rows, double centre, int power, double& weight, double& sum) {
  for (std::size_t i = 0; i < rows; ++i) {
    const double s = weight_of(data, i);
    const double z = data.targets[i] - offset_of(data, i) - centre;
    weight += s;
    sum += power == 2 ? s * z * z : s * z;
  }
}

// Rows with the given target and a positive weight.
std::vector<unsigned char> select_class(const RowData& data, std::size_t rows, double target) {
  std::vector<unsigned char> select(rows);
  for (std::size_t i = 0; i < rows; ++i) select[i] = data.targets[i] == target && weight_of(data, i) > 0;
  return select;
}

// Smallest and largest values, by class and column.
struct Ranges {
  AlignedVector<double> minimum, maximum;

  explicit Ranges(std::size_t size) : minimum(size), maximum(size) {}
  void clear() {
    std::fill(minimum.begin(), minimum.end(), std::numeric_limits<double>::infinity());
    std::fill(maximum.begin(), maximum.end(), -std::numeric_limits<double>::infinity());
  }
  void merge(const Ranges& from) {
    for (std::size_t i = 0; i < minimum.size(); ++i) {
      minimum[i] = std::min(minimum[i], from.minimum[i]);
      maximum[i] = std::max(maximum[i], from.maximum[i]);
    }
  }
};

template <class T>
void add_ranges(const KernelTable& table, DenseRows<T> rows, const unsigned char* select, double* minimum,
                double* maximum) {
  table.dense<T>().ranges(rows, select, minimum, maximum);
}

// A row without an entry in a column has a zero there.
template <class T>
void add_ranges(const KernelTable&, SparseRows<T> rows, const unsigned char* select, double* minimum, double* maximum) {
  std::vector<double> count(rows.cols, 0.0);
  sparse_ranges(rows, select, minimum, maximum, count.data());
  const auto selected = static_cast<double>(std::count(select, select + rows.rows, 1));
  for (std::size_t j = 0; j < rows.cols; ++j) {
    if (count[j] == selected) continue;
    minimum[j] = std::min(minimum[j], 0.0);
    maximum[j] = std::max(maximum[j], 0.0);
  }
}

struct PowerSums {
  RowSource& source;
  Executor& executor;
  const KernelTable& table;
  std::span<const double> centre;
  int power;

  // Whether what a sparse row lacks counts: not around 0.
  bool zeros_count() const {
    return source.shape().sparse && std::any_of(centre.begin(), centre.end() - 1, [](double c) { return c != 0; });
  }

  // [S, sums of columns, sum of targets], and where zeros count Σ s over the rows that have the column.
  Sums all_blocks(bool with_present) const {
    const RowShape& shape = source.shape();
    const std::size_t length = shape.cols + 2 + (with_present ? shape.cols : 0);
    return sum_rows(
        source, executor, rows_per_block(shape), [length] { return Sums(length); },
        [&](const Shard& window, RowRange range, int, Sums& sums) { add_block(window, range, sums); });
  }

 private:
  void add_block(const Shard& window, RowRange range, Sums& sums) const {
    const std::size_t cols = window.cols();
    const RowData data = row_data(window, range.begin);
    double* values = sums.values.data();
    add_targets(data, range.size(), centre[cols], power, values[0], values[cols + 1]);
    double* present = sums.values.size() > cols + 2 ? values + cols + 2 : nullptr;
    visit_rows(window, range, [&](auto rows) { add_rows(rows, data.weights, values + 1, present); });
  }

  template <class T>
  void add_rows(DenseRows<T> rows, const double* weights, double* columns, double*) const {
    const DenseKernels<T>& kernels = table.dense<T>();
    (power == 2 ? kernels.add_centred_squares : kernels.add_centred)(rows, weights, centre.data(), columns);
  }
  template <class T>
  void add_rows(SparseRows<T> rows, const double* weights, double* columns, double* present) const {
    sparse_add_centred(rows, weights, present ? centre.data() : nullptr, power, columns, present);
  }
};

Work power_sums(const PowerSums& request, std::span<double> sums) {
  const RowShape& shape = request.source.shape();
  const std::size_t cols = shape.cols;
  MUSTER_CHECK(request.centre.size() == cols + 1 && sums.size() == cols + 2, "one centre a column and the target");
  MUSTER_CHECK(shape.has_targets, "training needs targets");
  const bool zeros_count = request.zeros_count();
  const Sums total = request.all_blocks(zeros_count);
  std::copy_n(total.values.begin(), cols + 2, sums.begin());
  if (zeros_count) {
    for (std::size_t j = 0; j < cols; ++j) {
      const double absent = total.values[0] - total.values[cols + 2 + j];
      const double zero = -request.centre[j];
      sums[1 + j] += absent * (request.power == 2 ? zero * zero : zero);
    }
  }
  return work_of_reading(shape, request.power == 2 ? 4 : 3);
}

}  // namespace

Work work_of_reading(const RowShape& shape, double flops_per_value) {
  return {.bytes = shape.bytes(), .flops = static_cast<double>(shape.entries) * flops_per_value};
}

LinearRows::LinearRows(const Shard& shard, Executor& executor, InstructionSet instruction_set)
    : held_(std::make_unique<HeldRows>(shard)),
      source_(*held_),
      executor_(executor),
      instruction_set_(instruction_set) {
  const std::size_t rows = shard.rows();
  MUSTER_CHECK(shard.targets.empty() || shard.targets.size() == rows, "one target a row");
  MUSTER_CHECK(shard.weights.empty() || shard.weights.size() == rows, "one weight a row");
  MUSTER_CHECK(shard.offsets.empty() || shard.offsets.size() == rows, "one offset a row");
}

LinearRows::LinearRows(RowSource& source, Executor& executor, InstructionSet instruction_set, RowBudget* budget)
    : source_(source), executor_(executor), instruction_set_(instruction_set), budget_(budget) {}

LinearRows::PassRows LinearRows::pass_rows() {
  const Shard* held = source_.held();
  if (held == nullptr) return {source_, {}};
  if (renumbered_rows_ != rows()) {
    renumbered_.reset();
    renumbered_ = RenumberedRows::of(*held, executor_, budget_);
    renumbered_rows_ = rows();
  }
  if (!renumbered_) return {source_, {}};
  return {renumbered_->source(), renumbered_->numbers()};
}

void LinearRows::each_target(const std::function<void(double target, double weight)>& visit) {
  const std::unique_ptr<RowPass> pass = source_.begin(1);
  while (const Shard* window = pass->next()) {
    const RowData data = row_data(*window, 0);
    for (std::size_t i = 0; i < window->rows(); ++i) visit(data.targets[i], weight_of(data, i));
  }
}

Work LinearRows::centred_sums(std::span<const double> centre, std::span<double> sums) {
  return power_sums({source_, executor_, kernel_table(instruction_set_), centre, 1}, sums);
}

Work LinearRows::centred_squares(std::span<const double> centre, std::span<double> sums) {
  return power_sums({source_, executor_, kernel_table(instruction_set_), centre, 2}, sums);
}

Work LinearRows::ranges_by_class(std::size_t classes, std::span<double> ranges) {
  const std::size_t cols = columns();
  MUSTER_CHECK(ranges.size() == 2 * classes * cols, "two arrays of ranges a class");
  MUSTER_CHECK(shape().has_targets, "training needs targets");
  const KernelTable& table = kernel_table(instruction_set_);
  const Ranges total = sum_rows(
      source_, executor_, rows_per_block(shape()), [&] { return Ranges(classes * cols); },
      [&](const Shard& window, RowRange range, int, Ranges& sums) {
        for (std::size_t label = 0; label < classes; ++label) {
          const auto select = select_class(row_data(window, range.begin), range.size(), static_cast<double>(label));
          if (std::count(select.begin(), select.end(), 1) == 0) continue;
          visit_rows(window, range, [&](auto rows) {
            add_ranges(table, rows, select.data(), sums.minimum.data() + label * cols,
                       sums.maximum.data() + label * cols);
          });
        }
      });
  for (std::size_t j = 0; j < cols; ++j) {
    for (std::size_t label = 0; label < classes; ++label) {
      ranges[2 * label * cols + j] = total.minimum[label * cols + j];
      ranges[(2 * label + 1) * cols + j] = -total.maximum[label * cols + j];
    }
  }
  return work_of_reading(shape(), 2);
}

}  // namespace muster
