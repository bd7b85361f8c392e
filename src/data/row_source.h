// The rows of one worker as passes over them see them: windows of consecutive rows, in the order of the files, whether
// all are in memory or every pass reads them anew.
//
// Threads: one call at a time, on the source and its passes together.
#pragma once

#include <cstddef>
#include <memory>

#include "data/shard.h"

namespace muster {

struct RowShape {
  std::size_t rows = 0, cols = 0;
  bool sparse = false;
  bool has_targets = false;
  std::size_t entries = 0;                   // stored values
  std::size_t value_bytes = sizeof(double);  // of each
  std::size_t beside = 0;                    // numbers beside the rows: targets, weights, offsets, folds
  double weight = 0;                         // Σ s_i

  // What the rows take where they are in memory.
  double bytes() const;
};
RowShape shape_of(const Shard& shard);

// One pass over the rows, from the first on.
class RowPass {
 public:
  virtual ~RowPass() = default;
  // The next rows, valid until the next call; null at the end. Throws InputError.
  virtual const Shard* next() = 0;
};

// Enough to know about where the values of a column are.
inline constexpr std::size_t kHeadRows = 1024;

class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual const RowShape& shape() = 0;
  // Every window but the last has a multiple of `align` rows, so that blocks of so many rows never straddle two.
  virtual std::unique_ptr<RowPass> begin(std::size_t align) = 0;
  // The first rows: at least kHeadRows, or all.
  virtual const Shard& head() = 0;
  // All rows, where they are in memory; else null.
  virtual const Shard* held() = 0;
};

// A shard in memory, as one window. It may gain and lose rows between two passes.
class HeldRows final : public RowSource {
 public:
  // shard must outlive it.
  explicit HeldRows(const Shard& shard) : shard_(shard), shape_(shape_of(shard)) {}

  const RowShape& shape() override;
  std::unique_ptr<RowPass> begin(std::size_t align) override;
  const Shard& head() override { return shard_; }
  const Shard* held() override { return &shard_; }

 private:
  const Shard& shard_;
  RowShape shape_;
};

}  // namespace muster
