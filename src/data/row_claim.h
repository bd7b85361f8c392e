// A worker's rows as load() reads them: kept as long as they fit what its process may hold of rows. Then none are kept,
// and reading goes on for what is to be known of columns, levels and counts.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/peers.h"
#include "data/agree.h"
#include "data/load_internal.h"
#include "data/row_budget.h"

namespace muster {

// What a worker's rows take of its process's budget.
class RowClaim {
 public:
  // budget: null where there is no limit.
  explicit RowClaim(RowBudget* budget) : budget_(budget) {}
  ~RowClaim() { give_back(); }
  RowClaim(const RowClaim&) = delete;
  RowClaim& operator=(const RowClaim&) = delete;

  // So many bytes more. False, from the first time on that they do not fit: then nothing is claimed, and nothing kept.
  bool add(double bytes) {
    needed_ += bytes;
    if (fits_ && !(fits_ = take(bytes))) give_back();
    return fits_;
  }
  // Collective. Whether every worker can hold its rows, which take so many bytes once they are a matrix; else none
  // claims any. Adds up in `needed` what all would hold.
  bool agree(Peers& peers, double matrix_bytes, double& needed) {
    const double most = std::max(needed_, matrix_bytes);
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
    if (all_fit) {
      taken_ = 0;  // for good
    } else {
      give_back();
    }
    return all_fit;
  }

 private:
  bool take(double bytes) {
    if (budget_ && !budget_->take(bytes)) return false;
    taken_ += bytes;
    return true;
  }
  void give_back() {
    if (budget_) budget_->give_back(taken_);
    taken_ = 0;
  }

  RowBudget* budget_;
  bool fits_ = true;
  double needed_ = 0, taken_ = 0;
};

// Collective. Whether the rows are held; where some worker can not, they are streamed by all, and the user is told.
inline bool agree_to_hold(RowClaim& claim, double matrix_bytes, Peers& peers, Dataset& data) {
  double needed = 0;
  data.streamed = !claim.agree(peers, matrix_bytes, needed);
  if (data.streamed)
    data.summary.notes.push_back(
        fmt::format("the rows need about {}, which does not fit (--memory)", readable_bytes(needed)));
  return !data.streamed;
}

}  // namespace muster
