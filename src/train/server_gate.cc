#include "train/server_gate.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::int64_t kUnbounded = std::numeric_limits<std::int64_t>::max();

std::int64_t bound_of(const Synchronisation& sync) {
  switch (sync.kind) {
    case Synchronisation::Kind::bsp:
      return 0;
    case Synchronisation::Kind::ssp:
      return sync.bound;
    default:
      return kUnbounded;
  }
}

}  // namespace

ServerGate::ServerGate(std::size_t workers, const Synchronisation& sync)
    : workers_(workers), bound_(bound_of(sync)), waited_for_seconds_(workers, 0.0) {}

void ServerGate::arrive(std::size_t worker, std::int64_t clock, Time now) {
  MUSTER_CHECK(!workers_[worker].held && !workers_[worker].left, "a worker asks again before it was answered");
  workers_[worker] = {clock, true, false, now};
  last_ = worker;
}

void ServerGate::leave(std::size_t worker) {
  workers_[worker].left = true;
  last_ = worker;
}

void ServerGate::reopen() {
  for (Worker& worker : workers_) worker.left = worker.held = false;
}

std::int64_t ServerGate::slowest() const {
  std::int64_t least = kUnbounded;
  for (const Worker& worker : workers_)
    if (!worker.left) least = std::min(least, worker.clock);
  return least;
}

std::vector<std::size_t> ServerGate::release(Time now) {
  std::vector<std::size_t> released;
  const std::int64_t least = slowest();
  for (std::size_t k = 0; k < workers_.size(); ++k) {
    Worker& worker = workers_[k];
    if (!worker.held || worker.left || worker.clock - least > bound_) continue;
    worker.held = false;
    if (k != last_) waited_for_seconds_[last_] += now - worker.since;
    largest_gap_ = std::max(largest_gap_, worker.clock - least);
    released.push_back(k);
  }
  MUSTER_CHECK(largest_gap_ <= bound_, "the bound on staleness was exceeded");
  return released;
}

std::vector<std::size_t> ServerGate::release_all() {
  std::vector<std::size_t> released;
  for (std::size_t k = 0; k < workers_.size(); ++k)
    if (workers_[k].held && !workers_[k].left) released.push_back(k);
  for (const std::size_t k : released) workers_[k].held = false;
  return released;
}

}  // namespace muster
