// fit() on grids of row blocks by column blocks against the row split: the same objective, coefficients and
// certificate, to rounding, whatever the grid.
#include <cmath>
#include <limits>
#include <optional>
#include <random>

#include "fit_on_grid.h"
#include "muster/error.h"

namespace muster {
namespace {

// Columns of very different means and scales, one constant; a target that follows them.
Table split_table(Loss loss, bool weights, bool offsets, std::size_t rows = 203) {
  constexpr std::size_t kColumns = 7;
  std::mt19937_64 random(17);
  std::normal_distribution<double> normal;
  Table table;
  for (std::size_t i = 0; i < rows; ++i) {
    std::vector<double> x(kColumns);
    double margin = 0.3;
    for (std::size_t j = 0; j < kColumns; ++j) {
      const double z = normal(random) > 0.4 ? normal(random) : 0;
      const double scale = std::pow(10.0, static_cast<double>(j) - 3);
      x[j] = j == 4 ? 2.5 : scale * (z + (j % 2 == 0 ? 3 : 0));
      margin += j % 3 == 1 ? 0 : z;
    }
    table.x.push_back(x);
    if (weights) table.weights.push_back(static_cast<double>(i % 4));
    if (offsets) table.offsets.push_back(0.5 * normal(random));
    margin += offsets ? table.offsets.back() : 0;
    const double y = margin + normal(random);
    table.y.push_back(loss == Loss::logistic  ? static_cast<double>(y > 0)
                      : loss == Loss::softmax ? static_cast<double>(y > 2) + static_cast<double>(y < -1) * 2
                                              : y);
  }
  if (loss == Loss::softmax) table.classes = {"middle", "high", "low"};
  return table;
}

// Relative, where the two went through the same rounds, each of which rounds.
void expect_same_fit(const FitResult& got, const FitResult& wanted, double digits) {
  const double unit = std::pow(10.0, -digits);
  ASSERT_EQ(got.model.w.size(), wanted.model.w.size());
  for (std::size_t j = 0; j < got.model.w.size(); ++j)
    EXPECT_NEAR(got.model.w[j], wanted.model.w[j], unit * (std::abs(wanted.model.w[j]) + 1e-6)) << j;
  ASSERT_EQ(got.model.outputs(), wanted.model.outputs());
  for (std::size_t k = 0; k < got.model.outputs(); ++k)
    EXPECT_NEAR(got.model.intercepts[k], wanted.model.intercepts[k], unit * (std::abs(wanted.model.intercepts[k]) + 1));
  const Certificate &mine = got.report.certificate, &theirs = wanted.report.certificate;
  EXPECT_NEAR(mine.objective, theirs.objective, unit * std::abs(theirs.objective));
  EXPECT_NEAR(mine.gradient_norm, theirs.gradient_norm, unit);
  ASSERT_EQ(mine.suboptimality_bound.has_value(), theirs.suboptimality_bound.has_value());
  if (mine.suboptimality_bound) {
    EXPECT_NEAR(*mine.suboptimality_bound, *theirs.suboptimality_bound, unit);
  }
  EXPECT_EQ(got.report.stop_reason, wanted.report.stop_reason);
}

constexpr GridShape kGrids[] = {{1, 2}, {2, 1}, {2, 2}, {2, 3}, {3, 1}, {1, 4}, {1, 9}, {2, 5}};

struct SplitCase {
  const char* name;
  Loss loss;
  SolverChoice solver;
  bool weights, offsets, intercept, sparse;
  double l2, l1;
  bool standardize;
};

class Splits : public ::testing::TestWithParam<SplitCase> {};

TEST_P(Splits, EveryGridFitsTheModelOfTheRowSplit) {
  const SplitCase& c = GetParam();
  const Table table = split_table(c.loss, c.weights, c.offsets);
  TrainOptions options = with(c.loss, c.solver, c.l2);
  options.problem.l1 = c.l1;
  options.problem.intercept = c.intercept;
  options.problem.standardize = c.standardize;
  options.stop.tolerance = 1e-9;
  const FitResult rows = fit_on(table, options, {.ranks = 1, .sparse = c.sparse});
  for (const GridShape shape : kGrids) {
    SCOPED_TRACE(name(shape));
    const FitResult got = fit_on_grid(table, options, {shape, c.sparse});
    expect_same_fit(got, rows, 7);
    EXPECT_EQ(got.report.split, name(shape));
    EXPECT_EQ(got.report.notes, rows.report.notes);
    EXPECT_NEAR(static_cast<double>(got.report.passes), static_cast<double>(rows.report.passes), 2);  // rounding
    std::int64_t held = 0;
    for (const WorkerReport& worker : got.report.workers) held += worker.rows * worker.columns;
    EXPECT_EQ(held, static_cast<std::int64_t>(table.y.size() * table.x[0].size()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    , Splits,
    ::testing::Values(
        SplitCase{"Gd", Loss::squared, SolverChoice::gd, false, false, true, false, 0.1, 0, false},
        SplitCase{"GdWeighted", Loss::squared, SolverChoice::gd, true, true, true, true, 0.1, 0, true},
        SplitCase{"Lbfgs", Loss::squared, SolverChoice::lbfgs, true, true, true, false, 0, 0, false},
        SplitCase{"LbfgsThroughTheOrigin", Loss::squared, SolverChoice::lbfgs, false, true, false, true, 0.1, 0, false},
        SplitCase{"LogisticLbfgs", Loss::logistic, SolverChoice::lbfgs, true, true, true, true, 0.01, 0, false},
        SplitCase{"LogisticNoPenalty", Loss::logistic, SolverChoice::lbfgs, false, false, true, false, 0, 0, false},
        SplitCase{"LogisticGd", Loss::logistic, SolverChoice::gd, false, true, false, false, 0.1, 0, true},
        SplitCase{"Lasso", Loss::squared, SolverChoice::nesterov, true, false, true, true, 0.01, 0.1, false},
        SplitCase{"Softmax", Loss::softmax, SolverChoice::automatic, true, false, true, false, 0.01, 0, false},
        SplitCase{"SoftmaxSparse", Loss::softmax, SolverChoice::lbfgs, true, false, true, true, 0.01, 0, true},
        SplitCase{"SoftmaxThroughTheOrigin", Loss::softmax, SolverChoice::gd, false, false, false, true, 0.1, 0, false},
        SplitCase{"SoftmaxNewton", Loss::softmax, SolverChoice::newton_cg, true, false, true, true, 0.01, 0, false},
        SplitCase{"SoftmaxLasso", Loss::softmax, SolverChoice::nesterov, true, false, true, false, 0, 0.02, true},
        SplitCase{"LogisticLasso", Loss::logistic, SolverChoice::nesterov, false, true, true, false, 0, 0.02, true}),
    [](const auto& instance) { return instance.param.name; });

// Each rank gets its rows back, so that exact under a split is exact by rows, to the last bit.
struct ExactSplit {
  bool weights = false, offsets = false, sparse = false, verify = false;
  double l2 = 0;
};

TEST(SplitExact, EveryGridHasTheBitsOfTheRowSplit) {
  for (const ExactSplit& c : {ExactSplit{}, {true, true, false, true, 0.1}, {true, false, true, true, 0}}) {
    const Table table = split_table(Loss::squared, c.weights, c.offsets);
    TrainOptions options = with(Loss::squared, SolverChoice::exact, c.l2);
    options.verify = c.verify;
    for (const GridShape shape : kGrids) {
      SCOPED_TRACE(name(shape));
      const FitResult rows = fit_on(table, options, {.ranks = shape.rows * shape.columns, .sparse = c.sparse});
      const FitResult got = fit_on_grid(table, options, {shape, c.sparse});
      EXPECT_EQ(got.model.w, rows.model.w);
      EXPECT_EQ(got.model.intercepts, rows.model.intercepts);
      const Certificate &mine = got.report.certificate, &theirs = rows.report.certificate;
      EXPECT_EQ(mine.objective, theirs.objective);
      EXPECT_EQ(mine.gradient_norm, theirs.gradient_norm);
      EXPECT_EQ(mine.suboptimality_bound, theirs.suboptimality_bound);
      EXPECT_EQ(mine.digits, theirs.digits);
      EXPECT_EQ(mine.training_r2, theirs.training_r2);
      EXPECT_EQ(got.report.notes, rows.report.notes);
      EXPECT_EQ(got.report.split, name(shape));
    }
  }
}

TEST(SplitExact, FewerRowsThanRanksAndChosenByItself) {
  Table table{{{1, 2, 0.5}, {2, 1, 0.25}}, {1, 3}, {}, {}, {}};
  const TrainOptions options = with(Loss::squared, SolverChoice::automatic);
  const FitResult rows = fit_on(table, options, {.ranks = 6});
  for (const GridShape shape : {GridShape{2, 3}, {1, 6}}) {
    const FitResult got = fit_on_grid(table, options, {shape});
    EXPECT_EQ(got.report.solver, "exact");
    EXPECT_EQ(got.model.w, rows.model.w);
    EXPECT_EQ(got.report.dependent_columns, rows.report.dependent_columns);
  }
}

TEST(SplitDependence, ColumnsThatFollowFromOthersAreNamedWhoeverHoldsThem) {
  Table table = split_table(Loss::squared, false, false, 60);
  for (std::vector<double>& x : table.x) x[5] = 3 * x[0] - 0.5 * x[6] + 1;
  for (const SolverChoice solver : {SolverChoice::exact, SolverChoice::cg, SolverChoice::lbfgs}) {
    const TrainOptions options = with(Loss::squared, solver);
    const FitResult rows = fit_on(table, options, {.ranks = 4});
    ASSERT_EQ(rows.report.dependent_columns.size(), 1U);
    for (const GridShape shape : {GridShape{1, 4}, {2, 2}})
      EXPECT_EQ(fit_on_grid(table, options, {shape}).report.dependent_columns, rows.report.dependent_columns);
  }
}

// No rank of these grids' last row blocks has a row, and some have no column.
TEST(SplitOfSoftmax, RanksWithoutRowsOrColumnsTakePart) {
  Table table = split_table(Loss::softmax, false, false, 6);
  table.y = {0, 1, 2, 0, 1, 2};
  TrainOptions options = with(Loss::softmax, SolverChoice::gd, 0.1);
  options.problem.standardize = true;
  options.stop.tolerance = 1e-6;
  const FitResult rows = fit_on(table, options);
  EXPECT_LT(rows.report.rounds_done, 200);
  for (const GridShape shape : {GridShape{8, 1}, {8, 2}, {1, 9}, {2, 9}})
    expect_same_fit(fit_on_grid(table, options, {.shape = shape, .simulated = true}), rows, 7);
}

class SplitBits : public ::testing::TestWithParam<Loss> {};
INSTANTIATE_TEST_SUITE_P(, SplitBits, ::testing::Values(Loss::logistic, Loss::softmax));

TEST_P(SplitBits, AGridHasTheSameBitsOnThreadsAndSimulated) {
  const Table table = split_table(GetParam(), true, GetParam() == Loss::logistic);
  const TrainOptions options = with(GetParam(), SolverChoice::lbfgs, 0.01);
  for (const GridShape shape : {GridShape{1, 3}, {2, 2}}) {
    const FitResult threads = fit_on_grid(table, options, {shape});
    const FitResult simulated = fit_on_grid(table, options, {shape, false, true});
    EXPECT_EQ(threads.model.w, simulated.model.w);
    EXPECT_EQ(threads.model.intercepts, simulated.model.intercepts);
    EXPECT_EQ(threads.report.certificate.objective, simulated.report.certificate.objective);
  }
}

TEST(SplitResume, AWholeModelIsCutToBlocksAndGoesOn) {
  const Table table = split_table(Loss::squared, false, false);
  TrainOptions options = with(Loss::squared, SolverChoice::gd, 0.1);
  const FitResult first = fit_on_grid(table, options, {{2, 2}});
  options.stop.max_rounds = 2;
  const FitResult again = fit_on_grid(table, options, {{1, 3}}, first.model);
  EXPECT_EQ(again.report.stop_reason, StopReason::converged);
  EXPECT_EQ(again.report.rounds_done, 1);
  expect_same_fit(again, first, 7);
}

TEST(SplitPowers, PowersStayBesideTheirBaseAndAreRecomputedForTheCertificate) {
  Table table;
  for (int i = 0; i < 60; ++i) {
    const double x = 1 + 0.01 * i;
    table.x.push_back({std::sin(i), x, x * x, x * x * x, std::cos(i)});
    table.y.push_back(2 + x - 0.5 * x * x * x + 0.1 * std::sin(3.0 * i));
  }
  table.powers = {{2, 1, 2}, {3, 1, 3}};
  const TrainOptions options = with(Loss::squared, SolverChoice::gd, 0.01);
  const FitResult rows = fit_on(table, options);
  for (const int columns : {2, 3}) expect_same_fit(fit_on_grid(table, options, {{1, columns}}), rows, 7);
  const TrainOptions exact = with(Loss::squared, SolverChoice::exact);
  EXPECT_EQ(fit_on_grid(table, exact, {{1, 3}}).model.w, fit_on(table, exact, {.ranks = 3}).model.w);
}

TEST(SplitErrors, TheSameSentenceOnEveryRank) {
  Table table = split_table(Loss::squared, false, false, 20);
  table.x[7][5] = 1e300;
  const TrainOptions options = with(Loss::squared, SolverChoice::gd, 0.1);
  for (const GridShape shape : {GridShape{1, 3}, {2, 2}}) {
    try {
      fit_on_grid(table, options, {shape});
      FAIL();
    } catch (const InputError& error) {
      EXPECT_STREQ(error.what(), "the values of column 'x6' are too large: their squares overflow");
    }
  }
}

TEST(SplitSeparation, ASeparatingColumnIsNamedWhoeverHoldsIt) {
  Table table = split_table(Loss::logistic, false, false, 40);
  for (std::size_t i = 0; i < 40; ++i) table.x[i][6] = table.y[i] == 1 ? 5 + 0.1 * static_cast<double>(i) : 1;
  const TrainOptions options = with(Loss::logistic, SolverChoice::lbfgs);
  const FitResult got = fit_on_grid(table, options, {{2, 3}});
  EXPECT_EQ(got.report.stop_reason, StopReason::diverged);
  EXPECT_NE(got.report.stop_detail.find("column 'x7' alone separates the classes"), std::string::npos);
}

RunOptions asked(SplitOptions split = {}) {
  RunOptions run;
  run.split = split;
  return run;
}

TEST(ChooseSplit, ByWhatARoundCosts) {
  using Kind = SplitOptions::Kind;
  const auto shape = [](double columns, double rows, double row_entries = 20) {
    return DataShape{rows, columns, rows * row_entries, true};
  };
  const auto chosen = [&](double columns, double rows, int ranks) {
    return name(choose_split(asked(), shape(columns, rows), ranks).shape);
  };
  EXPECT_EQ(chosen(50, 1'000'000, 8), "rows");
  EXPECT_EQ(chosen(5'000, 10, 8), "rows");                // latency decides
  EXPECT_EQ(chosen(50'000'000, 200'000, 4), "features");  // 200,000 against 50 million
  EXPECT_EQ(chosen(1'000'000, 3'000'000, 8), "rows");
  EXPECT_EQ(chosen(1'000'000, 1'000'000, 16), "4x4");  // two sums of 250,000 over 4 for one of a million over 16
  EXPECT_EQ(name(choose_split(asked(), shape(60'000, 2'000, 60'000), 2).shape), "rows");  // dense: computing decides
  EXPECT_EQ(chosen(50'000'000, 200'000, 1), "rows");
  EXPECT_EQ(choose_split(asked(), shape(50e6, 200e3), 4).reason,
            "features, because for 200000 rows of 50000000 columns on 4 workers a round takes about 1.3 s by rows, and "
            "as features about 7.4 ms");
  // Ten classes: ten numbers for each row, and for each column.
  DataShape classes = shape(20'000, 500);
  EXPECT_EQ(name(choose_split(asked(), classes, 4).shape), "rows");
  classes.outputs = 10;
  EXPECT_EQ(name(choose_split(asked(), classes, 4).shape), "features");
  EXPECT_EQ(choose_split(asked({Kind::features}), shape(3, 1000), 4).reason, "");
  EXPECT_EQ(name(choose_split(asked({Kind::grid, 3, 2}), shape(3, 1000), 6).shape), "3x2");
  RunOptions exact = asked();
  exact.solver = SolverChoice::exact;
  EXPECT_EQ(name(choose_split(exact, shape(50e6, 200e3), 4).shape), "rows");
  EXPECT_THROW(check_split(asked({Kind::grid, 3, 2}), 4), InputError);
  EXPECT_NO_THROW(check_split(asked({Kind::grid, 3, 2}), 6));
}

}  // namespace
}  // namespace muster
