// Who holds which rows changes a fit by rounding only: shards of one row, of none and of all others, of columns far
// from 0, and of rows sorted by their class.
#include <algorithm>
#include <cmath>
#include <random>

#include "fit_on_grid.h"

namespace muster {
namespace {

constexpr double kFar = 1e10;
constexpr std::size_t kRows = 240;

// Multiples of 2^-12, so that kFar can be added without rounding.
double on_lattice(double x) {
  return std::ldexp(std::round(std::ldexp(x, 12)), -12);
}

// Two columns that `far` is added to, one of them large, a constant that it is added to, one near 0, a constant.
Table far_table(double far, bool classes = false) {
  std::mt19937_64 random(29);
  std::normal_distribution<double> normal;
  Table table;
  for (std::size_t i = 0; i < kRows; ++i) {
    const double a = normal(random), b = normal(random), c = normal(random);
    table.x.push_back({on_lattice(a) + far, on_lattice(100 * b + 60 * a) + far, 0.25 + far, c, -3});
    const double y = 2 * a - b + 0.5 * c + normal(random);
    table.y.push_back(classes ? static_cast<double>(y > 0) : y);
  }
  return table;
}

const std::vector<std::vector<std::size_t>> kShares = {{1, 0, kRows - 1}, {kRows - 1, 1, 0}, {0, 0, kRows}};

// What is left where dense rows are centred as they are read: all but what a margin of 1e10 rounds to. Sparse rows have
// the centre taken off their sums, so that margins are rounded at 1e10, and with them values and gradients.
struct Digits {
  double of_model, of_margins, of_value;
};
constexpr Digits kDense{8, 5, 12}, kByGradients{5, 5, 9};
// Rules that compare values see these to six digits, and so half as many of the model.
constexpr Digits kByValues{2.5, 2.5, 6};

double unit(double digits) {
  return std::pow(10.0, -digits);
}

void expect_the_same_but_far(const FitResult& got, const FitResult& plain, const Digits& digits) {
  const Table near = far_table(0), far = far_table(kFar);
  for (std::size_t j = 0; j < 5; ++j)
    EXPECT_NEAR(got.model.w[j], plain.model.w[j], unit(digits.of_model) * (std::abs(plain.model.w[j]) + 0.01)) << j;
  EXPECT_EQ(got.model.w[2], 0);
  EXPECT_EQ(got.model.w[4], 0);
  for (std::size_t i = 0; i < kRows; i += 17) {
    long double z = got.model.intercepts[0], expected = plain.model.intercepts[0];
    for (std::size_t j = 0; j < 5; ++j) {
      z += static_cast<long double>(got.model.w[j]) * static_cast<long double>(far.x[i][j]);
      expected += static_cast<long double>(plain.model.w[j]) * static_cast<long double>(near.x[i][j]);
    }
    EXPECT_NEAR(static_cast<double>(z), static_cast<double>(expected), unit(digits.of_margins));
  }
  EXPECT_NEAR(got.report.certificate.objective, plain.report.certificate.objective, unit(digits.of_value));
  EXPECT_EQ(got.report.stop_reason, StopReason::converged) << got.report.stop_detail;
  EXPECT_EQ(got.report.certificate.rows_read, static_cast<std::int64_t>(kRows));
  EXPECT_EQ(got.report.notes, plain.report.notes);
}

TrainOptions tight(Loss loss, SolverChoice solver, double l2) {
  TrainOptions options = with(loss, solver, l2);
  options.stop.tolerance = 1e-13;
  options.stop.max_rounds = 5000;
  return options;
}

struct FarCase {
  const char* name;
  Loss loss;
  SolverChoice solver;
  Digits sparse;
};

class FarColumns : public ::testing::TestWithParam<FarCase> {};

// The penalty acts on standardised columns, so that a wrong mean or deviation shows in the model.
TEST_P(FarColumns, FitAsNearOnesDo) {
  const FarCase& c = GetParam();
  TrainOptions options = tight(c.loss, c.solver, 0.5);
  options.problem.standardize = true;
  const bool classes = c.loss == Loss::logistic;
  const Table far = far_table(kFar, classes);
  const FitResult plain = fit_on(far_table(0, classes), options);
  for (const bool sparse : {false, true}) {
    if (sparse && c.sparse.of_value < 9) options.stop.tolerance = unit(c.sparse.of_value);
    for (const std::vector<std::size_t>& rows : kShares) {
      SCOPED_TRACE(std::to_string(rows[0]) + (sparse ? " sparse" : ""));
      const FitResult got = fit_on(far, options, {.ranks = 3, .sparse = sparse, .rows_by_rank = rows});
      expect_the_same_but_far(got, plain, sparse ? c.sparse : kDense);
      for (const GridShape shape : {GridShape{1, 3}, {3, 1}})
        expect_the_same_but_far(fit_on_grid(far, options, {shape, sparse, false, rows}), plain,
                                sparse ? c.sparse : kDense);
      std::vector<std::size_t> of_six = rows;
      of_six.insert(of_six.begin() + 1, {0, 0, 0});
      expect_the_same_but_far(fit_on_grid(far, options, {{2, 3}, sparse, false, of_six}), plain,
                              sparse ? c.sparse : kDense);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, FarColumns,
                         ::testing::Values(FarCase{"Exact", Loss::squared, SolverChoice::exact, kByGradients},
                                           FarCase{"Cg", Loss::squared, SolverChoice::cg, kByGradients},
                                           FarCase{"Gd", Loss::squared, SolverChoice::gd, kByValues},
                                           FarCase{"Lbfgs", Loss::logistic, SolverChoice::lbfgs, kByValues},
                                           FarCase{"NewtonCg", Loss::logistic, SolverChoice::newton_cg, kByValues}),
                         [](const auto& instance) { return instance.param.name; });

// Rows in the order of their targets.
Table sorted_by_target(const Table& table) {
  std::vector<std::size_t> order(table.y.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return table.y[a] < table.y[b]; });
  Table sorted;
  sorted.classes = table.classes;
  for (const std::size_t i : order) {
    sorted.x.push_back(table.x[i]);
    sorted.y.push_back(table.y[i]);
  }
  return sorted;
}

Table several_classes() {
  Table table = far_table(0);
  table.classes = {"a", "b", "c", "d"};
  for (double& y : table.y) y = y < -2 ? 0 : y < 0 ? 1 : y < 2 ? 2 : 3;
  return table;
}

struct SortedCase {
  const char* name;
  Loss loss;
  SolverChoice solver;
  double l2;
};

class SortedRows : public ::testing::TestWithParam<SortedCase> {};

TEST_P(SortedRows, OnUnequalShardsChangeNothingButRounding) {
  const SortedCase& c = GetParam();
  const Table table = c.loss == Loss::softmax ? several_classes() : far_table(0, c.loss == Loss::logistic);
  const Table sorted = sorted_by_target(table);
  const TrainOptions options = tight(c.loss, c.solver, c.l2);
  const FitResult mixed = fit_on(table, options);
  const auto expect_the_same = [&](const FitResult& got) {
    for (std::size_t j = 0; j < mixed.model.w.size(); ++j)
      EXPECT_NEAR(got.model.w[j], mixed.model.w[j], 1e-7 * (1 + std::abs(mixed.model.w[j]))) << j;
    EXPECT_NEAR(got.report.certificate.objective, mixed.report.certificate.objective, 1e-14);
    EXPECT_EQ(got.report.stop_reason, StopReason::converged) << got.report.stop_detail;
    EXPECT_NEAR(static_cast<double>(got.report.rounds_done), static_cast<double>(mixed.report.rounds_done), 2);
  };
  for (const bool sparse : {false, true}) {
    expect_the_same(fit_on(sorted, options, {.ranks = 4, .threads = 2, .sparse = sparse}));
    for (const std::vector<std::size_t>& rows : kShares) {
      SCOPED_TRACE(rows[0]);
      expect_the_same(fit_on(sorted, options, {.ranks = 3, .sparse = sparse, .rows_by_rank = rows}));
      expect_the_same(fit_on_grid(sorted, options, {{1, 3}, sparse, false, rows}));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, SortedRows,
                         ::testing::Values(SortedCase{"Cg", Loss::squared, SolverChoice::cg, 0.01},
                                           SortedCase{"NewtonCg", Loss::logistic, SolverChoice::newton_cg, 0.01},
                                           SortedCase{"Lbfgs", Loss::logistic, SolverChoice::lbfgs, 1e-5},
                                           SortedCase{"SoftmaxLbfgs", Loss::softmax, SolverChoice::lbfgs, 1e-5},
                                           SortedCase{"SoftmaxNewtonCg", Loss::softmax, SolverChoice::newton_cg, 0.01}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace muster
