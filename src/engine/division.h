// Which rank holds which part of the matrix: --split.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "cluster/endpoint.h"
#include "data/load.h"
#include "engine/cost.h"
#include "muster/options.h"
#include "train/grid.h"

namespace muster {

struct SplitChoice {
  GridShape shape;
  std::string reason = {};  // empty where it was asked for
};

// From numbers that are equal on every rank. By columns where rounds of the row split would take much longer: with
// columns so many more than rows that margins are the smaller message.
SplitChoice choose_split(const RunOptions& run, const DataShape& data, int ranks);

// Throws InputError where the grid asked for is not that of so many ranks.
void check_split(const RunOptions& run, int ranks);

// "rows", "features", "2x3".
std::string name(GridShape shape);

// Where one rank stands. Of the whole run's endpoint, which outlives it.
class Division {
 public:
  // Collective. Afterwards data.shard is this rank's block: the rows of the ranks it shares rows with, in order, and
  // its own columns. The columns are exchanged once, in pieces.
  Division(const SplitChoice& choice, Endpoint& whole, Dataset& data);

  // Collective over the ranks with the same rows, where columns are cut: this rank's share of those rows with all
  // columns, which is what it had before, from everybody's block.
  Shard rows_with_all_columns(const Shard& block) const;

  bool columns_are_cut() const { return over_columns_ != nullptr; }
  Grid grid(Endpoint& whole) const {
    return columns_are_cut() ? Grid(*over_rows_, *over_columns_, whole) : Grid(whole);
  }
  std::size_t first_column() const { return begins_[block_]; }
  std::size_t end_column() const { return begins_[block_ + 1]; }
  std::size_t all_columns() const { return begins_.back(); }
  // Whether the intercept's coordinate is here: it goes with the last block.
  bool has_last_block() const { return block_ + 2 == begins_.size(); }
  const SplitChoice& choice() const { return choice_; }

  // Collective over the ranks with the same rows: numbers by column, put together at the first of them; elsewhere
  // nothing. per_column: how many numbers a column has.
  std::vector<double> gather_columns(std::vector<double> mine, std::size_t per_column) const;

 private:
  SplitChoice choice_;
  std::vector<std::size_t> begins_;      // of column blocks
  std::vector<std::size_t> row_begins_;  // of the shares of the ranks with the same rows, among those
  std::size_t block_ = 0;
  std::unique_ptr<Endpoint> over_rows_, over_columns_;
};

}  // namespace muster
