// What every transport must do: checks written once, each run by all ranks of a group, as threads and under mpirun.
// A check that fails throws on the rank where it does, with file and line.
#pragma once

#include <cstddef>
#include <ostream>
#include <vector>

#include "cluster/endpoint.h"

namespace muster::conformance {

// What the endpoints of a conformance run are opened with.
inline constexpr std::size_t kCreditBytes = std::size_t{1} << 20;

struct Check {
  const char* name;
  void (*run)(Endpoint& endpoint);
};

// GoogleTest shows a check by its name.
inline void PrintTo(const Check& check, std::ostream* out) {
  *out << check.name;
}

const std::vector<Check>& all_checks();

}  // namespace muster::conformance
