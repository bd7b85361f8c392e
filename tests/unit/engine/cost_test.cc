// What choices are expected to cost, against the virtual clock of the cluster they assume, and against arithmetic.
#include "engine/cost.h"

#include <cmath>
#include <limits>

#include "cluster/sim/sim_launch.h"
#include "engine/division.h"
#include "fit_on.h"

namespace muster {
namespace {

Table waves(std::size_t rows, std::size_t columns) {
  Table table;
  for (std::size_t i = 0; i < rows; ++i) {
    std::vector<double>& x = table.x.emplace_back(columns);
    for (std::size_t j = 0; j < columns; ++j)
      x[j] = std::sin(static_cast<double>(i * (j + 1)) + 0.5) + 4 * std::sin(static_cast<double>(i));
    table.y.push_back(std::cos(static_cast<double>(i)));
  }
  return table;
}

// Seconds of one round of gd on the simulated cluster.
double simulated_round(const Table& table, GridShape shape) {
  TrainOptions options = with(Loss::squared, SolverChoice::gd, 1e-4);
  options.stop.tolerance = 1e-14;
  options.stop.max_rounds = 30;
  FitResult result;
  run_simulated(shape.rows * shape.columns, {}, {}, [&](Endpoint& endpoint) {
    Dataset data = share(table, endpoint.rank(), endpoint.size());
    const Division division({shape}, endpoint, data);
    Executor executor(1);
    const FitRequest request{.data = data,
                             .options = options,
                             .instruction_set = best_instruction_set(),
                             .start = {},
                             .division = &division,
                             .on_round = {},
                             .wants_checkpoint = {},
                             .save_checkpoint = {}};
    FitResult mine = fit(request, endpoint, executor);
    if (endpoint.rank() == 0) result = std::move(mine);
  });
  const std::vector<RoundReport>& rounds = result.report.rounds;
  EXPECT_EQ(rounds.size(), 30U);
  return (rounds[29].seconds - rounds[9].seconds) / 20;
}

// Rounds that compute, that send gradients, that send margins, and that wait.
TEST(Cost, OfARoundIsWhatTheSimulatedClusterTakes) {
  struct Size {
    std::size_t rows, columns;
  };
  for (const Size size : {Size{600, 500}, {24, 6000}, {6000, 12}, {30, 12}}) {
    const Table table = waves(size.rows, size.columns);
    const auto rows = static_cast<double>(size.rows), columns = static_cast<double>(size.columns);
    for (const GridShape shape : {GridShape{4, 1}, {1, 4}, {2, 2}}) {
      SCOPED_TRACE(name(shape));
      const Cost cost({rows, columns, rows * columns, false}, 4);
      const double ratio = cost.of_round(shape) / simulated_round(table, shape);
      EXPECT_GT(ratio, 0.75) << size.rows << " rows of " << size.columns;
      EXPECT_LT(ratio, 1.35) << size.rows << " rows of " << size.columns;
    }
  }
}

TEST(Cost, ByHand) {
  // A million values of 6 operations at 4 Gflop/s, by four workers; a gradient of 1000 numbers up and down a tree of
  // two levels, each message 29 microseconds and 8000 bytes at 1.25 GB/s.
  const Cost cost({1000, 1000, 1e6, false}, 4);
  EXPECT_NEAR(cost.of_round({4, 1}), 1.5e-3 / 4 + 4 * (29e-6 + 6.4e-6), 1e-12);
  // Of its 2 MB each worker sends 500 kB to every other.
  EXPECT_NEAR(cost.of_cutting({1, 4}), 3 * (29e-6 + 400e-6), 1e-12);
  EXPECT_EQ(cost.subject(), "1000 rows of 1000 columns on 4 workers");
  EXPECT_EQ(Cost({1, 1, 1, false}, 1).subject(), "1 row of 1 column on 1 worker");
  const Cost classes({1000, 1000, 1e6, false, 10}, 4);
  EXPECT_NEAR(classes.of_round({4, 1}), 15e-3 / 4 + 4 * (29e-6 + 64e-6), 1e-12);
  EXPECT_EQ(classes.subject(), "1000 rows of 1000 columns, 10 classes, on 4 workers");
  EXPECT_EQ(in_seconds(0.0123), "12 ms");
  EXPECT_EQ(in_seconds(12.3), "12 s");
}

TEST(Cost, OfExactGrowsWithColumnsAndItsSolveDoesNotShrinkWithWorkers) {
  const auto exact = [](double rows, double columns, int workers) {
    return Cost({rows, columns, rows * columns, false}, workers).of_exact();
  };
  EXPECT_GT(exact(1e6, 200, 1) / exact(1e6, 100, 1), 3);
  EXPECT_LT(exact(1e6, 100, 8), 0.2 * exact(1e6, 100, 1));
  EXPECT_GT(exact(2000, 2000, 64), 0.9 * exact(2000, 2000, 8));
  // One worker sends nothing: what its few rows leave is 2002³/3 operations at 2 Gflop/s.
  EXPECT_NEAR(exact(1, 2000, 1), 1.337, 0.001);
  // Sparse rows of few entries do not pay for all pairs of columns.
  EXPECT_LT(Cost({1e6, 1000, 5e6, true}, 1).of_exact(), 0.1 * exact(1e6, 1000, 1));
}

}  // namespace
}  // namespace muster
