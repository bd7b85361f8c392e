// Time as an Endpoint's clock shows it: seconds since some fixed start, wall clock or virtual.
#pragma once

#include <limits>

namespace muster {

using Time = double;  // seconds

// A point in time after which waiting is given up.
struct Deadline {
  Time at = std::numeric_limits<double>::infinity();

  static Deadline never() { return {}; }
  bool passed(Time now) const { return now >= at; }
};

}  // namespace muster
