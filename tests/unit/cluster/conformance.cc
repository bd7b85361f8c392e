#include "conformance.h"

#include "conformance_tools.h"

namespace muster::conformance {

const std::vector<Check>& all_checks() {
  static const std::vector<Check> checks = [] {
    std::vector<Check> all;
    for (const auto* part : {&point_to_point_checks(), &collective_checks(), &group_checks()}) {
      all.insert(all.end(), part->begin(), part->end());
    }
    return all;
  }();
  return checks;
}

}  // namespace muster::conformance
