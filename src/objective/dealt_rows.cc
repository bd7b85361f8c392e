#include "objective/dealt_rows.h"

#include <algorithm>

#include "base/check.h"

namespace muster {
namespace {

// Values of a stretch: some megabytes.
constexpr std::size_t kStretchValues = std::size_t{1} << 20;
constexpr std::size_t kMostBatches = 64;

std::size_t rows_of_stretch(const RowShape& shape, std::size_t batch) {
  const std::size_t per_row = std::max<std::size_t>(shape.entries / std::max<std::size_t>(shape.rows, 1), 1);
  return batch * std::clamp<std::size_t>(kStretchValues / (batch * per_row), 1, kMostBatches);
}

}  // namespace

std::size_t DealtRows::deal(RowSource& source, const BatchModel& model, std::size_t rows, std::uint64_t seed) {
  const std::size_t all = source.shape().rows;
  source_ = &source;
  model_.emplace(model);
  seed_ = seed;
  stretch_ = source.held();
  first_ = 0;
  pass_.reset();
  if (stretch_ || all == 0) {
    stretch_ = &source.head();
    return count_ = batches_.deal(*stretch_, model, rows, seed);
  }
  rows_ = std::min(rows, all);
  stretch_rows_ = rows_of_stretch(source.shape(), rows_);
  const std::size_t rest = all % stretch_rows_;
  return all / stretch_rows_ * (stretch_rows_ / rows_) + LinearBatches::count(rest, rows_);
}

void DealtRows::begin_pass() {
  pass_.reset();  // before another opens: each has rows in memory
  pass_ = source_->begin(stretch_rows_);
  window_ = nullptr;
  window_row_ = stretches_ = first_ = count_ = 0;
}

void DealtRows::next_stretch() {
  if (!window_ || window_row_ == window_->rows()) {
    window_ = pass_->next();
    window_row_ = 0;
    MUSTER_CHECK(window_ != nullptr, "a batch that was dealt");
  }
  const std::size_t end = std::min(window_row_ + stretch_rows_, window_->rows());
  copied_ = slice_rows(*window_, window_row_, end);
  window_row_ = end;
  stretch_ = &copied_;
  first_ += count_;
  count_ = batches_.deal(*stretch_, *model_, rows_, seed_ + stretches_++);
}

DealtRows::Place DealtRows::at(std::size_t batch) {
  if (!stretch_ || batch < first_) begin_pass();
  while (batch >= first_ + count_) next_stretch();
  return {*stretch_, batches_, batch - first_};
}

}  // namespace muster
