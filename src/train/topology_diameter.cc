#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "train/topology.h"

namespace muster {
namespace {

// Who hears from whom, all rounds of a period together: the living only, renumbered, in one array.
struct Successors {
  explicit Successors(const Topology& topology) {
    std::vector<int> place(static_cast<std::size_t>(topology.nodes()), -1);
    for (int k = 0, next = 0; k < topology.nodes(); ++k)
      if (topology.living(k)) place[static_cast<std::size_t>(k)] = next++;
    offsets.push_back(0);
    for (int k = 0; k < topology.nodes(); ++k) {
      if (!topology.living(k)) continue;
      for (int round = 0; round < topology.period(); ++round)
        for (const WeightedNeighbour& n : topology.row(k, round).out)
          nodes.push_back(static_cast<std::uint32_t>(place[static_cast<std::size_t>(n.node)]));
      offsets.push_back(nodes.size());
    }
  }
  std::size_t size() const { return offsets.size() - 1; }

  std::vector<std::uint32_t> nodes;
  std::vector<std::size_t> offsets;
};

// Longest distance from source, or -1 where somebody can not be reached. Ends when all are.
int farthest(const Successors& graph, std::uint32_t source, std::vector<int>& distance,
             std::vector<std::uint32_t>& queue) {
  distance.assign(graph.size(), -1);
  queue.assign(1, source);
  distance[source] = 0;
  for (std::size_t at = 0; at < queue.size(); ++at) {
    if (queue.size() == graph.size()) return distance[queue.back()];
    const std::uint32_t k = queue[at];
    for (std::size_t i = graph.offsets[k]; i < graph.offsets[k + 1]; ++i) {
      const std::uint32_t next = graph.nodes[i];
      if (distance[next] >= 0) continue;
      distance[next] = distance[k] + 1;
      queue.push_back(next);
    }
  }
  return -1;
}

// The same for 64 sources at once, a bit each, level by level: for graphs with few levels.
int farthest_of_64(const Successors& graph, std::size_t first) {
  const std::size_t sources = std::min<std::size_t>(64, graph.size() - first);
  const std::uint64_t all = sources == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << sources) - 1;
  std::vector<std::uint64_t> reached(graph.size(), 0);
  for (std::size_t bit = 0; bit < sources; ++bit) reached[first + bit] = std::uint64_t{1} << bit;
  for (int level = 0;; ++level) {
    if (std::all_of(reached.begin(), reached.end(), [all](std::uint64_t bits) { return bits == all; })) return level;
    std::vector<std::uint64_t> next = reached;
    for (std::size_t k = 0; k < graph.size(); ++k)
      for (std::size_t i = graph.offsets[k]; i < graph.offsets[k + 1]; ++i) next[graph.nodes[i]] |= reached[k];
    if (next == reached) return -1;
    std::swap(next, reached);
  }
}

}  // namespace

int diameter(const Topology& topology) {
  const Successors graph(topology);
  std::vector<int> distance;
  std::vector<std::uint32_t> queue;
  int longest = graph.size() == 0 ? 0 : farthest(graph, 0, distance, queue);
  if (longest < 0) return -1;
  const bool few_levels = longest > 2 && longest < 40;
  for (std::size_t k = 0; k < graph.size(); k += few_levels ? 64 : 1) {
    const int far =
        few_levels ? farthest_of_64(graph, k) : farthest(graph, static_cast<std::uint32_t>(k), distance, queue);
    if (far < 0) return -1;
    longest = std::max(longest, far);
  }
  return longest;
}

}  // namespace muster
