// The result of a run from what its ranks return: one, or, where losses have cut a network, one from each part.
#pragma once

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "muster/report.h"

namespace muster {

// A note for the user of each.
void note_losses(const std::vector<LostRank>& lost, std::vector<std::string>& notes);

// Takes into whole, the report of the part that comes first, what another part's report has of its own.
void add_part(Report& whole, const Report& part);
// After the last part. failed: ranks that threw, and what.
void complete_parts(Report& whole, const std::vector<LostRank>& failed);

// Result: TrainResult or ObjectiveResult. Threads: collect() from any.
template <class Result>
class PartResults {
 public:
  // Runs one rank's main. Its result counts where it speaks, or is the only one of this process.
  template <class Main>
  void collect(int rank, bool only_one, const Main& main) {
    try {
      Result mine = main();
      const std::lock_guard lock(mutex_);
      if (mine.speaks || only_one) found_.push_back(std::move(mine));
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex_);
      failed_.push_back({rank, "rank " + std::to_string(rank) + " stopped: " + error.what(), -1});
      throw;
    }
  }

  // After a run that has not thrown: the part with the most rows comes first.
  Result join() {
    MUSTER_CHECK(!found_.empty(), "a run that returns has a result");
    if (found_.front().report.parts.empty()) return std::move(found_.front());
    std::sort(found_.begin(), found_.end(), [](const Result& a, const Result& b) {
      const PartReport &one = a.report.parts.front(), &other = b.report.parts.front();
      return one.rows != other.rows ? one.rows > other.rows : one.nodes.front() < other.nodes.front();
    });
    Result whole = std::move(found_.front());
    for (std::size_t i = 1; i < found_.size(); ++i) {
      add_part(whole.report, found_[i].report);
      whole.other_parts.push_back(std::move(found_[i]));
    }
    complete_parts(whole.report, failed_);
    return whole;
  }

 private:
  std::mutex mutex_;
  std::vector<Result> found_;
  std::vector<LostRank> failed_;
};

}  // namespace muster
