// Runs without a penalty, where a small gradient does not say that f is near its least: what they tell of themselves,
// and that none says converged which is not.
#include "engine/fit_progress.h"

#include <cmath>
#include <random>

#include "fit_on.h"

namespace muster {
namespace {

const auto kWhole = [](std::span<double>) {};

TEST(ProgressEstimate, OfAFallLikeOneOverTheSquareOfThePassesIsNoLessThanTheGap) {
  ProgressEstimate estimate(kWhole);
  for (int k = 1; k <= 400; ++k) {
    const double f = 7 + 1 / static_cast<double>(k * k), at = static_cast<double>(k);
    estimate.see(k, std::vector<double>{at}, std::vector<double>{-1e-9}, f, 1e-9);
    if (k < 4) continue;
    EXPECT_GE(estimate.above_optimum(), f - 7) << k;
    EXPECT_LE(estimate.above_optimum(), 20 * (f - 7)) << k;
  }
}

// f = ½(x² + 1e-8 y²): once x is settled, f no longer falls and the gradient is tiny, with all of the valley to go.
TEST(ProgressEstimate, OfAFlatValleyGoesByTheLeastCurvatureSeen) {
  ProgressEstimate estimate(kWhole);
  const double y = 1;
  for (int k = 1; k <= 100; ++k) {
    const double at = y - 1e-6 * k;  // steps of a rule with step size 1 move y by 1e-8 of it
    estimate.see(k, std::vector<double>{0, at}, std::vector<double>{0, 1e-8 * at}, 0.5e-8 * at * at, 1e-8 * at);
  }
  EXPECT_NEAR(estimate.above_optimum(), 0.5e-8, 0.01e-8);
}

// Powers of a number in [1, 2], with noise of relative size 1e-4 in the target: the condition of the normal equations
// is above 1e11 with six of them.
Table powers() {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  Table table;
  for (int i = 0; i < 80; ++i) {
    const double x = 1 + i / 79.0;
    std::vector<double>& row = table.x.emplace_back();
    for (int k = 1; k <= 6; ++k) row.push_back(std::pow(x, k));
    table.y.push_back(std::sin(6 * x) + 1e-4 * normal(random));
  }
  return table;
}

TEST(Convergence, IsNotClaimedFarFromTheOptimum) {
  const Table table = powers();
  const double best = fit_on(table, with(Loss::squared, SolverChoice::exact)).report.certificate.objective;
  for (const SolverChoice solver :
       {SolverChoice::cg, SolverChoice::lbfgs, SolverChoice::newton_cg, SolverChoice::nesterov, SolverChoice::gd}) {
    TrainOptions options = with(Loss::squared, solver);
    options.stop.max_rounds = 3000;
    const Report report = fit_on(table, options, {.ranks = 2}).report;
    const Certificate& c = report.certificate;
    const double gap = c.objective - best;
    EXPECT_EQ(c.bound_source, "newton decrement");
    EXPECT_NEAR(*c.suboptimality_bound, gap, 1e-3 * gap + 1e-12) << report.solver;
    EXPECT_EQ(report.stop_reason == StopReason::converged, gap <= 1e-6 * c.relative_target)
        << report.solver << " " << gap << " " << report.stop_detail;
    if (solver == SolverChoice::cg) {
      EXPECT_EQ(report.stop_reason, StopReason::converged);
    }
  }
}

}  // namespace
}  // namespace muster
