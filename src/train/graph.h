// Graphs by name: who is joined to whom, before anything is said of weights.
//
// exponential: k sends to k + 2^i mod n, 2^i < n (B. Ying et al., "Exponential graph is provably efficient for
// decentralized deep training", NeurIPS 2021; M. Assran et al., ICML 2019); one-peer: to one of them a round, in turn.
// random-regular: A. Steger, N. Wormald, Combin. Probab. Comput. 8 (1999), repeated until connected.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace muster {

struct Edge {
  int from = 0, to = 0;  // from sends to `to`; undirected: also the other way, and given once, with from < to
  bool operator==(const Edge&) const = default;
};

// A graph, or the graphs of a period, each simple.
struct GraphSequence {
  std::string name;
  int nodes = 0;
  bool directed = false;
  std::vector<std::vector<Edge>> rounds;

  // Of a file with weights; one round.
  std::vector<double> weights;  // of each edge; empty: none given
  std::vector<double> selves;   // W_kk
  bool by_column = false;       // columns sum to 1, not rows
};

// spec: a name of docs/TOPOLOGIES.md, file:PATH, or the path of a file. nodes: 0 with a file: as many as it names.
// Throws InputError.
GraphSequence make_graph(const std::string& spec, int nodes, std::uint64_t seed);

// An edge list (docs/TOPOLOGIES.md has the format). Throws InputError with file, line and column.
GraphSequence read_graph(const std::string& path, int nodes);

// Simple, connected, every node with `degree` neighbours. Throws InputError where there is none.
std::vector<Edge> random_regular_edges(int nodes, int degree, std::uint64_t seed);

// Of every node, as the graph is undirected.
std::vector<int> degrees(int nodes, const std::vector<Edge>& edges);

}  // namespace muster
