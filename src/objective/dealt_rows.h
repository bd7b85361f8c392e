// A worker's rows dealt into batches, wherever they are. Those in memory are dealt all at once, and batches can be
// taken in any order. Those that every pass reads anew are dealt a stretch at a time: some consecutive rows, a function
// of their shape and the size of a batch alone, are shuffled among themselves. Batches taken in order then cost one
// reading for all; one that lies behind the last costs a reading up to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "data/row_source.h"
#include "objective/linear_batches.h"

namespace muster {

// Threads: one call at a time.
class DealtRows {
 public:
  // As RowObjective's. source must outlive the next deal.
  std::size_t deal(RowSource& source, const BatchModel& model, std::size_t rows, std::uint64_t seed);

  // Where a batch is, until the next call. Throws InputError.
  struct Place {
    const Shard& shard;  // that `batches` deals
    LinearBatches& batches;
    std::size_t batch;  // in them
  };
  Place at(std::size_t batch);

 private:
  void begin_pass();
  void next_stretch();

  RowSource* source_ = nullptr;
  std::optional<BatchModel> model_;
  std::size_t rows_ = 0, stretch_rows_ = 0;  // of a batch; of a stretch
  std::uint64_t seed_ = 0;

  const Shard* stretch_ = nullptr;  // dealt into batches_
  LinearBatches batches_;
  std::size_t first_ = 0, count_ = 0;  // of its batches
  // Where rows are read anew:
  std::unique_ptr<RowPass> pass_;
  const Shard* window_ = nullptr;
  std::size_t window_row_ = 0, stretches_ = 0;  // the next row; stretches before it
  Shard copied_;
};

}  // namespace muster
