#include "solver/exact.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/double_double.h"

namespace muster {
namespace {

using Rows = std::vector<std::vector<double>>;  // features, then the target
using Precision = Statistics::Precision;

// Rows as double-double, so that a test can hand over powers that double would round.
using WideRows = std::vector<std::vector<DoubleDouble>>;

WideRows widen(const Rows& rows) {
  WideRows wide;
  for (const auto& row : rows) wide.emplace_back(row.begin(), row.end());
  return wide;
}

Statistics statistics_of(const WideRows& rows, bool centred, Precision precision,
                         const std::vector<double>& weights = {}) {
  Statistics s;
  s.columns = rows[0].size() - 1;
  s.precision = precision;
  s.centre.assign(s.columns + 1, 0.0);
  double total = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double weight = weights.empty() ? 1 : weights[i];
    total += weight;
    for (std::size_t j = 0; centred && j <= s.columns; ++j) s.centre[j] += weight * rows[i][j].high;
  }
  for (double& c : s.centre) c /= total;
  std::vector<DoubleDouble> sums(s.entries());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<DoubleDouble> z{1.0};
    for (std::size_t j = 0; j <= s.columns; ++j) z.push_back(rows[i][j] - DoubleDouble(s.centre[j]));
    std::size_t entry = 0;
    for (std::size_t a = 0; a < z.size(); ++a)
      for (std::size_t b = a; b < z.size(); ++b) sums[entry++] += z[a] * z[b] * (weights.empty() ? 1 : weights[i]);
  }
  for (const DoubleDouble& sum : sums) {
    s.sums.push_back(sum.high);
    if (precision == Precision::double_double) s.sums.push_back(sum.low);
  }
  return s;
}

Rows read_csv(const std::string& path) {  // y first in the file, last in the row
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  Rows rows;
  while (std::getline(in, line)) {
    std::stringstream cells(line);
    std::vector<double> row;
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(std::stod(cell));
    std::rotate(row.begin(), row.begin() + 1, row.end());
    rows.push_back(row);
  }
  return rows;
}

double correct_digits(double value, double certified) {
  if (value == certified) return 15.95;
  return std::min(15.95, -std::log10(std::abs(value - certified) / (certified == 0 ? 1 : std::abs(certified))));
}

nlohmann::json certificate(const std::string& set) {
  std::ifstream in(MUSTER_SOURCE_DIR "/tests/data/nist/certified.json");
  return nlohmann::json::parse(in).at(set);
}

// With powers of x1 formed in double-double.
WideRows nist_rows(const std::string& set, const nlohmann::json& certified) {
  WideRows rows = widen(read_csv(MUSTER_SOURCE_DIR "/tests/data/nist/" + set + ".csv"));
  if (certified.at("degree").is_null()) return rows;
  const int degree = certified.at("degree");
  for (auto& row : rows) {
    const DoubleDouble x = row[0], y = row[1];
    row.clear();
    for (int k = 1; k <= degree; ++k) row.push_back(power(x, k));
    row.push_back(y);
  }
  return rows;
}

class Nist : public testing::TestWithParam<std::string> {};

TEST_P(Nist, ThirteenDigits) {
  const nlohmann::json certified = certificate(GetParam());
  const WideRows rows = nist_rows(GetParam(), certified);
  ExactOptions options;
  options.intercept = certified.at("intercept");
  const ExactSolution s = solve_exact(statistics_of(rows, options.intercept, Precision::double_double), options);
  std::vector<double> found = s.w;
  if (options.intercept) found.insert(found.begin(), s.intercept);
  const std::vector<double> expected = certified.at("coef");
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t j = 0; j < found.size(); ++j)
    EXPECT_GE(correct_digits(found[j], expected[j]), 13) << "coefficient " << j << ": " << found[j];
  EXPECT_TRUE(s.dependent.empty());
}

INSTANTIATE_TEST_SUITE_P(Sets, Nist,
                         testing::Values("Norris", "Pontius", "NoInt1", "NoInt2", "Filip", "Longley", "Wampler1",
                                         "Wampler2", "Wampler3", "Wampler4", "Wampler5"),
                         [](const auto& set) { return set.param; });

// Residuals formed row by row in double-double take out what the statistics' rounding left in.
TEST(Exact, RefinementReachesTheCorrectlyRoundedSolutionOfFilip) {
  const nlohmann::json certified = certificate("Filip");
  const WideRows rows = nist_rows("Filip", certified);
  const Statistics statistics = statistics_of(rows, true, Precision::double_double);
  const ExactSolution first = solve_exact(statistics, {});
  std::vector<DoubleDouble> sums(11);
  for (const auto& row : rows) {
    DoubleDouble residual = first.intercept - row[10];
    for (std::size_t j = 0; j < 10; ++j) residual += row[j] * first.w[j];
    sums[0] += residual;
    for (std::size_t j = 0; j < 10; ++j) sums[j + 1] += residual * (row[j] - DoubleDouble(statistics.centre[j]));
  }
  std::vector<double> pairs;
  for (const DoubleDouble& sum : sums) pairs.insert(pairs.end(), {sum.high, sum.low});
  const ExactSolution refined = refine_exact(first, statistics, {}, pairs);
  // The solution for the data as rounded to double, in exact rational arithmetic.
  EXPECT_GE(correct_digits(refined.intercept, -0x1.6edf55d6ec264p+10), 15.5);
  EXPECT_GE(correct_digits(refined.w[0], -0x1.5a85bf379513ep+11), 15.5);
  EXPECT_GE(correct_digits(refined.w[1], -0x1.218bdfe689ce8p+11), 15.5);
  EXPECT_GT(refined.digits, 13);
}

// Estimated digits decide whether a cheap solution is good enough, so they must not promise what is not there.
TEST(Exact, EstimatedDigitsOfFloat64StatisticsAreNotTooHigh) {
  for (const std::string set : {"Norris", "Pontius", "Longley", "Wampler1", "Wampler2", "Wampler5", "Filip"}) {
    const nlohmann::json certified = certificate(set);
    const WideRows rows = nist_rows(set, certified);
    const ExactSolution wide = solve_exact(statistics_of(rows, true, Precision::double_double), {});
    const ExactSolution narrow = solve_exact(statistics_of(rows, true, Precision::float64), {});
    if (!narrow.rank_is_certain) {
      EXPECT_EQ(set, "Filip");
      continue;
    }
    double worst = correct_digits(narrow.intercept, wide.intercept);
    for (std::size_t j = 0; j < wide.w.size(); ++j) worst = std::min(worst, correct_digits(narrow.w[j], wide.w[j]));
    EXPECT_LE(narrow.digits, worst + 0.5) << set;
    EXPECT_GE(narrow.digits, worst - 5) << set << " has " << worst;
  }
}

// Centring what was summed around 0 loses digits, and is known to.
TEST(Exact, EstimatedDigitsAreNotTooHighFarFromTheMeans) {
  for (const std::string set : {"Norris", "Pontius", "Longley"}) {
    const WideRows rows = nist_rows(set, certificate(set));
    const ExactSolution wide = solve_exact(statistics_of(rows, true, Precision::double_double), {});
    const ExactSolution far = solve_exact(statistics_of(rows, false, Precision::float64), {});
    if (!far.rank_is_certain) {
      EXPECT_EQ(set, "Longley");
      continue;
    }
    double worst = correct_digits(far.intercept, wide.intercept);
    for (std::size_t j = 0; j < wide.w.size(); ++j) worst = std::min(worst, correct_digits(far.w[j], wide.w[j]));
    EXPECT_LE(far.digits, worst + 0.5) << set;
  }
  // Around 10^7 times the deviation, some 14 of 16 digits of C are gone.
  Rows rows;
  for (int i = 0; i < 40; ++i) rows.push_back({1e7 + i % 7 - 3.0, 2.0 * (i % 7) + 0.1 * (i % 3)});
  EXPECT_LT(solve_exact(statistics_of(widen(rows), false, Precision::float64), {}).digits, 3);
  EXPECT_GT(solve_exact(statistics_of(widen(rows), true, Precision::float64), {}).digits, 12);
}

// x = (1, 2, 3, 4), y = (2, 4, 5, 8): Sxy = 9.5, Sxx = 5, means 2.5 and 4.75.
TEST(Exact, NormalEquationsByHand) {
  const WideRows rows = widen({{1, 2}, {2, 4}, {3, 5}, {4, 8}});
  for (const auto precision : {Precision::float64, Precision::double_double}) {
    const ExactSolution s = solve_exact(statistics_of(rows, true, precision), {});
    EXPECT_NEAR(s.w[0], 1.9, 1e-14);
    EXPECT_NEAR(s.intercept, 0, 1e-14);
    EXPECT_NEAR(s.objective, 0.7 / 8, 1e-14);  // Syy − Sxy²/Sxx = 18.75 − 18.05
    EXPECT_LT(s.suboptimality, 1e-27);
    EXPECT_LT(s.gradient_norm, 1e-14);
    EXPECT_NEAR(s.condition, 1, 1e-12);
    const ExactSolution origin = solve_exact(statistics_of(rows, false, precision), {.intercept = false});
    EXPECT_NEAR(origin.w[0], 57.0 / 30, 1e-14);
    EXPECT_EQ(origin.intercept, 0);
  }
}

// The same rows, the first doubled.
TEST(Exact, WeightsCountRows) {
  const WideRows twice = widen({{1, 2}, {1, 2}, {2, 4}, {3, 5}, {4, 8}});
  const WideRows once = widen({{1, 2}, {2, 4}, {3, 5}, {4, 8}});
  const ExactSolution a = solve_exact(statistics_of(twice, true, Precision::double_double), {});
  const ExactSolution b = solve_exact(statistics_of(once, true, Precision::double_double, {2, 1, 1, 1}), {});
  EXPECT_NEAR(a.w[0], b.w[0], 1e-15);
  EXPECT_NEAR(a.intercept, b.intercept, 1e-15);
  EXPECT_NEAR(a.objective, b.objective, 1e-15);
}

// Orthogonal columns: w_j = (x_j·t/S) / (x_j·x_j/S + λ); standardised: OLS/(1 + λ).
TEST(Exact, RidgeShrinksOrthogonalColumnsByTheFormula) {
  const WideRows rows = widen({{2, 1, 7}, {2, -1, 3}, {-2, 1, 1}, {-2, -1, 0}});  // x_j·t: 14, 5 after centring
  for (const auto precision : {Precision::float64, Precision::double_double}) {
    const ExactSolution ridge = solve_exact(statistics_of(rows, true, precision), {.l2 = 0.5});
    EXPECT_NEAR(ridge.w[0], (18.0 / 4) / (4 + 0.5), 1e-14);
    EXPECT_NEAR(ridge.w[1], (5.0 / 4) / (1 + 0.5), 1e-14);
    EXPECT_NEAR(ridge.intercept, 11.0 / 4, 1e-14);
    const ExactSolution standard = solve_exact(statistics_of(rows, true, precision), {.l2 = 0.5, .standardize = true});
    EXPECT_NEAR(standard.w[0], (18.0 / 16) / 1.5, 1e-14);
    EXPECT_NEAR(standard.w[1], (5.0 / 4) / 1.5, 1e-14);
    EXPECT_LT(standard.gradient_norm, 1e-14);
  }
}

TEST(Exact, DuplicatesShareEquallyAndAreNamed) {
  const WideRows rows = widen({{1, 5, 1, 2}, {2, 3, 2, 4}, {3, 8, 3, 5}, {4, 1, 4, 8}, {7, 2, 7, 1}});
  const WideRows without = widen({{1, 5, 2}, {2, 3, 4}, {3, 8, 5}, {4, 1, 8}, {7, 2, 1}});
  const ExactSolution s = solve_exact(statistics_of(rows, true, Precision::double_double), {});
  const ExactSolution single = solve_exact(statistics_of(without, true, Precision::double_double), {});
  EXPECT_NEAR(s.w[0], single.w[0] / 2, 1e-14);
  EXPECT_NEAR(s.w[2], single.w[0] / 2, 1e-14);
  EXPECT_NEAR(s.w[1], single.w[1], 1e-14);
  EXPECT_EQ(s.dependent, (std::vector<std::size_t>{2}));
  EXPECT_TRUE(s.rank_is_certain);
  EXPECT_FALSE(solve_exact(statistics_of(rows, true, Precision::float64), {}).rank_is_certain);
}

// Four columns of which one is a combination, at very different scales: the solution must be orthogonal, in scaled
// coordinates, to the null space.
TEST(Exact, MinimumNormIsOrthogonalToTheNullSpaceInScaledCoordinates) {
  Rows plain;
  for (int i = 0; i < 12; ++i) {
    const double a = (i * 7) % 12, b = 1000.0 * ((i * 5) % 11);
    plain.push_back({a, b, 2 * a - b, static_cast<double>((i * i) % 7), static_cast<double>((i * 3) % 8)});
  }
  const Statistics statistics = statistics_of(widen(plain), true, Precision::double_double);
  const ExactSolution s = solve_exact(statistics, {});
  EXPECT_EQ(s.dependent.size(), 1u);
  const std::vector<double> null{2, -1, -1,
                                 0};  // X·null is constant; in scaled coordinates null_j σ_j, against w_j σ_j
  double product = 0, length = 0;
  for (std::size_t j = 0; j < 4; ++j) {
    const std::size_t p = statistics.order(), i = j + 1;
    const double square = statistics.sums[2 * (i * p - i * (i - 1) / 2)];
    product += null[j] * s.w[j] * square;
    length += std::abs(null[j] * s.w[j] * square);
  }
  EXPECT_LT(std::abs(product), 1e-13 * length);
  EXPECT_LT(s.gradient_norm, 1e-12);
}

TEST(Exact, MoreColumnsThanRowsInterpolates) {
  Rows plain;
  for (int i = 0; i < 4; ++i) {
    std::vector<double> row;
    for (int j = 0; j < 12; ++j) row.push_back(std::sin(1.0 + 3.7 * i + 1.9 * j * (i + 1)));
    row.push_back(i * i);
    plain.push_back(row);
  }
  const ExactSolution s = solve_exact(statistics_of(widen(plain), true, Precision::double_double), {});
  EXPECT_EQ(s.dependent.size(), 12u - 3u);
  EXPECT_LT(s.objective, 1e-28);
  for (const auto& row : plain) {
    double fitted = s.intercept;
    for (std::size_t j = 0; j < 12; ++j) fitted += row[j] * s.w[j];
    EXPECT_NEAR(fitted, row[12], 1e-13);
  }
}

TEST(Exact, ConstantColumnsAndConstantTargets) {
  const ExactSolution column = solve_exact(
      statistics_of(widen({{0.1, 1, 2}, {0.1, 2, 4}, {0.1, 3, 5}, {0.1, 4, 8}}), true, Precision::float64), {});
  EXPECT_EQ(column.constant, (std::vector<std::size_t>{0}));
  EXPECT_EQ(column.w[0], 0);
  EXPECT_NEAR(column.w[1], 1.9, 1e-14);
  const ExactSolution target =
      solve_exact(statistics_of(widen({{1, 0.3}, {2, 0.3}, {4, 0.3}}), true, Precision::double_double), {});
  EXPECT_NEAR(target.intercept, 0.3, 1e-16);
  EXPECT_NEAR(target.w[0], 0, 1e-16);
  EXPECT_LT(target.objective, 1e-31);
  const ExactSolution nothing = solve_exact(statistics_of(widen({{5, 1}, {5, 2}}), true, Precision::double_double), {});
  EXPECT_EQ(nothing.w[0], 0);
  EXPECT_EQ(nothing.intercept, 1.5);
  EXPECT_NEAR(nothing.objective, 0.125, 1e-16);
}

// f(w) − f* from the certificate against f evaluated at both.
TEST(Exact, NewtonDecrementIsTheSuboptimality) {
  const Statistics statistics =
      statistics_of(widen({{1, 2, 2}, {2, 7, 4}, {3, 1, 5}, {4, 4, 8}}), true, Precision::double_double);
  const ExactSolution s = solve_exact(statistics, {});
  // Moving b by 1 with w held changes f by ½; moving u_0 alone by h, by ½h²A_00 = ½h².
  std::vector<double> g = s.gradient;
  g[2] += 1;
  g[0] += s.mean_shift[0];
  g[1] += s.mean_shift[1];
  EXPECT_NEAR(s.newton_decrement(g, 0), 0.5, 1e-12);
}

TEST(DenseSolve, OneNormEstimateOfAKnownInverse) {
  const std::vector<double> inverse{4, -2, 0, -2, 5, 1, 0, 1, 3};  // 1-norm 8
  const auto apply = [&](std::span<double> x) {
    std::vector<double> y(3);
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) y[i] += inverse[3 * i + j] * x[j];
    std::copy(y.begin(), y.end(), x.begin());
  };
  EXPECT_NEAR(estimate_one_norm(3, apply, apply), 8, 1e-12);
}

// Orders across the panel's edges: L·Lᵀ must give back A.
TEST(DenseSolve, FactorsOfManyOrders) {
  for (const std::size_t n : {1, 2, 47, 48, 49, 95, 96, 97, 130}) {
    std::vector<double> a(n * n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        a[i * n + j] = (i == j ? static_cast<double>(n) : 0) + std::cos(static_cast<double>(i * j + i + j));
    const PivotedCholesky<double> c = factorise(a, n, 1e-12);
    ASSERT_EQ(c.rank, n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j <= i; ++j) {
        double sum = 0;
        for (std::size_t k = 0; k <= j; ++k) sum += c.at(i, k) * c.at(j, k);
        const std::size_t row = std::max(c.pivots[i], c.pivots[j]), col = std::min(c.pivots[i], c.pivots[j]);
        EXPECT_NEAR(sum, a[row * n + col], 1e-11) << n;
      }
  }
}

}  // namespace
}  // namespace muster
