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

constexpr std::size_t kMostKeys = std::numeric_limits<std::uint32_t>::max();

double inverse(double scale) {
  return scale == 0 ? 0.0 : 1 / scale;
}

}  // namespace

std::size_t LinearBatches::count(std::size_t shard_rows, std::size_t rows) {
  return shard_rows == 0 ? 0 : std::max<std::size_t>((shard_rows + rows / 2) / rows, 1);
}

std::size_t LinearBatches::deal(const Shard& shard, const BatchModel& model, std::size_t rows, std::uint64_t seed) {
  MUSTER_CHECK(rows > 0, "a batch has rows");
  const std::size_t count = shard.rows();
  MUSTER_CHECK(count < std::numeric_limits<std::uint32_t>::max(), "rows are numbered in 32 bits");
  order_ = permutation(count, seed);
  const std::size_t batches = LinearBatches::count(count, rows);
  batch_begin_.assign(1, 0);
  for (std::size_t b = 1; b <= batches; ++b) batch_begin_.push_back(count * b / batches);
  point_.u.assign(shard.cols() * model.loss.stride(), 0.0);
  point_.shift.assign(model.loss.stride(), 0.0);
  sums_.assign(model.loss.length(shard.cols()), 0.0);
  room_ = model.loss.room(shape_of(shard));
  collect_keys(shard, model);
  return batches;
}

void LinearBatches::collect_keys(const Shard& shard, const BatchModel& model) {
  const std::size_t columns = shard.cols(), batches = batch_begin_.size() - 1, outputs = model.loss.outputs();
  MUSTER_CHECK((columns + 1) * outputs <= kMostKeys, "parameters are numbered in 32 bits");
  keys_.clear();
  keys_begin_.assign(1, 0);
  const auto add = [&](std::size_t column) {
    for (std::size_t k = 0; k < outputs; ++k) keys_.push_back(static_cast<std::uint32_t>(column * outputs + k));
  };
  if (!is_sparse(shard)) {
    keys_.resize((columns + (model.intercept ? 1 : 0)) * outputs);
    std::iota(keys_.begin(), keys_.end(), 0u);
    return;
  }
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> last_batch(columns, kNone), touched;
  for (std::size_t b = 0; b < batches; ++b) {
    touched.clear();
    for (const std::uint32_t row : rows_of(b)) {
      visit_entries(shard, row, [&](std::span<const std::uint32_t> entries, auto) {
        for (const std::uint32_t j : entries) {
          if (last_batch[j] == b) continue;
          last_batch[j] = static_cast<std::uint32_t>(b);
          touched.push_back(j);
        }
      });
    }
    std::sort(touched.begin(), touched.end());
    for (const std::uint32_t j : touched) add(j);
    if (model.intercept) add(columns);
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

// One batch at point_, added to sums_.
struct LinearBatches::Evaluation {
  LinearBatches& batches;
  const Shard& shard;
  const BatchModel& model;

  void run(std::span<const std::uint32_t> rows) {
    if (is_sparse(shard) && model.loss.outputs() == 1) return run_together(rows);
    const RowLoss::Pass pass{MarginUse::line, batches.point_, model.centre.data()};
    for (const std::uint32_t row : rows)
      model.loss.pass(shard, {row, std::size_t{row} + 1}, pass, batches.room_.data(), batches.sums_.data());
  }

 private:
  // Sparse rows of one margin: all margins, then all residuals, a vector at a time.
  void run_together(std::span<const std::uint32_t> rows) {
    const RowData data = row_data(shard, 0);
    const ModelPoint& point = batches.point_;
    std::vector<double>&margins = batches.margins_, &targets = batches.targets_, &weights = batches.weights_;
    margins.resize(rows.size());
    targets.resize(rows.size());
    weights.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      margins[i] = point.shift[0] + offset_of(data, rows[i]);
      targets[i] = data.targets[rows[i]];
      weights[i] = weight_of(data, rows[i]);
      visit_entries(shard, rows[i], [&](std::span<const std::uint32_t> columns, auto values) {
        for (std::size_t k = 0; k < columns.size(); ++k)
          margins[i] += point.u[columns[k]] * static_cast<double>(values[k]);
      });
    }
    const RowData gathered{targets.data(), weights.data(), nullptr};
    model.loss.residuals(MarginUse::line, margins.data(), nullptr, rows.size(), gathered, batches.sums_.data());
    double* by_u = batches.sums_.data() + model.loss.gradient();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      visit_entries(shard, rows[i], [&](std::span<const std::uint32_t> columns, auto values) {
        for (std::size_t k = 0; k < columns.size(); ++k)
          by_u[columns[k]] += margins[i] * static_cast<double>(values[k]);
      });
    }
  }
};

void LinearBatches::gradient(const Shard& shard, const BatchModel& model, std::size_t batch, std::span<const double> w,
                             double& value, std::span<double> gradient) {
  const std::span<const std::uint32_t> rows = rows_of(batch), all = keys(batch);
  MUSTER_CHECK(w.size() == all.size() && gradient.size() == all.size(), "a number for each key");
  const std::size_t outputs = model.loss.outputs(), stride = model.loss.stride();
  const std::size_t coefficients = all.size() - (model.intercept ? outputs : 0);
  // Calls visit(i, at, 1/scale_j) with every coefficient of the batch, the i-th of its keys, at j·stride + k.
  const auto each = [&](const auto& visit) {
    for (std::size_t i = 0; i < coefficients; i += outputs) {
      const std::size_t j = outputs == 1 ? all[i] : all[i] / outputs;
      const double factor = inverse(model.scale[j]);
      for (std::size_t k = 0; k < outputs; ++k) visit(i + k, j * stride + k, factor);
    }
  };
  each([&](std::size_t i, std::size_t at, double factor) { point_.u[at] = w[i] * factor; });
  for (std::size_t k = 0; k < outputs && model.intercept; ++k) point_.shift[k] = w[coefficients + k];
  Evaluation{*this, shard, model}.run(rows);
  value = sums_[0];
  const double* residuals = sums_.data() + model.loss.residuals();
  for (std::size_t k = 0; k < outputs && model.intercept; ++k) gradient[coefficients + k] = residuals[k];
  double* by_u = sums_.data() + model.loss.gradient();
  each([&](std::size_t i, std::size_t at, double factor) {
    gradient[i] = by_u[at] * factor;
    point_.u[at] = by_u[at] = 0;
  });
  std::fill_n(sums_.begin(), model.loss.gradient(), 0.0);
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
  const double bound = largest_curvature(model.loss.loss());
  double total_weight = 0, largest = 0;
  const std::unique_ptr<RowPass> pass = source.begin(1);
  while (const Shard* window = pass->next()) largest = std::max(largest, largest_square(*window, model, total_weight));
  return total_weight == 0 ? 0 : bound * largest * static_cast<double>(source.shape().rows) / total_weight;
}

}  // namespace muster
