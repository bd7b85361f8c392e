// The error of a simulated run in which every rank is blocked and nothing is under way.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "cluster/endpoint.h"
#include "muster/error.h"

namespace muster {

struct BlockedRank {
  int rank = -1;
  std::string host;
  std::vector<int> awaited;  // ranks in the run
  bool receiving = false;    // else for room to send, or in an agreement
  std::vector<Tag> tags;     // of the messages it would take; empty: any
  Time since = 0, until = 0;

  // "rank 0 on node0 waits for rank 1 (tag 7) since 0.25 s".
  std::string sentence() const;
};

class Deadlock : public Error {
 public:
  Deadlock(Time at, std::vector<BlockedRank> blocked);
  const std::vector<BlockedRank>& blocked() const { return blocked_; }

 private:
  std::vector<BlockedRank> blocked_;
};

}  // namespace muster
