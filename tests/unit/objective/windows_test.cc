// Rows that come in windows, as from files that are read anew on every pass.
#include <gtest/gtest.h>

#include <random>

#include "data/row_source.h"
#include "objective/linear_rows.h"
#include "shards.h"

namespace muster {
namespace {

using testing::as_float32;
using testing::as_sparse;
using testing::dense_shard;

// A shard shown in windows of varying size; every other one stored in float32, which holds these values.
class CutRows final : public RowSource {
 public:
  explicit CutRows(const Shard& shard, std::size_t largest = 4)
      : shard_(shard), head_(slice_rows(shard, 0, 1)), shape_(shape_of(shard)), largest_(largest) {}

  const RowShape& shape() override { return shape_; }
  const Shard& head() override { return head_; }
  const Shard* held() override { return nullptr; }
  std::unique_ptr<RowPass> begin(std::size_t align) override {
    ++passes;
    return std::make_unique<Pass>(*this, align);
  }

  int passes = 0;

 private:
  class Pass final : public RowPass {
   public:
    Pass(const CutRows& rows, std::size_t align) : rows_(rows), align_(align) {}
    const Shard* next() override {
      if (row_ == rows_.shard_.rows()) return nullptr;
      const std::size_t end = std::min(row_ + align_ * (1 + number_ % rows_.largest_), rows_.shard_.rows());
      window_ = slice_rows(rows_.shard_, row_, end);
      const auto* dense = std::get_if<DenseMatrix>(&window_.matrix);
      if (number_++ % 2 == 1 && dense && dense->values.index() == 0) window_ = as_float32(window_);
      row_ = end;
      return &window_;
    }

   private:
    const CutRows& rows_;
    std::size_t align_, row_ = 0, number_ = 0;
    Shard window_;
  };

  const Shard& shard_;
  Shard head_;
  RowShape shape_;
  std::size_t largest_;
};

std::vector<Shard> kinds() {
  const testing::Shape shape{
      .rows = 20'000, .cols = 9, .density = 0.3, .weights = true, .offsets = true, .classes = true};
  const Shard dense = dense_shard(shape);
  Shard with_power = dense;
  with_power.powers = {{8, 7, 2}};
  return {dense, with_power, as_sparse(dense), as_sparse(dense, true)};
}

std::vector<double> sums_of_objective(LinearObjective& objective) {
  std::vector<double> all;
  const auto keep = [&](const std::vector<double>& sums) { all.insert(all.end(), sums.begin(), sums.end()); };
  std::vector<double> v(objective.dimension()), gradient(v.size()), tallies(objective.tallies());
  for (std::size_t j = 0; j < v.size(); ++j) v[j] = std::sin(1 + static_cast<double>(j));
  double value = 0;
  objective.value_and_gradient(v, value, gradient, tallies);
  keep(gradient);
  keep(tallies);
  keep({value, objective.weight(), static_cast<double>(objective.rows())});
  objective.curvature_product(v, gradient);
  keep(gradient);
  const std::vector<double> other(v.rbegin(), v.rend());
  double slope = 0;
  EXPECT_FALSE(objective.begin_line(v, other));
  objective.value_and_gradient(v, value, gradient, tallies);
  EXPECT_FALSE(objective.begin_line(v, other));
  objective.value_and_gradient(other, value, gradient, tallies);
  EXPECT_TRUE(objective.begin_line(v, other));
  objective.value_on_line(0.3, value, slope);
  keep({value, slope});
  for (int again = 0; again < 2; ++again) {
    objective.hessian_product(v, other, gradient);
    keep(gradient);
  }
  return all;
}

// Every sum that a pass can make.
std::vector<double> all_sums(LinearRows& rows) {
  const std::size_t d = rows.columns();
  std::vector<double> all;
  const auto keep = [&](const std::vector<double>& sums) { all.insert(all.end(), sums.begin(), sums.end()); };
  std::vector<double> centre(d + 1), v(d + 1), sums(d + 2), pairs(2 * (d + 2)), ranges(4 * d);
  for (std::size_t j = 0; j <= d; ++j) {
    centre[j] = 0.125 * static_cast<double>(j);
    v[j] = std::sin(1 + static_cast<double>(j));
  }
  rows.centred_sums(centre, sums);
  keep(sums);
  rows.centred_squares(centre, sums);
  keep(sums);
  rows.ranges_by_class(2, ranges);
  keep(ranges);
  rows.certify(Loss::logistic, std::span(v).first(d), std::span(v).subspan(d, 1), centre, pairs);
  keep(pairs);
  for (const auto precision : {Statistics::Precision::float64, Statistics::Precision::double_double}) {
    Statistics statistics{d, precision, centre, {}};
    rows.accumulate(statistics);
    keep(statistics.sums);
  }
  const Scaling scaling{{centre.begin(), centre.end() - 1}, std::vector<double>(d, 0.75)};
  LinearObjective logistic(rows, Loss::logistic, scaling, true), softmax(rows, Loss::softmax, scaling, true, 2);
  keep(sums_of_objective(logistic));
  keep(sums_of_objective(softmax));
  double weight = 0;
  rows.each_target([&](double y, double s) { weight += y * s; });
  keep({weight, logistic.largest_row_curvature()});
  return all;
}

TEST(Windows, SumsHaveTheBitsOfRowsInMemory) {
  for (const Shard& shard : kinds()) {
    for (const int threads : {1, 3}) {
      Executor executor(threads);
      LinearRows held(shard, executor, best_instruction_set());
      CutRows cut(shard);
      LinearRows windows(cut, executor, best_instruction_set());
      EXPECT_EQ(all_sums(windows), all_sums(held));
    }
  }
}

struct Batch {
  std::vector<std::uint32_t> keys;
  double weight = 0, value = 0;
  std::vector<double> gradient;
  bool operator==(const Batch&) const = default;
};

Batch take(LinearObjective& objective, std::size_t b) {
  Batch batch;
  const std::span<const std::uint32_t> keys = objective.keys(b);
  batch.keys.assign(keys.begin(), keys.end());
  batch.gradient.resize(keys.size());
  std::vector<double> w(keys.size());
  for (std::size_t k = 0; k < w.size(); ++k) w[k] = std::cos(1.0 + keys[k]);
  objective.batch_gradient(b, w, batch.value, batch.gradient);
  batch.weight = objective.batch_weight(b);
  return batch;
}

// Batches of a stream: each row in one, however the windows are cut, and the same when the pass begins anew.
void expect_batches_of_one_pass(Loss loss, std::size_t outputs) {
  for (const Shard& shard : kinds()) {
    Executor executor(1);
    CutRows cut(shard), other(shard, 1);
    LinearRows rows(cut, executor, best_instruction_set()), rows_of_other(other, executor, best_instruction_set());
    const std::size_t d = shard.cols();
    const Scaling scaling{AlignedVector<double>(d, 0.0), std::vector<double>(d, 1.0)};
    LinearObjective objective(rows, loss, scaling, true, outputs);
    LinearObjective as_other(rows_of_other, loss, scaling, true, outputs);
    ASSERT_TRUE(objective.in_order());
    const std::size_t batches = objective.deal(100, 7);
    ASSERT_EQ(batches, 200u);
    ASSERT_EQ(as_other.deal(100, 7), batches);
    cut.passes = 0;
    std::vector<Batch> first;
    for (std::size_t b = 0; b < batches; ++b) {
      first.push_back(take(objective, b));
      EXPECT_EQ(first.back(), take(as_other, b));
    }
    EXPECT_EQ(cut.passes, 1);
    EXPECT_EQ(take(objective, 0), first[0]);
    EXPECT_EQ(take(objective, 150), first[150]);
    EXPECT_EQ(take(objective, 1), first[1]);

    std::vector<double> w((d + 1) * outputs), expected(w.size()), gradient(w.size(), 0.0), tallies(objective.tallies());
    for (std::size_t j = 0; j < w.size(); ++j) w[j] = std::cos(1.0 + static_cast<double>(j));
    double whole = 0, value = 0, weight = 0;
    objective.value_and_gradient(w, whole, expected, tallies);
    for (const Batch& batch : first) {
      value += batch.value;
      weight += batch.weight;
      for (std::size_t k = 0; k < batch.keys.size(); ++k) gradient[batch.keys[k]] += batch.gradient[k];
    }
    EXPECT_NEAR(value, whole, 1e-11 * whole);
    EXPECT_NEAR(weight, objective.weight(), 1e-11 * weight);
    for (std::size_t j = 0; j < w.size(); ++j) EXPECT_NEAR(gradient[j], expected[j], 1e-10 * whole);
  }
}

TEST(Windows, BatchesInOrderAreOnePassAndTheSameEveryPass) {
  expect_batches_of_one_pass(Loss::logistic, 1);
  expect_batches_of_one_pass(Loss::softmax, 3);
}

// Rows are shuffled: a batch is not a run of neighbours.
TEST(Windows, NeighboursInAFileAreDealtToManyBatches) {
  Shard shard = dense_shard({.rows = 4096, .cols = 2, .classes = true});
  for (std::size_t i = 0; i < shard.rows(); ++i) shard.targets[i] = i < 64 ? 1 : 0;
  Executor executor(1);
  CutRows cut(shard);
  LinearRows rows(cut, executor, best_instruction_set());
  LinearObjective objective(rows, Loss::logistic, {{0, 0}, {1, 1}}, true);
  const std::size_t batches = objective.deal(64, 3);
  std::size_t with_one = 0;
  const std::vector<double> w(3, 0.0);
  for (std::size_t b = 0; b < batches; ++b) {
    double value = 0, gradient[3];
    objective.batch_gradient(b, w, value, gradient);
    with_one += gradient[2] < 32;  // 64 rows of ½ each, and −1 for each of the 64 first rows of the file
  }
  EXPECT_GT(with_one, batches / 3);
}

}  // namespace
}  // namespace muster
