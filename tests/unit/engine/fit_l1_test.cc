// The bound that a fit with an l1 penalty alone is judged by: at any model at least the distance to the optimum, and
// small in the end.
#include <algorithm>
#include <cmath>
#include <random>

#include "fit_on.h"

namespace muster {
namespace {

// One row with x = 1, no intercept: F(w) = ½(w − a)² + q|w|, whose least is qa − q²/2 where a > q > 0, at w = a − q.
TEST(L1Bound, IsAtLeastTheDistanceToAKnownOptimum) {
  constexpr double kA = 3, kQ = 0.5;
  const Table table{{{1}}, {kA}, {}, {}, {}};
  TrainOptions options = with(Loss::squared, SolverChoice::nesterov);
  options.problem.intercept = false;
  options.problem.l1 = kQ;
  options.stop.max_rounds = 1;  // the model it starts at
  options.stop.tolerance = 1e-15;
  for (const double w : {-1.0, 0.0, 1.0, 2.0, 2.4, 2.5, 2.6, 3.0, 4.0}) {
    const FitResult r = fit_on(table, options, {.adjust = [w](FitRequest& request) {
                                 request.start = LinearModel{{w}, {0}};
                               }});
    ASSERT_EQ(r.model.w[0], w);
    const Certificate& c = r.report.certificate;
    EXPECT_EQ(c.bound_source, "duality gap");
    EXPECT_GE(*c.suboptimality_bound, c.objective - (kQ * kA - kQ * kQ / 2) - 1e-15) << w;
    if (w == kA - kQ) {
      EXPECT_NEAR(*c.suboptimality_bound, 0, 1e-15);
    }
    // At 0, by hand: g = −3, ρ = 5, F = 4.5, h = 0.
    if (w == 0) {
      EXPECT_NEAR(*c.suboptimality_bound, 5 * 4.5 / 6, 1e-14);
    }
  }
}

Table l1_table(Loss loss) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  Table table;
  table.classes = {"a", "b", "c"};
  if (loss != Loss::softmax) table.classes.pop_back();
  for (std::size_t i = 0; i < 120; ++i) {
    std::vector<double>& x = table.x.emplace_back();
    for (std::size_t j = 0; j < 9; ++j) x.push_back(std::pow(3.0, static_cast<double>(j % 3)) * (normal(random) + 4));
    const double margin = x[0] - 0.3 * x[4] + 0.1 * x[8] - 4 + normal(random);
    const double classes = loss == Loss::softmax ? std::clamp(std::round(margin) + 1, 0.0, 2.0)
                           : margin > 0          ? 1.0
                                                 : 0.0;
    table.y.push_back(loss == Loss::squared ? margin : classes);
    table.weights.push_back(static_cast<double>(1 + i % 3));
  }
  return table;
}

TEST(L1Bound, HoldsOnTheWayAndEndsTheRun) {
  for (const Loss loss : {Loss::squared, Loss::logistic, Loss::softmax}) {
    const Table table = l1_table(loss);
    for (const int kind : {0, 1, 2, 3}) {
      TrainOptions options = with(loss, SolverChoice::nesterov);
      options.problem.l1 = 0.02;
      options.problem.intercept = (kind & 1) == 0;
      options.problem.standardize = (kind & 2) != 0;
      options.stop.tolerance = 1e-12;
      const double best = fit_on(table, options).report.certificate.objective;
      options.stop.tolerance = 1e-7;
      for (const std::int64_t rounds : {1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 100'000}) {
        options.stop.max_rounds = rounds;
        const FitResult r = fit_on(table, options, {.ranks = 2});
        const Certificate& c = r.report.certificate;
        EXPECT_GE(*c.suboptimality_bound, c.objective - best - 1e-12) << rounds;
        if (rounds < 100'000) continue;
        EXPECT_EQ(r.report.stop_detail, "the bound on f - f* met the tolerance");
        EXPECT_LE(*c.suboptimality_bound, 1e-7 * c.relative_target);
      }
    }
  }
}

}  // namespace
}  // namespace muster
