// How much memory a process may use, and how much of it rows may.
#pragma once

#include <memory>
#include <mutex>

#include "cluster/endpoint.h"
#include "data/row_budget.h"
#include "data/streamed_rows.h"
#include "muster/options.h"

namespace muster {

// What the machine, or the control group this process is in, has available: a cache of files counts as available.
double available_memory();

// Of one process, for all ranks in it.
class MemoryLimit {
 public:
  // ranks_share_process: the ranks of the run are threads of this process; else each is a process of its own.
  MemoryLimit(double asked_bytes, bool ranks_share_process)
      : asked_bytes_(asked_bytes), ranks_share_process_(ranks_share_process) {}

  // The rows' part: three quarters. The first rank that asks settles it. Lives as long as this.
  RowBudget& rows(Endpoint& endpoint);
  // Of a window of rows that are streamed, where so many of the run's ranks have rows.
  double window_bytes(int readers) const;

 private:
  double asked_bytes_;
  bool ranks_share_process_;
  std::once_flag once_;
  double bytes_ = 0;
  std::unique_ptr<RowBudget> rows_;
};

}  // namespace muster
