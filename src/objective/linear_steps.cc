#include "objective/linear_steps.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/random.h"
#include "objective/row_blocks.h"

namespace muster {
namespace {

// Few enough to share among threads evenly, and enough that handing them out costs nothing.
constexpr std::size_t kBlockSteps = 256;
// Rows of a block of the passes before the first step.
constexpr std::size_t kBlockRows = 1024;

bool sparse(const Shard& shard) {
  return std::holds_alternative<SparseMatrix>(shard.matrix);
}

// Calls visit(row, column, value) with the entries of the rows in the range, centred where they are dense.
template <class Visit>
void visit_values(const Shard& shard, std::span<const double> centre, RowRange range, Visit&& visit) {
  const auto of = [&]<class T>(SparseRows<T> rows) {
    for (std::size_t i = 0; i < rows.rows; ++i) {
      for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k)
        visit(range.begin + i, rows.columns[k], static_cast<double>(rows.values[k]));
    }
  };
  const auto of_dense = [&]<class T>(DenseRows<T> rows) {
    for (std::size_t i = 0; i < rows.rows; ++i) {
      for (std::size_t j = 0; j < rows.cols; ++j)
        visit(range.begin + i, j, static_cast<double>(rows.values[i * rows.cols + j]) - centre[j]);
    }
  };
  visit_rows(shard, range, [&]<class Rows>(Rows rows) {
    if constexpr (requires { rows.row_begin; }) {
      of(rows);
    } else {
      of_dense(rows);
    }
  });
}

double ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

}  // namespace

LinearSteps::LinearSteps(const LinearObjective& objective, const Shard& rows, Executor& executor,
                         std::span<const double> penalty, std::span<const double> l1, std::uint64_t seed)
    : objective_(objective),
      executor_(executor),
      shard_(rows),
      outputs_(objective.outputs()),
      seed_(seed),
      largest_curvature_(largest_curvature(objective.loss())),
      coefficients_((shard_.cols() + 1) * objective.outputs()) {
  MUSTER_CHECK(penalty.size() == objective.dimension(), "one penalty for each coordinate");
  MUSTER_CHECK(shard_.rows() < std::numeric_limits<std::uint32_t>::max(), "rows are numbered in 32 bits");
  const Scaling& scaling = objective.scaling();
  for (std::size_t j = 0; j < shard_.cols(); ++j) {
    const double scale = scaling.scale[j];
    penalty_.push_back(penalty[j * outputs_] * scale * scale);
    l1_.push_back(l1.empty() ? 0 : l1[j * outputs_] * scale);
    for (std::size_t k = 0; k < outputs_ && !sparse(shard_); ++k)
      coefficients_[j * outputs_ + k].centre = scaling.centre[j];
  }
  measure_columns();
  divide_rows();
  count_columns();
  deal();
}

void LinearSteps::measure_columns() {
  const RowData data = row_data(shard_, 0);
  const RowBlocks blocks{shard_.rows(), rows_per_block(shape_of(shard_))};
  const Sums sums = sum_blocks(
      executor_, blocks.count(), [this] { return Sums(shard_.cols()); },
      [&](std::size_t block, int, Sums& partial) {
        visit_values(shard_, objective_.scaling().centre, blocks.range(block),
                     [&](std::size_t i, std::size_t j, double x) { partial.values[j] += weight_of(data, i) * x * x; });
      });
  const double weight = objective_.weight();
  for (std::size_t j = 0; j < shard_.cols(); ++j) {
    // A column whose scale is 0 is constant: its coefficient is not moved.
    const bool moves = objective_.scaling().scale[j] > 0;
    m_.push_back(moves ? sums.values[j] / weight + penalty_[j] / largest_curvature_ : 0);
  }
}

void LinearSteps::divide_rows() {
  const RowData data = row_data(shard_, 0);
  const std::size_t rows = shard_.rows();
  std::vector<double> length(rows, objective_.has_intercept() ? 1.0 : 0.0);
  const RowBlocks blocks{rows, kBlockRows};
  executor_.run(blocks.count(), [&](std::size_t block, int) {
    visit_values(shard_, objective_.scaling().centre, blocks.range(block),
                 [&](std::size_t i, std::size_t j, double x) { length[i] += ratio(x * x, m_[j]); });
  });
  double sum = 0, count = 0;  // of rows that weigh something
  for (std::size_t i = 0; i < rows; ++i) {
    sum += weight_of(data, i) * length[i];
    count += weight_of(data, i) > 0 ? 1 : 0;
  }
  const double mean = ratio(sum, count);
  parts_.resize(rows);
  std::size_t steps = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    const double s = weight_of(data, i);
    parts_[i] = s > 0 ? static_cast<std::uint32_t>(std::max(1.0, std::ceil(ratio(s * length[i], mean)))) : 0;
    steps += parts_[i];
  }
  weights_.resize(rows);
  const double unit = static_cast<double>(steps) / objective_.weight();
  for (std::size_t i = 0; i < rows; ++i) {
    weights_[i] = ratio(unit * weight_of(data, i), parts_[i]);
    longest_ = std::max(longest_, weights_[i] * length[i]);
  }
  order_.reserve(steps);
}

void LinearSteps::count_columns() {
  const RowBlocks blocks{shard_.rows(), rows_per_block(shape_of(shard_))};
  const Sums sums = sum_blocks(
      executor_, blocks.count(), [this] { return Sums(shard_.cols()); },
      [&](std::size_t block, int, Sums& partial) {
        visit_values(shard_, objective_.scaling().centre, blocks.range(block),
                     [&](std::size_t i, std::size_t j, double) { partial.values[j] += parts_[i]; });
      });
  share_.assign(sums.values.begin(), sums.values.end());
  double steps = 0;
  for (const std::uint32_t parts : parts_) steps += parts;
  for (double& share : share_) share /= steps;
}

// Parts of rows in random order, cut into blocks; from pass to pass they change places within their block.
void LinearSteps::deal() {
  for (std::size_t i = 0; i < parts_.size(); ++i) order_.insert(order_.end(), parts_[i], static_cast<std::uint32_t>(i));
  shuffle(0, order_.size());
}

// Fisher and Yates's permutation.
void LinearSteps::shuffle(std::size_t begin, std::size_t end) {
  const RandomStream random(seed_, static_cast<std::uint32_t>(passes_), RandomPurpose::row_order);
  for (std::size_t i = end; i > begin + 1; --i) {
    const std::uint64_t among = i - begin;
    const std::uint64_t drawn = (random.bits(i) >> 32) * among >> 32;  // fewer than 2^32 steps
    std::swap(order_[i - 1], order_[begin + drawn]);
  }
}

void LinearSteps::begin(std::span<const double> v, std::span<const double> gradient, double length) {
  const Scaling& scaling = objective_.scaling();
  const std::size_t cols = shard_.cols(), first = cols * outputs_;
  const bool intercept = objective_.has_intercept(), implicit = sparse(shard_) && intercept;
  const double alpha = ratio(length, largest_curvature_ * longest_);
  std::vector<double> a(outputs_, 0.0);
  for (std::size_t k = 0; k < outputs_ && intercept; ++k) a[k] = v[first + k];
  for (std::size_t j = 0; j < cols; ++j) {
    const double step = ratio(alpha, m_[j]), seldom = ratio(step, share_[j]);
    const double shrunk = 1 / (1 + seldom * penalty_[j]);
    for (std::size_t k = 0; k < outputs_; ++k) {
      const std::size_t i = j * outputs_ + k;
      SharedCoefficient& coefficient = coefficients_[i];
      const double u = ratio(v[i], scaling.scale[j]);
      coefficient.u.store(u, std::memory_order_relaxed);
      coefficient.snapshot = u;
      if (implicit) a[k] -= u * scaling.centre[j];
      double slope = scaling.scale[j] * gradient[i];  // ∂F/∂u_jk, the intercepts being a
      if (implicit) slope += scaling.centre[j] * gradient[first + k];
      coefficient.step = shrunk * step;
      coefficient.pull = shrunk * seldom * slope;
      coefficient.shrink = shrunk * seldom * penalty_[j];
      coefficient.threshold = shrunk * seldom * l1_[j];
    }
  }
  for (std::size_t k = 0; k < outputs_ && intercept; ++k) {
    SharedCoefficient& coefficient = coefficients_[first + k];
    coefficient.u.store(a[k], std::memory_order_relaxed);
    coefficient.snapshot = a[k];
    coefficient.step = alpha;
    coefficient.pull = alpha * gradient[first + k];
  }
}

void LinearSteps::take(std::size_t steps) {
  MUSTER_CHECK(steps <= order_.size(), "a pass has so many steps");
  ++passes_;
  const std::span all(coefficients_);
  const SharedModel model{objective_.loss() == Loss::logistic ? RowFunction::logistic : RowFunction::squared, outputs_,
                          all.first(shard_.cols() * outputs_), all.last(objective_.has_intercept() ? outputs_ : 0)};
  const RowData data = row_data(shard_, 0);
  executor_.run((steps + kBlockSteps - 1) / kBlockSteps, [&](std::size_t block, int) {
    const std::size_t first = block * kBlockSteps;
    shuffle(first, std::min(first + kBlockSteps, order_.size()));
    const std::span<const std::uint32_t> order(order_.data() + first, std::min(kBlockSteps, steps - first));
    visit_rows(shard_, {0, shard_.rows()},
               [&](auto rows) { take_shared_steps(model, rows, data, weights_.data(), order); });
  });
}

void LinearSteps::read(std::span<double> v) const {
  const Scaling& scaling = objective_.scaling();
  const std::size_t cols = shard_.cols(), first = cols * outputs_;
  std::vector<double> b;
  for (std::size_t k = 0; k < outputs_; ++k) b.push_back(coefficients_[first + k].u.load(std::memory_order_relaxed));
  for (std::size_t i = 0; i < first; ++i) {
    const std::size_t j = i / outputs_, k = i % outputs_;
    const double u = coefficients_[i].u.load(std::memory_order_relaxed);
    v[i] = u * scaling.scale[j];
    if (sparse(shard_)) b[k] += u * scaling.centre[j];
  }
  if (objective_.has_intercept()) std::copy(b.begin(), b.end(), v.begin() + static_cast<std::ptrdiff_t>(first));
}

}  // namespace muster
