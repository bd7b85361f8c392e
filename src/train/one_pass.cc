#include "train/one_pass.h"

#include <algorithm>

#include "objective/row_blocks.h"

namespace muster {
namespace {

// Learners tell each other how far they are after so many rows.
constexpr std::size_t kRowsPerExchange = TargetOrder::kRun;

}  // namespace

void TargetOrder::add(std::span<const double> run) {
  double sum = 0;
  for (const double target : run) {
    sum += target;
    square_ += target * target;
  }
  sum_ += sum;
  mean_square_ += sum * sum / static_cast<double>(run.size());
  ++runs_;
}

void TargetOrder::add(const TargetOrder& more) {
  runs_ += more.runs_;
  sum_ += more.sum_;
  square_ += more.square_;
  mean_square_ += more.mean_square_;
}

bool TargetOrder::sorted() const {
  constexpr double kFewRuns = 4, kMuch = 0.2;
  const double all = sum_ * sum_ / (runs_ * kRun);
  return runs_ >= kFewRuns && mean_square_ - all > kMuch * (square_ - all);
}

void OnePass::note_order(const TargetOrder& order) {
  const std::lock_guard lock(mutex_);
  order_.add(order);
}

bool OnePass::sorted() const {
  const std::lock_guard lock(mutex_);
  return order_.sorted();
}

OnlineTotals OnePass::exchange(const OnlineTotals& more) {
  const std::lock_guard lock(mutex_);
  totals_.add(more);
  return totals_;
}

std::optional<double> OnePass::place_of(double label) {
  const std::lock_guard lock(mutex_);
  const auto place = static_cast<std::size_t>(std::find(labels_.begin(), labels_.end(), label) - labels_.begin());
  if (place == labels_.size()) labels_.push_back(label);
  return place < 2 ? std::optional(static_cast<double>(place)) : std::nullopt;
}

std::vector<double> OnePass::labels() const {
  const std::lock_guard lock(mutex_);
  return labels_;
}

double OnePass::base(const Shard& rows) {
  const std::lock_guard lock(mutex_);
  if (base_) return *base_;
  if (!model_.problem.intercept || rows.rows() == 0) return 0;
  const std::size_t count = std::min(rows.rows(), kRowsPerExchange);
  const RowData data = row_data(rows, 0);
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += data.targets[i] - offset_of(data, i);
  return *(base_ = sum / static_cast<double>(count));
}

double OnePass::coefficient(std::uint32_t column, bool turned) const {
  const double w = model_.coefficient(column, totals_.weight);
  return turned ? 0 - w : w;
}

double OnePass::intercept(bool turned) const {
  if (!model_.problem.intercept) return 0;
  const double b = model_.intercept_at(totals_.weight) + base_.value_or(0);
  return turned ? 0 - b : b;
}

bool OnePassLearner::place_targets(const Shard& rows) {
  targets_.resize(rows.rows());
  if (!shared_.classifies()) {
    const double base = shared_.base(rows);
    for (std::size_t i = 0; i < rows.rows(); ++i) targets_[i] = rows.targets[i] - base;
    return true;
  }
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const double label = rows.targets[i];
    auto known = std::find(labels_.begin(), labels_.end(), label);
    if (known == labels_.end()) {
      if (!shared_.place_of(label)) return false;
      labels_ = shared_.labels();
      labels_.resize(std::min<std::size_t>(labels_.size(), 2));
      known = std::find(labels_.begin(), labels_.end(), label);
    }
    targets_[i] = static_cast<double>(known - labels_.begin());
  }
  return true;
}

bool OnePassLearner::learn(const Shard& rows) {
  if (!place_targets(rows)) return false;
  TargetOrder order;
  for (std::size_t begin = 0; begin + TargetOrder::kRun <= rows.rows(); begin += TargetOrder::kRun)
    order.add({targets_.data() + begin, TargetOrder::kRun});
  shared_.note_order(order);
  visit_rows(rows, {0, rows.rows()}, [&](const auto& matrix) {
    RowData data = row_data(rows, 0);
    data.targets = targets_.data();
    for (std::size_t begin = 0; begin < rows.rows(); begin += kRowsPerExchange) {
      const OnlineTotals before = totals_;
      steps_.take(matrix, data, begin, std::min(begin + kRowsPerExchange, rows.rows()), totals_);
      totals_.add(before, -1);
      totals_ = shared_.exchange(totals_);
    }
  });
  rows_ += static_cast<std::int64_t>(rows.rows());
  return true;
}

}  // namespace muster
