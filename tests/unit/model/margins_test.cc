#include "model/margins.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/double_double.h"

namespace muster {
namespace {

template <class Value>
Shard dense(std::size_t cols, const std::vector<Value>& values) {
  DenseMatrix matrix;
  matrix.rows = values.size() / cols;
  matrix.cols = cols;
  matrix.values = AlignedVector<Value>(values.begin(), values.end());
  Shard shard;
  shard.matrix = std::move(matrix);
  return shard;
}

std::vector<double> margins_of(const std::vector<double>& w, double intercept, const Shard& shard) {
  std::vector<double> z(shard.rows());
  margins(w, intercept, shard, z);
  return z;
}

TEST(Margins, DenseByHand) {
  const Shard rows = dense<double>(2, {1, 2, -3, 0.5});
  EXPECT_EQ(margins_of({10, 100}, 7, rows), (std::vector<double>{217, 27}));
}

TEST(Margins, Float32Storage) {
  const Shard rows = dense<float>(2, {1, 2, -3, 0.5});
  EXPECT_EQ(margins_of({10, 100}, 7, rows), (std::vector<double>{217, 27}));
}

TEST(Margins, OffsetsAreAdded) {
  Shard rows = dense<double>(1, {1, 2});
  rows.offsets = {0.25, -5};
  EXPECT_EQ(margins_of({2}, 1, rows), (std::vector<double>{3.25, 0}));
}

TEST(Margins, SparseByHandWithAnEmptyRow) {
  SparseMatrix matrix;
  matrix.rows = 3;
  matrix.cols = 4;
  matrix.row_begin = {0, 2, 2, 3};
  matrix.columns = {0, 3, 2};
  matrix.values = AlignedVector<double>{1.0, 2.0, 5.0};
  Shard shard;
  shard.matrix = std::move(matrix);
  EXPECT_EQ(margins_of({1, 10, 100, 1000}, 0.5, shard), (std::vector<double>{2001.5, 0.5, 500.5}));
}

// 1e16 + 1 - 1e16 is 0 in double.
TEST(Margins, TermsThatCancelLeaveTheSmallOne) {
  const Shard rows = dense<double>(3, {1, 1, 1});
  EXPECT_EQ(margins_of({1e16, 1, -1e16}, 0, rows), (std::vector<double>{1}));
  // 0.1 · 3 is not 0.3: the product itself is exact too. 0.1 and 0.3 as doubles differ from that by 2.8e-17.
  const Shard product = dense<double>(2, {3, 1});
  const double exact = std::fma(0.1, 3.0, -0.3);
  EXPECT_NE(exact, 0);
  EXPECT_EQ(margins_of({0.1, -0.3}, 0, product), (std::vector<double>{exact}));
}

// (x − 1)^8 expanded, near its root: coefficients are exact integers, so only the powers' rounding can hurt.
TEST(Margins, PowersAreRecomputedFromTheirBase) {
  const std::vector<double> w{-8, 28, -56, 70, -56, 28, -8, 1};
  const double x = 1.01;
  std::vector<double> row;
  Shard shard;
  for (int degree = 1; degree <= 8; ++degree) row.push_back(std::pow(x, degree));
  shard = dense<double>(8, row);
  for (std::size_t j = 1; j < 8; ++j) shard.powers.push_back({j, 0, static_cast<int>(j) + 1});
  const double z = margins_of(w, 1, shard)[0];
  const double truth = std::pow(x - 1, 8);
  EXPECT_NEAR(z / truth, 1, 1e-9);
  shard.powers.clear();
  EXPECT_GT(std::fabs(margins_of(w, 1, shard)[0] / truth - 1), 1) << "powers rounded to double do not reach this";
}

TEST(Margins, OverflowGivesInfinityAndNotNan) {
  const Shard rows = dense<double>(2, {1e200, 1});
  EXPECT_EQ(margins_of({1e200, 1}, 0, rows)[0], std::numeric_limits<double>::infinity());
  EXPECT_EQ(margins_of({-1e200, 1}, 0, rows)[0], -std::numeric_limits<double>::infinity());
}

TEST(Margins, NoColumns) {
  DenseMatrix matrix;
  matrix.rows = 2;
  matrix.values = AlignedVector<double>{};
  Shard shard;
  shard.matrix = std::move(matrix);
  EXPECT_EQ(margins_of({}, 3, shard), (std::vector<double>{3, 3}));
}

TEST(Probability, ByHandAndInTheTails) {
  EXPECT_EQ(probability(0), 0.5);
  EXPECT_NEAR(probability(std::log(3)), 0.75, 1e-16);
  EXPECT_NEAR(probability(-std::log(3)), 0.25, 1e-16);
  EXPECT_EQ(probability(800), 1);
  EXPECT_EQ(probability(-700), std::exp(-700));  // not 0, not NaN
  EXPECT_EQ(probability(-1e308), 0);
}

}  // namespace
}  // namespace muster
