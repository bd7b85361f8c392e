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

// Half of a run's targets lie `apart` above its middle and half below: of the variance 1/(1 + apart²) is between runs.
void add_run(TargetOrder& order, double middle, double apart) {
  std::vector<double> targets(TargetOrder::kRun);
  for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = middle + (i % 2 == 0 ? apart : -apart);
  order.add(targets);
}

TEST(TargetOrders, ItIsTheShareOfTheVarianceBetweenRunsThatTells) {
  for (const double apart : {0.5, 1.0, 3.0, 15.0}) {
    TargetOrder order, one, other;
    for (int run = 0; run < 8; ++run) {
      add_run(order, 100 + (run % 2 == 0 ? 1 : -1), apart);
      add_run(run < 4 ? one : other, 100 + (run < 4 ? 1 : -1), apart);
    }
    EXPECT_EQ(order.sorted(), apart <= 1) << apart;
    // Each of two learners sees targets that are alike; together they know better.
    EXPECT_FALSE(one.sorted() || other.sorted());
    one.add(other);
    EXPECT_EQ(one.sorted(), apart <= 1) << apart;
  }
}

TEST(TargetOrders, FewRunsTellNothing) {
  TargetOrder order;
  for (int run = 0; run < 3; ++run) add_run(order, run, 0);
  EXPECT_FALSE(order.sorted());
  add_run(order, 3, 0);
  EXPECT_TRUE(order.sorted());
}

// What no learner can see of its own rows.
TEST(OnePass, LearnersWithTargetsOfTheirOwnAreNoticedTogether) {
  OnePass pass({.rule = OnlineRule::adagrad, .function = RowFunction::squared});
  for (const double target : {5.0, 9.0}) {
    EXPECT_FALSE(pass.sorted());
    EXPECT_TRUE(OnePassLearner(pass).learn(labelled_rows(4 * TargetOrder::kRun, target, target)));
  }
  EXPECT_TRUE(pass.sorted());
}

TEST(OnePass, EveryWholeRunIsLookedAt) {
  const OnlineProblem squared{.rule = OnlineRule::adagrad, .function = RowFunction::squared};
  for (const std::size_t count : {4 * TargetOrder::kRun - 1, 4 * TargetOrder::kRun}) {
    Shard rows = labelled_rows(count, 0, 1);
    for (std::size_t i = 0; i < count; ++i) rows.targets[i] = static_cast<double>(i);
    OnePass pass(squared);
    EXPECT_TRUE(OnePassLearner(pass).learn(rows));
    EXPECT_EQ(pass.sorted(), count == 4 * TargetOrder::kRun);
  }
}

TEST(OnePass, TheBaseIsTheMeanLessOffsetsOfTheFirstRowsAndStays) {
  Shard rows = labelled_rows(2, 0, 1), others = rows;
  rows.targets = AlignedVector<double>{5, 9};
  rows.offsets = AlignedVector<double>{1, 3};
  others.targets = AlignedVector<double>{50, 90};
  OnlineProblem squared{.rule = OnlineRule::adagrad, .function = RowFunction::squared};
  OnePass pass(squared);
  EXPECT_EQ(pass.base(labelled_rows(0, 0, 1)), 0);
  EXPECT_EQ(pass.base(rows), 5);
  EXPECT_EQ(pass.base(others), 5);
  squared.intercept = false;
  EXPECT_EQ(OnePass(squared).base(rows), 0);
}

// Rows of all learners count, wherever the number of rows does: so under a penalty, which weighs as much as they do.
// The steps of one model, which tells nobody of them, go the same way.
TEST(OnePass, LearnersInTurnLearnAsOneDoes) {
  for (const RowFunction function : {RowFunction::logistic, RowFunction::squared})
    for (const OnlineRule rule : {OnlineRule::adagrad, OnlineRule::ftrl}) {
      const OnlineProblem problem{.rule = rule, .function = function, .l2 = 0.5};
      OnePass shared(problem);
      OnePassLearner learners[] = {OnePassLearner(shared), OnePassLearner(shared), OnePassLearner(shared)};
      OnlineModel alone;
      alone.problem = problem;
      OnlineSteps steps(alone);
      OnlineTotals totals;
      for (std::uint64_t block = 0; block < 60; ++block) {
        const Shard rows = labelled_rows(TargetOrder::kRun, 0, 1, block);
        EXPECT_TRUE(learners[block % 3].learn(rows));
        std::vector<double> targets;
        for (const double y : rows.targets)
          targets.push_back(shared.classifies() ? (y == shared.labels()[0] ? 0 : 1) : y - shared.base(rows));
        const auto& values = std::get<RowArray<double>>(std::get<DenseMatrix>(rows.matrix).values);
        steps.take(DenseRows<double>{values.data(), rows.rows(), 2}, {targets.data(), nullptr, nullptr}, 0, rows.rows(),
                   totals);
      }
      const double w = alone.coefficient(0, totals.weight);
      EXPECT_NEAR(shared.coefficient(0, false), w, 0.1 * std::abs(w));
      EXPECT_NEAR(shared.exchange({}).loss, totals.loss, 0.05 * totals.loss);
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
