// One pass by learners that share a model: labels, the base of squared loss, what they tell each other.
#include "train/one_pass.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <thread>
#include <vector>

namespace muster {
namespace {

// Labels `low` and `high` by whether x_0 is positive, mostly.
Shard labelled_rows(std::size_t count, double low, double high, std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  AlignedVector<double> values(2 * count);
  Shard shard;
  shard.targets.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[2 * i] = normal(random);
    values[2 * i + 1] = 100 * normal(random);
    shard.targets[i] = values[2 * i] + 0.3 * normal(random) > 0 ? high : low;
  }
  shard.matrix = DenseMatrix{count, 2, std::move(values)};
  return shard;
}

TEST(OnePass, WhicheverLabelComesFirstTheModelIsTheSame) {
  OnePass plus({.rule = OnlineRule::ftrl}), minus({.rule = OnlineRule::ftrl});
  EXPECT_TRUE(OnePassLearner(plus).learn(labelled_rows(1000, -1, 1)));
  EXPECT_TRUE(OnePassLearner(minus).learn(labelled_rows(1000, 1, -1)));
  ASSERT_EQ(plus.labels()[0], -minus.labels()[0]);
  for (const std::uint32_t j : {0U, 1U}) EXPECT_EQ(plus.coefficient(j, false), minus.coefficient(j, false)) << j;
  const bool turned = plus.labels()[1] != 1;
  EXPECT_GT(plus.coefficient(0, turned), 1);
  EXPECT_EQ(plus.coefficient(0, !turned), -plus.coefficient(0, turned));
  EXPECT_EQ(plus.intercept(true), -plus.intercept(false));
}

TEST(OnePass, AThirdLabelIsNotLearnedFrom) {
  OnePass pass({.rule = OnlineRule::adagrad});
  OnePassLearner learner(pass), other(pass);
  EXPECT_TRUE(learner.learn(labelled_rows(300, 3, 4)));
  Shard rows = labelled_rows(300, 3, 4);
  rows.targets[299] = 5;
  EXPECT_FALSE(learner.learn(rows));
  EXPECT_FALSE(other.learn(rows));
  EXPECT_EQ(learner.rows(), 300);
  EXPECT_EQ(pass.exchange({}).rows, 300);
  EXPECT_EQ(pass.labels().size(), 3U);
}

TEST(OnePass, TargetsFarFromZeroCostNothing) {
  const OnlineProblem squared{.rule = OnlineRule::adagrad, .function = RowFunction::squared};
  OnePass near(squared), far(squared);
  EXPECT_TRUE(OnePassLearner(near).learn(labelled_rows(1000, -1, 1)));
  EXPECT_TRUE(OnePassLearner(far).learn(labelled_rows(1000, 1'000'000 - 1, 1'000'000 + 1)));
  EXPECT_NEAR(far.coefficient(0, false), near.coefficient(0, false), 1e-6);
  EXPECT_NEAR(far.intercept(false) - 1e6, near.intercept(false), 1e-6);
  EXPECT_NEAR(far.exchange({}).loss, near.exchange({}).loss, 1e-3);
}

// Between runs of 256 rows in no order lies one part in 256 of the variance; when sorted, nearly all.
TEST(OnePass, SortedTargetsAreNoticed) {
  const OnlineProblem squared{.rule = OnlineRule::adagrad, .function = RowFunction::squared};
  for (const bool sorted : {false, true}) {
    Shard rows = labelled_rows(3000, 0, 1);
    for (std::size_t i = 0; i < 3000; ++i) rows.targets[i] = 1000 + static_cast<double>((sorted ? i : 7919 * i) % 3000);
    OnePass pass(squared);
    EXPECT_FALSE(pass.sorted());
    EXPECT_TRUE(OnePassLearner(pass).learn(rows));
    EXPECT_EQ(pass.sorted(), sorted);
  }
}

TEST(OnePass, LearnersOnThreadsCountEveryRow) {
  OnePass pass({.rule = OnlineRule::adagrad});
  const auto learn = [&](std::uint64_t seed) {
    OnePassLearner learner(pass);
    for (int block = 0; block < 4; ++block) EXPECT_TRUE(learner.learn(labelled_rows(700, 0, 1, seed)));
  };
  std::thread other([&] { learn(2); });
  learn(1);
  other.join();
  const OnlineTotals totals = pass.exchange({});
  EXPECT_EQ(totals.rows, 2 * 4 * 700);
  EXPECT_EQ(totals.weight, 2 * 4 * 700);
  EXPECT_LT(totals.loss / totals.weight, 0.4);
}

}  // namespace
}  // namespace muster
