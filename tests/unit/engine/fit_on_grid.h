// For tests of fit() where columns are cut: a table dealt out over a grid of row blocks by column blocks.
#pragma once

#include <optional>
#include <vector>

#include "cluster/sim/sim_launch.h"
#include "engine/division.h"
#include "fit_on.h"

namespace muster {

struct OnGrid {
  GridShape shape;
  bool sparse = false;
  bool simulated = false;
  std::vector<std::size_t> rows_by_rank = {};  // as they were read; empty: equal shares
};

// One rank's part of it.
inline FitResult fit_one_of_grid(const Table& table, const TrainOptions& options, const OnGrid& how,
                                 const std::optional<LinearModel>& start, Endpoint& endpoint) {
  Dataset data = share(table, endpoint.rank(), endpoint.size(), how.sparse, how.rows_by_rank);
  const Division division({how.shape}, endpoint, data);
  Executor executor(1);
  const FitRequest request{.data = data,
                           .options = options,
                           .instruction_set = best_instruction_set(),
                           .start = start,
                           .division = &division,
                           .on_round = {},
                           .wants_checkpoint = {},
                           .save_checkpoint = {}};
  return fit(request, endpoint, executor);
}

// The speaker's result; every rank's is checked against it.
inline FitResult fit_on_grid(const Table& table, const TrainOptions& options, const OnGrid& how,
                             const std::optional<LinearModel>& start = {}) {
  const int ranks = how.shape.rows * how.shape.columns;
  std::vector<FitResult> results(static_cast<std::size_t>(ranks));
  const auto rank_main = [&](Endpoint& endpoint) {
    results[static_cast<std::size_t>(endpoint.rank())] = fit_one_of_grid(table, options, how, start, endpoint);
  };
  if (how.simulated) {
    run_simulated(ranks, {}, {}, rank_main);
  } else {
    run_threads(ranks, {}, rank_main);
  }
  for (const FitResult& result : results) {
    EXPECT_EQ(result.model.intercepts, results[0].model.intercepts);
    EXPECT_EQ(result.report.rounds_done, results[0].report.rounds_done);
    EXPECT_EQ(result.report.certificate.objective, results[0].report.certificate.objective);
    EXPECT_EQ(result.report.certificate.gradient_norm, results[0].report.certificate.gradient_norm);
    EXPECT_EQ(result.report.certificate.suboptimality_bound, results[0].report.certificate.suboptimality_bound);
    EXPECT_TRUE(result.report.certificate.same_model_on_all_ranks);
  }
  return results[0];
}

}  // namespace muster
