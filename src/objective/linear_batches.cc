#include "objective/linear_batches.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/check.h"
#include "base/random.h"
#include "objective/row_blocks.h"

namespace muster {
namespace {

bool is_sparse(const Shard& shard) {
  return std::holds_alternative<SparseMatrix>(shard.matrix);
}

// Calls visit(columns, values) with the entries of a sparse row.
template <class Visit>
void visit_entries(const Shard& shard, std::size_t row, Visit&& visit) {
  const auto& matrix = std::get<SparseMatrix>(shard.matrix);
  const std::size_t begin = matrix.row_begin[row], count = matrix.row_begin[row + 1] - begin;
  const std::span<const std::uint32_t> columns(matrix.columns.data() + begin, count);
  std::visit([&](const auto& values) { visit(columns, std::span(values.data() + begin, count)); }, matrix.values);
}

// Fisher and Yates's permutation.
std::vector<std::uint32_t> permutation(std::size_t count, std::uint64_t seed) {
  const RandomStream random(seed, 0, RandomPurpose::row_order);
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t i = count; i > 1; --i) {
    const auto j = static_cast<std::size_t>(random.uniform(i) * static_cast<double>(i));
    std::swap(order[i - 1], order[j]);
  }
  return order;
}

double inverse(double scale) {
  return scale == 0 ? 0.0 : 1 / scale;
}

}  // namespace

std::size_t LinearBatches::count(std::size_t shard_rows, std::size_t rows) {
  return shard_rows == 0 ? 0 : std::max<std::size_t>((shard_rows + rows / 2) / rows, 1);
}

std::size_t LinearBatches::deal(const Shard& shard, bool intercept, std::size_t rows, std::uint64_t seed) {
  MUSTER_CHECK(rows > 0, "a batch has rows");
  const std::size_t count = shard.rows();
  MUSTER_CHECK(count < std::numeric_limits<std::uint32_t>::max(), "rows are numbered in 32 bits");
  order_ = permutation(count, seed);
  const std::size_t batches = LinearBatches::count(count, rows);
  batch_begin_.assign(1, 0);
  for (std::size_t b = 1; b <= batches; ++b) batch_begin_.push_back(count * b / batches);
  u_.assign(shard.cols(), 0.0);
  by_u_.assign(shard.cols(), 0.0);
  collect_keys(shard, intercept);
  return batches;
}

void LinearBatches::collect_keys(const Shard& shard, bool intercept) {
  const std::size_t columns = shard.cols(), batches = batch_begin_.size() - 1;
  keys_.clear();
  keys_begin_.assign(1, 0);
  if (!is_sparse(shard)) {
    keys_.resize(columns + (intercept ? 1 : 0));
    std::iota(keys_.begin(), keys_.end(), 0u);
    return;
  }
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> last_batch(columns, kNone);
  for (std::size_t b = 0; b < batches; ++b) {
    for (const std::uint32_t row : rows_of(b)) {
      visit_entries(shard, row, [&](std::span<const std::uint32_t> entries, auto) {
        for (const std::uint32_t j : entries) {
          if (last_batch[j] == b) continue;
          last_batch[j] = static_cast<std::uint32_t>(b);
          keys_.push_back(j);
        }
      });
    }
    std::sort(keys_.begin() + static_cast<std::ptrdiff_t>(keys_begin_.back()), keys_.end());
    if (intercept) keys_.push_back(static_cast<std::uint32_t>(columns));
    keys_begin_.push_back(keys_.size());
  }
}

std::span<const std::uint32_t> LinearBatches::rows_of(std::size_t batch) const {
  MUSTER_CHECK(batch + 1 < batch_begin_.size(), "a batch that was dealt");
  return {order_.data() + batch_begin_[batch], batch_begin_[batch + 1] - batch_begin_[batch]};
}

std::span<const std::uint32_t> LinearBatches::keys(std::size_t batch) const {
  if (keys_begin_.size() == 1) return keys_;
  return {keys_.data() + keys_begin_[batch], keys_begin_[batch + 1] - keys_begin_[batch]};
}

double LinearBatches::weight(const Shard& shard, std::size_t batch) const {
  const RowData data = row_data(shard, 0);
  double sum = 0;
  for (const std::uint32_t row : rows_of(batch)) sum += weight_of(data, row);
  return sum;
}

// One batch at one point: u_ and by_u_ hold it by column.
struct LinearBatches::Evaluation {
  LinearBatches& batches;
  const Shard& shard;
  const KernelTable& table;
  const BatchModel& model;
  double intercept;
  PassSums sums = {};

  // One row at a time: the kernel centres it and adds its derivatives.
  template <class T>
  void run(const AlignedVector<T>& values, std::span<const std::uint32_t> rows) {
    const std::size_t columns = shard.cols();
    const MarginRequest request{model.function, batches.u_.data(), model.centre.data(), intercept};
    for (const std::uint32_t row : rows) {
      const DenseRows<T> one{values.data() + row * columns, 1, columns};
      table.dense<T>().pass(one, row_data(shard, row), request, sums, batches.by_u_.data());
    }
  }

  void run_sparse(std::span<const std::uint32_t> rows) {
    const RowData data = row_data(shard, 0);
    std::vector<double>&margins = batches.margins_, &targets = batches.targets_, &weights = batches.weights_;
    margins.resize(rows.size());
    targets.resize(rows.size());
    weights.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      margins[i] = intercept + offset_of(data, rows[i]);
      targets[i] = data.targets[rows[i]];
      weights[i] = weight_of(data, rows[i]);
      visit_entries(shard, rows[i], [&](std::span<const std::uint32_t> columns, auto values) {
        for (std::size_t k = 0; k < columns.size(); ++k)
          margins[i] += batches.u_[columns[k]] * static_cast<double>(values[k]);
      });
    }
    const RowData gathered{targets.data(), weights.data(), nullptr};
    table.residuals(model.function, margins.data(), rows.size(), gathered, margins.data(), sums);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      visit_entries(shard, rows[i], [&](std::span<const std::uint32_t> columns, auto values) {
        for (std::size_t k = 0; k < columns.size(); ++k)
          batches.by_u_[columns[k]] += margins[i] * static_cast<double>(values[k]);
      });
    }
  }
};

void LinearBatches::gradient(const Shard& shard, const KernelTable& table, const BatchModel& model, std::size_t batch,
                             std::span<const double> w, double& value, double& residual, std::span<double> gradient) {
  const std::span<const std::uint32_t> rows = rows_of(batch), all = keys(batch);
  MUSTER_CHECK(w.size() == all.size() && gradient.size() == all.size(), "a number for each key");
  const std::span<const std::uint32_t> columns = all.first(all.size() - (model.intercept ? 1 : 0));
  for (std::size_t k = 0; k < columns.size(); ++k) u_[columns[k]] = w[k] * inverse(model.scale[columns[k]]);
  Evaluation evaluation{*this, shard, table, model, model.intercept ? w.back() : 0.0};
  if (const auto* dense = std::get_if<DenseMatrix>(&shard.matrix)) {
    std::visit([&](const auto& values) { evaluation.run(values, rows); }, dense->values);
  } else {
    evaluation.run_sparse(rows);
  }
  value = evaluation.sums.loss;
  residual = evaluation.sums.residual;
  for (std::size_t k = 0; k < columns.size(); ++k) {
    gradient[k] = by_u_[columns[k]] * inverse(model.scale[columns[k]]);
    u_[columns[k]] = by_u_[columns[k]] = 0;
  }
  if (model.intercept) gradient.back() = residual;
}

namespace {

// Of one stretch of rows: adds their weight, and gives the largest s_i |x̃_i|².
double largest_square(const Shard& shard, const BatchModel& model, double& total_weight) {
  const RowData data = row_data(shard, 0);
  const std::size_t rows = shard.rows(), columns = shard.cols();
  double zeros = model.intercept ? 1 : 0;  // |x̃|² of a sparse row without entries
  const auto square = [&](std::size_t j, double x) {
    const double z = (x - model.centre[j]) * inverse(model.scale[j]);
    return z * z;
  };
  for (std::size_t j = 0; j < columns && is_sparse(shard); ++j) zeros += square(j, 0);
  double largest = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    double sum = model.intercept ? 1 : 0;
    if (const auto* dense = std::get_if<DenseMatrix>(&shard.matrix)) {
      std::visit(
          [&](const auto& values) {
            for (std::size_t j = 0; j < columns; ++j) sum += square(j, static_cast<double>(values[i * columns + j]));
          },
          dense->values);
    } else {
      sum = zeros;
      visit_entries(shard, i, [&](std::span<const std::uint32_t> entries, auto values) {
        for (std::size_t k = 0; k < entries.size(); ++k)
          sum += square(entries[k], static_cast<double>(values[k])) - square(entries[k], 0);
      });
    }
    total_weight += weight_of(data, i);
    largest = std::max(largest, weight_of(data, i) * sum);
  }
  return largest;
}

}  // namespace

double largest_row_curvature(RowSource& source, const BatchModel& model) {
  const double bound = model.function == RowFunction::logistic ? 0.25 : 1.0;
  double total_weight = 0, largest = 0;
  const std::unique_ptr<RowPass> pass = source.begin(1);
  while (const Shard* window = pass->next()) largest = std::max(largest, largest_square(*window, model, total_weight));
  return total_weight == 0 ? 0 : bound * largest * static_cast<double>(source.shape().rows) / total_weight;
}

}  // namespace muster
