// The two halves of a pass against the whole, for all columns and for blocks of them.
#include <gtest/gtest.h>

#include <array>

#include "base/double_double.h"
#include "data/column_blocks.h"
#include "objective/linear_rows.h"
#include "shards.h"

namespace muster {
namespace {

struct MarginCase {
  Loss loss;
  std::size_t outputs;
  bool sparse, single;
};

Shard shard_of(const MarginCase& c) {
  testing::Shape shape{.rows = 700, .cols = 11, .density = c.sparse ? 0.3 : 1, .weights = true, .offsets = true};
  shape.classes = c.loss == Loss::logistic;
  Shard dense = testing::dense_shard(shape);
  for (std::size_t i = 0; i < dense.rows() && c.outputs > 1; ++i)
    dense.targets[i] = static_cast<double>(i * i % c.outputs);
  if (c.sparse) return testing::as_sparse(dense, c.single);
  return c.single ? testing::as_float32(dense) : dense;
}

Scaling some_scaling(std::size_t begin, std::size_t end) {
  Scaling scaling;
  for (std::size_t j = begin; j < end; ++j) {
    scaling.centre.push_back(0.1 * static_cast<double>(j) - 0.3);
    scaling.scale.push_back(j == 4 ? 0 : 0.5 + static_cast<double>(j));
  }
  return scaling;
}

std::vector<double> some_point(std::size_t length) {
  std::vector<double> v(length);
  for (std::size_t j = 0; j < length; ++j) v[j] = std::cos(1.0 + static_cast<double>(j));
  return v;
}

class Margins : public ::testing::TestWithParam<int> {
 protected:
  Loss loss_ = std::array{Loss::squared, Loss::logistic, Loss::softmax}[static_cast<std::size_t>(GetParam()) / 4];
  MarginCase c_{loss_, loss_ == Loss::softmax ? 5u : 1u, GetParam() % 2 == 0, GetParam() / 2 % 2 == 0};
};

TEST_P(Margins, OfBlocksOfColumnsAddUpToTheWholePassAndGiveItsGradient) {
  const Shard shard = shard_of(c_);
  const std::size_t cols = shard.cols(), outputs = c_.outputs;
  Executor executor(2);
  for (const InstructionSet set : {InstructionSet::scalar, best_instruction_set()}) {
    LinearRows rows(shard, executor, set);
    LinearObjective whole(rows, c_.loss, some_scaling(0, cols), true, outputs);
    const std::vector<double> v = some_point((cols + 1) * outputs);
    std::vector<double> gradient(v.size()), product(v.size()), hessian(v.size()), tallies(whole.tallies());
    double value = 0;
    whole.value_and_gradient(v, value, gradient, tallies);
    whole.curvature_product(v, product);
    whole.hessian_product(v, v, hessian);
    for (const std::vector<std::size_t>& begins : {std::vector<std::size_t>{0, cols}, {0, 3, 3, 8, cols}}) {
      std::vector<double> margins(whole.margin_count(), 0.0), part(margins.size());
      for (const bool second : {false, true}) {
        for (std::size_t b = 0; b + 1 < begins.size(); ++b) {
          const std::size_t begin = begins[b], end = begins[b + 1];
          const bool last = b + 2 == begins.size();
          const Shard block = columns_between(shard, begin, end);
          LinearRows block_rows(block, executor, set);
          LinearObjective objective(block_rows, c_.loss, some_scaling(begin, end), last, outputs);
          const std::size_t length = objective.dimension();
          if (!second) {
            objective.margins(std::span(v).subspan(begin * outputs, length), part);
            for (std::size_t i = 0; i < part.size(); ++i) margins[i] += part[i];
            continue;
          }
          double value_at = 0;
          std::vector<double> gradient_at(length), product_at(length), hessian_at(length),
              tallies_at(objective.tallies());
          objective.value_and_gradient_at(margins, value_at, gradient_at, tallies_at);
          objective.curvature_product_at(margins, product_at);
          objective.hessian_product_at(margins, margins, hessian_at);
          EXPECT_NEAR(value_at, value, 1e-11 * std::abs(value));
          for (std::size_t j = 0; j < length; ++j) {
            EXPECT_NEAR(gradient_at[j], gradient[begin * outputs + j], 1e-10) << begin << ' ' << j;
            EXPECT_NEAR(product_at[j], product[begin * outputs + j], 1e-10) << begin << ' ' << j;
            EXPECT_NEAR(hessian_at[j], hessian[begin * outputs + j], 1e-10) << begin << ' ' << j;
          }
          for (std::size_t t = 0; t < tallies.size(); ++t) EXPECT_NEAR(tallies_at[t], tallies[t], 1e-10);
        }
      }
    }
  }
}

TEST_P(Margins, AtBothEndsOfALineAreEnoughForTheLine) {
  const Shard shard = shard_of(c_);
  Executor executor(2);
  LinearRows rows(shard, executor, best_instruction_set());
  LinearObjective objective(rows, c_.loss, some_scaling(0, shard.cols()), true, c_.outputs);
  const std::vector<double> a = some_point(objective.dimension()), b(a.rbegin(), a.rend());
  std::vector<double> at_a(objective.margin_count()), at_b(at_a.size()), gradient(a.size()),
      tallies(objective.tallies());
  objective.margins(a, at_a);
  objective.margins(b, at_b);
  double value = 0, slope = 0, kept_value = 0, kept_slope = 0;
  objective.begin_line(a, b);  // begins to keep
  objective.value_and_gradient(a, value, gradient, tallies);
  objective.value_and_gradient(b, value, gradient, tallies);
  ASSERT_TRUE(objective.begin_line(a, b));
  for (const double t : {0.0, 0.4, 1.0, -2.0}) {
    objective.value_on_line_at(at_a, at_b, t, value, slope);
    objective.value_on_line(t, kept_value, kept_slope);
    EXPECT_NEAR(value, kept_value, 1e-12 * (1 + kept_value));
    EXPECT_NEAR(slope, kept_slope, 1e-12 * (1 + kept_value));
  }
}

// From point to point as a line search goes, past the number of steps after which margins are made anew.
TEST_P(Margins, LookedAlongTellTheLineAndTheGradientAtItsEnd) {
  const Shard shard = shard_of(c_);
  std::vector<double> last[2];
  for (const int threads : {1, 3}) {
    Executor executor(threads);
    LinearRows rows(shard, executor, best_instruction_set());
    LinearObjective objective(rows, c_.loss, some_scaling(0, shard.cols()), true, c_.outputs);
    ASSERT_EQ(objective.looks_along(), c_.sparse);
    if (!c_.sparse) return;
    LinearObjective afresh(rows, c_.loss, some_scaling(0, shard.cols()), true, c_.outputs);
    std::vector<double> from = some_point(objective.dimension()), b(from.size()), at(from.size());
    std::vector<double> gradient(from.size()), expected(from.size()), tallies(objective.tallies()), tally(tallies);
    double value = 0, whole = 0, slope = 0;
    for (int step = 0; step < KeptMargins::kMostSteps + 3; ++step) {
      const double t = step % 3 == 0 ? 0.75 : 1.5;
      for (std::size_t j = 0; j < b.size(); ++j) b[j] = from[j] + 0.1 * std::sin(static_cast<double>(step * 7 + j));
      for (std::size_t j = 0; j < b.size(); ++j) at[j] = from[j] + t * (b[j] - from[j]);
      afresh.value_and_gradient(at, whole, expected, tally);
      objective.look_along(from, b);
      objective.value_on_line(t, value, slope);
      EXPECT_NEAR(value, whole, 1e-12 * whole);
      double along = 0;
      for (std::size_t j = 0; j < b.size(); ++j) along += expected[j] * (b[j] - from[j]);
      EXPECT_NEAR(slope, along, 1e-12 * whole);
      objective.value_and_gradient_on_line(t, at, value, gradient, tallies);
      EXPECT_NEAR(value, whole, 1e-12 * whole);
      for (std::size_t j = 0; j < b.size(); ++j) EXPECT_NEAR(gradient[j], expected[j], 1e-12 * whole);
      for (std::size_t k = 0; k < tallies.size(); ++k) EXPECT_NEAR(tallies[k], tally[k], 1e-10);
      from = at;
    }
    last[threads / 2] = gradient;
  }
  EXPECT_EQ(last[0], last[1]);
}

TEST_P(Margins, OfACertificateAddUpToItInDoubleDouble) {
  const Shard shard = shard_of(c_);
  const std::size_t cols = shard.cols(), cut = 5, outputs = c_.outputs;
  Executor executor(2);
  const std::vector<double> w = some_point(cols * outputs);
  const AlignedVector<double> centre = some_scaling(0, cols).centre;
  const std::vector<double> intercepts(outputs, 0.7), none(outputs, 0.0);
  LinearRows rows(shard, executor, best_instruction_set());
  std::vector<double> sums(2 * (1 + (cols + 1) * outputs));
  rows.certify(c_.loss, w, intercepts, centre, sums);
  std::vector<double> margins(2 * shard.rows() * outputs, 0.0), part(margins.size());
  const Shard blocks[] = {columns_between(shard, 0, cut), columns_between(shard, cut, cols)};
  for (const std::size_t b : {0, 1}) {
    LinearRows block(blocks[b], executor, best_instruction_set());
    block.certify_margins(std::span(w).subspan(b * cut * outputs, block.columns() * outputs),
                          b == 1 ? intercepts : none, part);
    for (std::size_t i = 0; i < margins.size(); i += 2) {
      const DoubleDouble sum = DoubleDouble(margins[i], margins[i + 1]) + DoubleDouble(part[i], part[i + 1]);
      margins[i] = sum.high;
      margins[i + 1] = sum.low;
    }
  }
  for (const std::size_t b : {0, 1}) {
    LinearRows block(blocks[b], executor, best_instruction_set());
    std::vector<double> got(2 * (1 + (block.columns() + 1) * outputs));
    block.certify_at(c_.loss, outputs, margins, std::span(centre).subspan(b * cut, block.columns()), got);
    const double unit = c_.loss == Loss::squared ? 1e-25 : 1e-12;  // of classes the loss is a double's
    const auto expect_pair = [&](std::size_t i, std::size_t j) {
      const DoubleDouble difference =
          DoubleDouble(got[2 * i], got[2 * i + 1]) - DoubleDouble(sums[2 * j], sums[2 * j + 1]);
      EXPECT_NEAR(static_cast<double>(difference), 0, unit * (1 + std::abs(sums[2 * j]))) << j;
    };
    for (std::size_t i = 0; i <= outputs; ++i) expect_pair(i, i);
    for (std::size_t i = 0; i < block.columns() * outputs; ++i)
      expect_pair(1 + outputs + i, 1 + outputs + b * cut * outputs + i);
  }
}

INSTANTIATE_TEST_SUITE_P(, Margins, ::testing::Range(0, 12));

}  // namespace
}  // namespace muster
