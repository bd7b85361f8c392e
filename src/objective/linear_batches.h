// The rows of a shard dealt into batches: what stochastic solvers of linear models ask of the data.
//
// Rows are dealt by a seeded permutation, since neighbours in a file are often of one kind (one class, one day). A
// batch of dense rows touches every parameter and its rows are centred one by one. A batch of sparse rows touches only
// the columns it has entries in, and the intercept: its rows are scaled, but not centred,
//
//     margin_i = Σ_j v_j x_ij / scale_j + b_eff + o_i ,   b_eff = b − Σ_j v_j centre_j / scale_j
//
// and who holds all of v sees to the rest: it hands out b_eff for b, and takes (centre_j / scale_j) ∂f/∂b off every
// ∂f/∂v_j; for softmax so for each class.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data/row_source.h"
#include "muster/objective.h"
#include "objective/row_loss.h"

namespace muster {

// What a batch's loss is of: a scaling of every column, and whether the last parameters are intercepts. Parameters are
// numbered as LinearObjective's.
struct BatchModel {
  RowLoss loss;
  std::span<const double> centre, scale;
  bool intercept = true;
};

// Threads: one call at a time.
class LinearBatches {
 public:
  // Batches that so many of a shard's rows are dealt into.
  static std::size_t count(std::size_t shard_rows, std::size_t rows);
  // As RowObjective's. The shard is that of all calls until dealt again.
  std::size_t deal(const Shard& shard, const BatchModel& model, std::size_t rows, std::uint64_t seed);
  std::span<const std::uint32_t> keys(std::size_t batch) const;
  std::size_t rows(std::size_t batch) const { return rows_of(batch).size(); }
  double weight(const Shard& shard, std::size_t batch) const;
  void gradient(const Shard& shard, const BatchModel& model, std::size_t batch, std::span<const double> w,
                double& value, std::span<double> gradient);

 private:
  struct Evaluation;

  std::span<const std::uint32_t> rows_of(std::size_t batch) const;
  void collect_keys(const Shard& shard, const BatchModel& model);

  std::vector<std::uint32_t> order_;      // the rows, batch after batch
  std::vector<std::size_t> batch_begin_;  // in order_; one more than there are batches
  std::vector<std::uint32_t> keys_;       // dense: of every batch
  std::vector<std::size_t> keys_begin_;   // in keys_, by batch; one more than there are batches
  // Between calls all 0: a batch's coefficients, and sums over its rows, in the places its rows name.
  ModelPoint point_;
  AlignedVector<double> sums_, room_;
  std::vector<double> margins_, targets_, weights_;  // by row of a batch
};

// max_i (s_i n / S) h |x̃_i|² over n rows of total weight S: x̃_i centred, scaled, with a 1 for the intercept; h the
// largest second derivative of the loss. 0 where there are no rows.
double largest_row_curvature(RowSource& source, const BatchModel& model);

}  // namespace muster
