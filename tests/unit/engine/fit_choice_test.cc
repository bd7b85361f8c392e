// Which solver is chosen, why, and what becomes of a choice that does not work out.
#include "engine/fit_choice.h"

#include <cmath>

#include "fit_on.h"

namespace muster {
namespace {

// Classes that follow the small difference of nearly equal columns.
Table nearly_dependent(std::size_t rows = 400) {
  Table table;
  for (std::size_t i = 0; i < rows; ++i) {
    const auto t = static_cast<double>(i);
    std::vector<double>& x = table.x.emplace_back(12);
    for (std::size_t j = 0; j < x.size(); ++j)
      x[j] = std::sin(t) +
             std::pow(10.0, -0.35 * static_cast<double>(j)) * std::sin(t * (1.7 + 0.3 * static_cast<double>(j)));
    const double margin = 300 * (x[9] - x[10]) + x[0] + 2 * std::sin(43758.5453 * t);
    table.y.push_back(margin > 0 ? 1 : 0);
  }
  return table;
}

TEST(Choice, NewtonsMethodGoesOnWhereLbfgsTakesLong) {
  const Table table = nearly_dependent();
  const auto fitted = [&](SolverChoice solver, std::int64_t max_rounds = 100'000) {
    TrainOptions options = with(Loss::logistic, solver, 1e-7);
    options.stop.max_rounds = max_rounds;
    options.stop.tolerance = 1e-9;
    return fit_on(table, options, {.ranks = 2}).report;
  };
  const Report alone = fitted(SolverChoice::lbfgs), chosen = fitted(SolverChoice::automatic);
  EXPECT_EQ(chosen.stop_reason, StopReason::converged);
  EXPECT_EQ(chosen.solver, "lbfgs, newton-cg");
  EXPECT_LT(chosen.passes, alone.passes / 2);
  EXPECT_NEAR(chosen.certificate.objective, alone.certificate.objective, 2e-9);
  ASSERT_FALSE(chosen.notes.empty());
  EXPECT_EQ(chosen.notes[0], "lbfgs had not met the tolerance in 150 rounds, and newton-cg went on");
  // Limits are those of the whole run.
  EXPECT_EQ(fitted(SolverChoice::automatic, 100).solver, "lbfgs");
  for (const std::int64_t limit : {100, 150, 153}) {
    const Report limited = fitted(SolverChoice::automatic, limit);
    EXPECT_EQ(limited.stop_reason, StopReason::max_rounds);
    EXPECT_EQ(limited.rounds_done, limit);
  }
}

TEST(Choice, SaysWhyInOneLineWithRowsColumnsWorkersAndSeconds) {
  Table table;
  for (int i = 0; i < 50; ++i) {
    table.x.push_back({std::sin(i), std::cos(3.0 * i)});
    table.y.push_back(std::sin(i) + std::sin(43758.5453 * i) > 0 ? 1 : 0);
  }
  TrainOptions options = with(Loss::squared, SolverChoice::automatic, 0.1);
  EXPECT_EQ(
      fit_on(table, options, {.ranks = 2}).report.solver_reason,
      "exact, because for 50 rows of 2 columns on 2 workers exact takes about 0.029 ms and 100 rounds of cg about "
      "5.8 ms");
  options.problem.loss = Loss::logistic;
  EXPECT_EQ(
      fit_on(table, options, {.ranks = 3}).report.solver_reason,
      "lbfgs, because a logistic loss is not solved in one pass, and newton-cg from round 151 on, because then it "
      "is mostly quicker; a round for 50 rows of 2 columns on 3 workers takes about 0.12 ms");
  options.problem.l1 = 0.01;
  EXPECT_EQ(fit_on(table, options).report.solver_reason,
            "nesterov, because an l1 penalty has no gradient at 0; a round for 50 rows of 2 columns on 1 worker takes "
            "about 0.00015 ms");
}

}  // namespace
}  // namespace muster
