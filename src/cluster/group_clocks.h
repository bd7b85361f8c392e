// Where the time inside the operations of a GroupEndpoint goes; for its own sources alone.
#pragma once

#include <algorithm>

#include "base/check.h"
#include "cluster/group_endpoint.h"

namespace muster {

// The time spent inside one operation, split into waiting and the rest, for this group and those it came from.
class GroupEndpoint::Timed {
 public:
  Timed(GroupEndpoint& endpoint, Doing doing) : endpoint_(endpoint), start_(endpoint.now()) {
    MUSTER_CHECK(!endpoint.closed_, "a closed endpoint is used");
    endpoint.waited_seconds_ = 0;
    endpoint.station_.set_activity({doing, false});
  }
  Time start() const { return start_; }
  ~Timed() {
    const double waited = endpoint_.waited_seconds_;
    const double rest = std::max(0.0, endpoint_.now() - start_ - waited);
    for (GroupEndpoint* e = &endpoint_; e != nullptr; e = e->parent_) {
      e->traffic_.wait_seconds += waited;
      e->traffic_.communicate_seconds += rest;
    }
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  GroupEndpoint& endpoint_;
  Time start_;
};

// From where an operation finds that it has to wait to where it goes on or gives up.
class GroupEndpoint::WaitClock {
 public:
  explicit WaitClock(GroupEndpoint& endpoint) : endpoint_(endpoint), start_(endpoint.now()) {}
  ~WaitClock() { endpoint_.waited_seconds_ += endpoint_.now() - start_; }
  WaitClock(const WaitClock&) = delete;
  WaitClock& operator=(const WaitClock&) = delete;

 private:
  GroupEndpoint& endpoint_;
  Time start_;
};

}  // namespace muster
