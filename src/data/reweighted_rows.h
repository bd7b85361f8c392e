// A worker's rows under other weights.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "data/row_source.h"

namespace muster {

// The rows of another source, with weights of their own in place of theirs. A pass copies a window at a time, of
// bounded size, also where the rows are in memory.
class ReweightedRows final : public RowSource {
 public:
  // inner outlives it, and neither gains nor loses rows meanwhile. weights: one a row.
  ReweightedRows(RowSource& inner, std::vector<double> weights);

  const RowShape& shape() override { return shape_; }
  std::unique_ptr<RowPass> begin(std::size_t align) override;
  const Shard& head() override { return inner_.head(); }
  const Shard* held() override { return nullptr; }

 private:
  RowSource& inner_;
  std::vector<double> weights_;
  RowShape shape_;
};

}  // namespace muster
