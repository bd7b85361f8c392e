// When a worker may start a clock: the stale synchronous rule, and who is waited for.
//
//     worker k may start clock c  iff  c − min_j clock_j ≤ S          S = 0: bulk synchronous; ∞: asynchronous
//
// Source: Q. Ho et al., "More effective distributed ML via a stale synchronous parallel parameter server", NIPS 2013.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"
#include "muster/options.h"

namespace muster {

class ServerGate {
 public:
  ServerGate(std::size_t workers, const Synchronisation& sync);

  // The worker has finished `clock` steps and wants to start the next. Times are the caller's.
  void arrive(std::size_t worker, std::int64_t clock, Time now);
  // The worker starts no clock any more, and nobody waits for it.
  void leave(std::size_t worker);
  // All work again, from the clocks they have.
  void reopen();

  // Workers that may start now: each is returned once. What they were held for is put to the account of the worker
  // that arrived (or left) last: it was the slowest.
  std::vector<std::size_t> release(Time now);
  // All that are held, whatever the bound: they are told to finish and start nothing.
  std::vector<std::size_t> release_all();

  const std::vector<double>& waited_for_seconds() const { return waited_for_seconds_; }
  std::int64_t largest_gap() const { return largest_gap_; }

 private:
  struct Worker {
    std::int64_t clock = 0;
    bool held = false, left = false;
    Time since = 0;
  };
  std::int64_t slowest() const;

  std::vector<Worker> workers_;
  std::int64_t bound_;
  std::size_t last_ = 0;
  std::vector<double> waited_for_seconds_;
  std::int64_t largest_gap_ = 0;
};

}  // namespace muster
