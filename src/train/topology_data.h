// What a Topology holds: the rows of W, round by round, and how they are made from edges and weights.
#pragma once

#include <string>
#include <vector>

#include "train/graph.h"
#include "train/topology.h"

namespace muster {

// W of one round. The rows point into `in` and `out`, so it moves and is not copied.
struct MixingRound {
  MixingRound() = default;
  MixingRound(MixingRound&&) = default;
  MixingRound& operator=(MixingRound&&) = default;

  std::vector<WeightedNeighbour> in, out;  // row by row; out is empty where W is symmetric: there it is `in`
  std::vector<MixingRow> rows;
};

struct Topology::Data {
  std::string name, weights_name, note;
  std::vector<bool> dead;
  std::vector<MixingRound> rounds;
  bool symmetric = false, row_stochastic = false, column_stochastic = false;
};

// W_{to,from} = weights[e] for each edge (undirected: and W_{from,to}); W_kk = selves[k].
MixingRound make_round(int nodes, const std::vector<Edge>& edges, const std::vector<double>& weights,
                       const std::vector<double>& selves, bool directed);

// The greatest common divisor of the lengths of a graph's cycles, within strongly connected components; the largest
// over components. 1: averaging settles; 2: bipartite without self-loops, or the like.
int cycle_period(const Topology& topology);

}  // namespace muster
