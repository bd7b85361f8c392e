#include "model/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace muster {
namespace {

using Numbers = std::vector<double>;

// Everything at once, or in blocks of `block` rows.
template <class Accumulator>
Metrics measure(const Numbers& y, const Numbers& z, const Numbers& s = {}, std::size_t block = SIZE_MAX) {
  Accumulator accumulator;
  for (std::size_t begin = 0; begin < y.size();) {
    const std::size_t count = std::min(block, y.size() - begin);
    const auto part = [&](const Numbers& v) {
      return v.empty() ? std::span<const double>() : std::span<const double>(v).subspan(begin, count);
    };
    accumulator.add({part(y), part(z), part(s)});
    begin += count;
  }
  return std::move(accumulator).result();
}

// scikit-learn's documentation of mean_squared_error, mean_absolute_error and r2_score: 0.375, 0.5, 0.9486.
TEST(Regression, ScikitLearnsExample) {
  const Metrics m = measure<RegressionMetrics>({3, -0.5, 2, 7}, {2.5, 0.0, 2, 8});
  EXPECT_EQ(m.rows, 4);
  EXPECT_DOUBLE_EQ(m.rmse, std::sqrt(0.375));
  EXPECT_DOUBLE_EQ(m.mae, 0.5);
  EXPECT_NEAR(m.r2, 0.94860813704496786, 1e-15);
}

// Σ s = 10, Σ s r² = 1·1 + 2·0 + 3·4 + 4·1 = 17, Σ s |r| = 1 + 0 + 6 + 4 = 11; ȳ = (1 + 4 + 9 + 16)/10 = 3,
// Σ s (y − ȳ)² = 4 + 2 + 0 + 4 = 10.
TEST(Regression, WeightsByHand) {
  const Metrics m = measure<RegressionMetrics>({1, 2, 3, 4}, {0, 2, 5, 5}, {1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(m.rmse, std::sqrt(1.7));
  EXPECT_DOUBLE_EQ(m.mae, 1.1);
  EXPECT_DOUBLE_EQ(m.r2, 1 - 1.7);
}

TEST(Regression, AWeightOfTwoIsARowTwice) {
  const Metrics twice = measure<RegressionMetrics>({1, 5, 5, 2}, {0, 3, 3, 2});
  const Metrics weighted = measure<RegressionMetrics>({1, 5, 2}, {0, 3, 2}, {1, 2, 1});
  EXPECT_DOUBLE_EQ(weighted.rmse, twice.rmse);
  EXPECT_DOUBLE_EQ(weighted.mae, twice.mae);
  EXPECT_DOUBLE_EQ(weighted.r2, twice.r2);
}

// A spread of 1 around a mean of 1e9: Σ y² − n ȳ² in double would keep no digit of it.
TEST(Regression, BlocksMergeStably) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  Numbers y, z, s;
  long double sum = 0, weight = 0;
  for (int i = 0; i < 10'000; ++i) {
    y.push_back(1e9 + normal(random));
    z.push_back(y.back() + 0.5 * normal(random));
    s.push_back(i % 7);
    sum += static_cast<long double>(s.back()) * y.back();
    weight += s.back();
  }
  long double spread = 0, squares = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const long double d = y[i] - sum / weight, r = static_cast<long double>(y[i]) - z[i];
    spread += s[i] * d * d;
    squares += s[i] * r * r;
  }
  const double truth = static_cast<double>(1 - squares / spread);
  for (const std::size_t block : {1, 7, 4096, 10'000}) {
    EXPECT_NEAR(measure<RegressionMetrics>(y, z, s, block).r2, truth, 1e-12) << block;
  }
}

TEST(Regression, WhatTheDataDoNotDefineIsNan) {
  EXPECT_TRUE(std::isnan(measure<RegressionMetrics>({0.1, 0.1, 0.1}, {0.1, 0.2, 0.1}).r2)) << "constant targets";
  EXPECT_TRUE(std::isnan(measure<RegressionMetrics>({0.1, 0.1, 0.1}, {0.1, 0.2, 0.1}, {0.3, 0.3, 0.7}, 1).r2));
  EXPECT_TRUE(std::isnan(measure<RegressionMetrics>({1, 2}, {1, 2}, {0, 0}).rmse)) << "no weight";
  EXPECT_TRUE(std::isnan(measure<RegressionMetrics>({}, {}).rmse)) << "no rows";
}

TEST(LogisticLoss, ByHandAndInTheTails) {
  EXPECT_DOUBLE_EQ(logistic_loss(1, 0), std::log(2));
  EXPECT_DOUBLE_EQ(logistic_loss(0, std::log(3)), std::log(4));
  EXPECT_DOUBLE_EQ(logistic_loss(1, std::log(3)), std::log(4.0 / 3));
  EXPECT_EQ(logistic_loss(1, -1e300), 1e300);
  EXPECT_EQ(logistic_loss(0, 1000), 1000);
  EXPECT_EQ(logistic_loss(1, 700), std::exp(-700));  // log(1 + e^-700), not 0
}

TEST(Classification, ByHand) {
  const double a = std::log(3);  // probability 3/4
  const Metrics m = measure<ClassificationMetrics>({1, 0, 1, 0, 1}, {a, -a, -a, a, a});
  EXPECT_EQ(m.rows, 5);
  EXPECT_EQ(m.true_positive, 2);
  EXPECT_EQ(m.true_negative, 1);
  EXPECT_EQ(m.false_negative, 1);
  EXPECT_EQ(m.false_positive, 1);
  EXPECT_DOUBLE_EQ(m.accuracy, 0.6);
  EXPECT_DOUBLE_EQ(m.log_loss, (3 * std::log(4.0 / 3) + 2 * std::log(4)) / 5);
  EXPECT_DOUBLE_EQ(m.auc, (1 + 0.5 + 1 + 0.5 + 0.5 + 0) / 6);  // pairs: (a,-a) wins, (a,a) and (-a,-a) tie, twice over
}

TEST(Classification, AMarginOfZeroIsPredictedNegative) {
  const Metrics m = measure<ClassificationMetrics>({1, 0}, {0, 0});
  EXPECT_EQ(m.false_negative, 1);
  EXPECT_EQ(m.true_negative, 1);
  EXPECT_EQ(m.auc, 0.5);
}

TEST(Classification, WeightsAsRepeatedRows) {
  const Numbers y{1, 0, 1, 0, 1, 1}, z{0.2, 0.1, -1, 0.2, 3, 0.1}, s{1, 3, 2, 2, 1, 4};
  Numbers many_y, many_z;
  for (std::size_t i = 0; i < y.size(); ++i) {
    many_y.insert(many_y.end(), static_cast<std::size_t>(s[i]), y[i]);
    many_z.insert(many_z.end(), static_cast<std::size_t>(s[i]), z[i]);
  }
  const Metrics repeated = measure<ClassificationMetrics>(many_y, many_z);
  for (const std::size_t block : {1, 4, 100}) {
    const Metrics weighted = measure<ClassificationMetrics>(y, z, s, block);
    EXPECT_DOUBLE_EQ(weighted.log_loss, repeated.log_loss);
    EXPECT_DOUBLE_EQ(weighted.accuracy, repeated.accuracy);
    EXPECT_DOUBLE_EQ(weighted.auc, repeated.auc);
    EXPECT_EQ(weighted.true_positive, 3);  // rows, not weights
  }
}

// scikit-learn's documentation of roc_auc_score: y = 0 0 1 1, scores 0.1 0.4 0.35 0.8, area 0.75.
TEST(Auc, ScikitLearnsExample) {
  EXPECT_EQ(area_under_curve({0.1, 0.4}, {0.35, 0.8}), 0.75);
}

TEST(Auc, OneClassIsUndefined) {
  EXPECT_TRUE(std::isnan(area_under_curve(Numbers{}, Numbers{1})));
  EXPECT_TRUE(std::isnan(area_under_curve(Numbers{1}, Numbers{})));
}

TEST(Auc, AgreesWithEveryPairCompared) {
  std::mt19937_64 random(11);
  std::uniform_int_distribution<int> level(0, 20);  // few levels: many ties
  Numbers negatives, positives;
  for (int i = 0; i < 300; ++i) (i % 3 ? negatives : positives).push_back(level(random) + (i % 3 ? 0 : 2));
  double won = 0;
  for (const double p : positives) {
    for (const double n : negatives) won += p > n ? 1 : p == n ? 0.5 : 0;
  }
  EXPECT_DOUBLE_EQ(area_under_curve(negatives, positives),
                   won / static_cast<double>(positives.size() * negatives.size()));
}

}  // namespace
}  // namespace muster
