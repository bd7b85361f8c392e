// What the description of a topology and its drawing share.
#pragma once

#include <utility>
#include <vector>

#include "train/topology.h"

namespace muster {

// Edges of all rounds of a period, (from, to), each once; symmetric: with from < to.
std::vector<std::pair<int, int>> union_of_edges(const Topology& topology);

}  // namespace muster
