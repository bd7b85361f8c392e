// For tests of fit(): a table dealt out over ranks that are threads.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "cluster/threads/threads_launch.h"
#include "engine/fit.h"

namespace muster {

struct Table {
  std::vector<std::vector<double>> x;
  std::vector<double> y, weights, offsets;
  std::vector<PowerFeature> powers;
  std::vector<std::string> classes = {"no", "yes"};
};

// This rank's part: contiguous rows, of as many as rows_by_rank says, or where that is empty in equal shares.
inline Dataset share(const Table& table, int rank, int size, bool sparse = false,
                     const std::vector<std::size_t>& rows_by_rank = {}) {
  const std::size_t n = table.y.size(), d = table.x[0].size();
  const auto at = [&](int r) {
    if (rows_by_rank.empty()) return n * static_cast<std::size_t>(r) / static_cast<std::size_t>(size);
    return std::accumulate(rows_by_rank.begin(), rows_by_rank.begin() + r, std::size_t{0});
  };
  const std::size_t begin = at(rank), end = at(rank + 1);
  Dataset data;
  for (std::size_t j = 0; j < d; ++j) {
    Feature feature;
    feature.name = "x" + std::to_string(j + 1);
    data.encoding.features.push_back(feature);
  }
  for (const PowerFeature& power : table.powers) data.encoding.features[power.feature].kind = Feature::Kind::power;
  data.encoding.classes = table.classes;
  data.summary.rows_read = data.summary.rows_in_files = static_cast<std::int64_t>(n);
  Shard& shard = data.shard;
  AlignedVector<double> values;
  SparseMatrix csr{end - begin, d, {}, {}, {}};
  csr.row_begin.push_back(0);
  for (std::size_t i = begin; i < end; ++i) {
    for (std::size_t j = 0; j < d; ++j) {
      if (sparse && table.x[i][j] == 0) continue;
      values.push_back(table.x[i][j]);
      csr.columns.push_back(static_cast<std::uint32_t>(j));
    }
    csr.row_begin.push_back(values.size());
    shard.targets.push_back(table.y[i]);
    if (!table.weights.empty()) shard.weights.push_back(table.weights[i]);
    if (!table.offsets.empty()) shard.offsets.push_back(table.offsets[i]);
  }
  if (sparse) {
    csr.values = std::move(values);
    shard.matrix = std::move(csr);
  } else {
    shard.matrix = DenseMatrix{end - begin, d, std::move(values)};
  }
  shard.powers = table.powers;
  return data;
}

struct How {
  int ranks = 1;
  int threads = 1;
  bool sparse = false;
  std::function<void(FitRequest&)> adjust = {};
  std::vector<std::size_t> rows_by_rank = {};  // empty: equal shares
};

// Fits on n ranks as threads; checks that all agree; gives rank 0's result.
inline FitResult fit_on(const Table& table, const TrainOptions& options, const How& how = {}) {
  std::vector<FitResult> results(static_cast<std::size_t>(how.ranks));
  run_threads(how.ranks, {}, [&](Endpoint& endpoint) {
    const Dataset data = share(table, endpoint.rank(), endpoint.size(), how.sparse, how.rows_by_rank);
    Executor executor(how.threads, [&] { endpoint.progress(); });
    FitRequest request{.data = data,
                       .options = options,
                       .instruction_set = best_instruction_set(),
                       .start = {},
                       .on_round = {},
                       .wants_checkpoint = {},
                       .save_checkpoint = {}};
    if (how.adjust) how.adjust(request);
    results[static_cast<std::size_t>(endpoint.rank())] = fit(request, endpoint, executor);
  });
  for (const FitResult& result : results) {
    EXPECT_EQ(result.model.w, results[0].model.w);
    EXPECT_EQ(result.model.intercepts, results[0].model.intercepts);
    EXPECT_EQ(result.report.stop_reason, results[0].report.stop_reason);
    EXPECT_EQ(result.report.certificate.objective, results[0].report.certificate.objective);
    EXPECT_TRUE(result.report.certificate.same_model_on_all_ranks);
    EXPECT_EQ(result.report.certificate.consensus_distance, 0);
  }
  return results[0];
}

inline TrainOptions with(Loss loss, SolverChoice solver, double l2 = 0) {
  TrainOptions options;
  options.problem.loss = loss;
  options.problem.l2 = l2;
  options.run.solver = solver;
  options.run.reproducible = true;
  return options;
}

}  // namespace muster
