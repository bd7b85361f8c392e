// The blocks of a worker's rows as load() stages them: kept as long as they fit what its process may hold of rows. Then
// none are kept, and reading goes on for what is to be known of columns, levels and counts.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/peers.h"
#include "data/agree.h"
#include "data/load_internal.h"
#include "data/row_budget.h"

namespace muster {

template <class Block>
class KeptBlocks {
 public:
  // budget: null where there is no limit.
  explicit KeptBlocks(RowBudget* budget) : budget_(budget) {}
  ~KeptBlocks() { drop(); }
  KeptBlocks(const KeptBlocks&) = delete;
  KeptBlocks& operator=(const KeptBlocks&) = delete;

  void add(Block block) {
    const auto bytes = static_cast<double>(block.pages.size());
    staged_ += bytes;
    if (!fits_) return;
    fits_ = take(bytes);
    if (fits_) {
      blocks_.push_back(std::move(block));
    } else {
      drop();
    }
  }

  // Collective. Whether every worker can hold its rows, which take so many bytes once they are a matrix; else none
  // keeps its blocks. Adds up in `needed` what all would hold.
  bool agree(Peers& peers, double matrix_bytes, double& needed) {
    const double most = std::max(staged_, matrix_bytes);
    fits_ = fits_ && take(most - taken_);
    Packer packer;
    packer.number(fits_);
    packer.real(most);
    bool all_fit = true;
    for (const std::string& one : peers.all_gather(packer.take())) {
      Unpacker from(one);
      all_fit = from.number() != 0 && all_fit;
      needed += from.real();
    }
    if (!all_fit) drop();
    return all_fit;
  }

  // What was taken of the budget stays taken.
  std::vector<Block> release() {
    taken_ = 0;
    return std::exchange(blocks_, {});
  }

 private:
  bool take(double bytes) {
    if (budget_ && !budget_->take(bytes)) return false;
    taken_ += bytes;
    return true;
  }
  void drop() {
    blocks_.clear();
    if (budget_) budget_->give_back(taken_);
    taken_ = 0;
  }

  RowBudget* budget_;
  bool fits_ = true;
  double staged_ = 0, taken_ = 0;
  std::vector<Block> blocks_;
};

// Collective. Where some worker can not hold its rows, they are streamed, and the user is told.
template <class Block>
void agree_to_hold(KeptBlocks<Block>& blocks, double matrix_bytes, Peers& peers, Dataset& data) {
  double needed = 0;
  data.streamed = !blocks.agree(peers, matrix_bytes, needed);
  if (data.streamed)
    data.summary.notes.push_back(
        fmt::format("the rows need about {}, which does not fit (--memory)", readable_bytes(needed)));
}

}  // namespace muster
