#include "cluster/sim/rank_faults.h"

#include <algorithm>

#include "base/random.h"
#include "cluster/sim/failures.h"

namespace muster {

RankFaults rank_faults(const ClusterModel& model, int rank, int ranks) {
  RankFaults faults;
  faults.seed = model.seed;
  const NodeModel& node = model.nodes.empty() ? model.default_node : model.nodes[static_cast<std::size_t>(rank)];
  const RandomStream stream(model.seed, static_cast<std::uint32_t>(rank), RandomPurpose::node_factor);
  faults.slowness = std::max(1.0, node.factor.sample(stream.uniform(0)));
  const Time death = Failures(model, ranks).death(rank);
  if (death < kForever) faults.dies_at = death;
  for (const LinkFault& fault : model.link_faults) {
    if (fault.delay_seconds <= 0) continue;
    const std::vector<char> sides = sides_of(fault, ranks);
    const char mine = sides[static_cast<std::size_t>(rank)];
    RankFaults::Delay delay{.to = {}, .at = fault.at, .until = fault.until, .seconds = fault.delay_seconds};
    for (int r = 0; r < ranks; ++r) {
      const char theirs = sides[static_cast<std::size_t>(r)];
      if (r != rank && (((mine & 1) != 0 && (theirs & 2) != 0) || ((mine & 2) != 0 && (theirs & 1) != 0)))
        delay.to.push_back(r);
    }
    // A delay to nobody is kept, to nobody: whether ranks are told apart must be the same on all of them.
    if (delay.to.empty()) delay.to.push_back(rank);
    faults.delays.push_back(delay);
  }
  return faults;
}

}  // namespace muster
