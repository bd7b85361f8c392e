// What a topology of a decentralized network is worth, without training on it: who talks to whom, how fast values
// spread and average, and what a round costs. Names, weights, file format and sources: docs/TOPOLOGIES.md.
//
// Threads: free to call from any. Both throw InputError: an unknown name, a size that does not fit, a file's line that
// is wrong. A graph that is not strongly connected is no error here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "muster/options.h"

namespace muster {

struct TopologyOptions {
  std::string topology = "ring";
  int nodes = 0;  // 0 with a file: as many as it names
  MixingWeights weights = MixingWeights::automatic;
  std::uint64_t seed = 0;    // of random-regular
  std::int64_t columns = 1;  // parameters of the model that is exchanged
};

struct TopologyReport {
  std::string topology, weights;
  int nodes = 0;
  int period = 1;         // rounds until the graphs repeat
  bool directed = false;  // W is not symmetric
  bool doubly_stochastic = false;
  bool strongly_connected = false;           // of a period's graphs together
  std::vector<std::vector<int>> components;  // strongly connected ones, largest first
  double lambda2_modulus = 0;                // of W; period p: of the product over it, to the power 1/p
  double spectral_gap = 1;                   // 1 − that
  bool spectrum_converged = true;            // false: the two above have fewer than six digits
  std::optional<double> consensus_rounds;  // expected until the distance from consensus is 1e-6 of itself; none: never
  std::optional<int> diameter;             // none where some node can not reach some other
  std::int64_t edges = 0;                  // of the union over a period; undirected: counted once
  int least_degree = 0, most_degree = 0;   // nodes sent to in one round
  std::int64_t columns = 1;
  double bytes_per_round = 0;           // sent by all nodes together, as float64: 8 columns for each value sent
  double bytes_per_round_per_node = 0;  // by the node that sends most
  std::string note;                     // what was made of the graph, or empty
};

TopologyReport describe_topology(const TopologyOptions& options);

// The graph as an SVG that needs nothing else: rings and their like on a circle, a torus as a grid, a hypercube as a
// leaning one, a long line in rows, files in layers by distance from node 0; arrows where they can be told apart.
// Throws InputError where there are more edges than a drawing shows.
std::string draw_topology(const TopologyOptions& options);

std::string to_json(const TopologyReport& report);

}  // namespace muster
