// A node of a grid that dies is named, by the ranks it shares rows or columns with and by all others, within the
// silence that is allowed; on the simulator's clock.
#include <cmath>
#include <string>

#include "fit_on_grid.h"
#include "muster/error.h"

namespace muster {
namespace {

constexpr double kDeath = 0.05, kSilence = 2;  // seconds; unhindered, the run would take 20

Table grid_table() {
  Table table;
  for (int i = 0; i < 90; ++i) {
    std::vector<double> x;
    for (int j = 0; j < 6; ++j) x.push_back(std::sin(1 + 3 * i + 0.01 * j));
    table.x.push_back(x);
    table.y.push_back(std::cos(i));
  }
  return table;
}

std::string name_of(int rank) {
  return "rank " + std::to_string(rank) + " on node" + std::to_string(rank);
}

struct Seen {
  std::string cause;
  Time at = 0;
};

std::vector<Seen> fit_with_a_death(GridShape shape, int dead) {
  const Table table = grid_table();
  TrainOptions options = with(Loss::squared, SolverChoice::gd, 1e-9);
  options.stop.tolerance = 1e-15;
  ClusterModel model;
  model.default_node.flops_per_second = 1e6;
  model.deaths.push_back({.node = dead, .at = kDeath});
  EndpointOptions endpoint_options{.silence_seconds = kSilence};
  const int ranks = shape.rows * shape.columns;
  std::vector<Seen> seen(static_cast<std::size_t>(ranks));
  const auto main = [&](Endpoint& endpoint) {
    Seen& mine = seen[static_cast<std::size_t>(endpoint.rank())];
    try {
      fit_one_of_grid(table, options, {shape}, {}, endpoint);
      mine.cause = "the fit came to its end";
    } catch (const ClusterError& error) {
      mine = {error.what(), endpoint.now()};
      throw;
    }
  };
  std::string said;
  try {
    run_simulated(ranks, model, endpoint_options, main);
  } catch (const ClusterError& error) {
    said = error.what();
  }
  EXPECT_EQ(said.find(name_of(dead)), 0U) << said;
  return seen;
}

TEST(LostInAGrid, EverySurvivorNamesTheNodeInTime) {
  for (const GridShape shape : {GridShape{2, 2}, {1, 3}, {2, 3}}) {
    const int ranks = shape.rows * shape.columns;
    for (int dead = 0; dead < ranks; ++dead) {
      SCOPED_TRACE(name(shape) + " without " + std::to_string(dead));
      const std::vector<Seen> seen = fit_with_a_death(shape, dead);
      for (int r = 0; r < ranks; ++r) {
        if (r == dead) continue;
        const Seen& mine = seen[static_cast<std::size_t>(r)];
        EXPECT_NE(mine.cause.find(name_of(dead)), std::string::npos) << r << ": " << mine.cause;
        EXPECT_GE(mine.at, kDeath);
        EXPECT_LE(mine.at, kDeath + kSilence + 0.1) << r;
      }
    }
  }
}

}  // namespace
}  // namespace muster
