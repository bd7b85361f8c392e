// Who talks to whom in a decentralized network: a weighted graph, or a periodic sequence of them, as data.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "muster/options.h"

namespace muster {

struct WeightedNeighbour {
  int node = -1;
  double weight = 0;
};

// What node k does in one round of averaging: x_k ← self·x_k + Σ weight·x_node over `in` (row k of W). `out` names who
// takes its value, with the weight by which *this* node's mass goes there: W's column k, which push-sum uses.
struct MixingRow {
  double self = 1;
  std::span<const WeightedNeighbour> in, out;  // ascending by node, without k itself; they live as long as the Topology
};

// Immutable; copies share what they hold.
class Topology {
 public:
  int nodes() const;
  const std::string& name() const;   // "ring", "torus:4x4", "file:graph.txt", …
  std::string weights_name() const;  // "lazy metropolis", …
  bool living(int node) const;
  int period() const;              // rounds until the graphs repeat; 1: fixed
  bool symmetric() const;          // every W is symmetric
  bool doubly_stochastic() const;  // rows and columns of every W sum to 1 (to rounding)
  bool row_stochastic() const;
  bool column_stochastic() const;  // columns do; a directed graph's push-sum weights
  const MixingRow& row(int node, std::int64_t round = 0) const;
  const std::string& note() const;  // what was made of the user's graph ("bipartite: made lazy"), or empty

  // Without the dead nodes: their edges gone, the weights of the living renormalised so that they stay doubly
  // stochastic (symmetric: a dead node's weight returns to the neighbours' selves; directed: columns renormalised). The
  // node numbers stay; a dead node's own row is self = 1.
  Topology without(std::span<const int> nodes) const;

  // Strongly connected components of the union over a period, each ascending, largest first; dead nodes left out.
  std::vector<std::vector<int>> components() const;

  struct Data;  // train/topology_data.h
  explicit Topology(Data data);

 private:
  std::shared_ptr<const Data> data_;
};

// nodes: 0 with a file: as many as it names. Throws InputError: an unknown name (with the nearest), a size that does
// not fit ("hypercube needs 2^k nodes"), a file's line that is wrong, weights that do not sum to 1. Not strongly
// connected is no error here: check_connected throws it.
Topology make_topology(const std::string& spec, int nodes, MixingWeights weights, std::uint64_t seed);

// Throws InputError naming the components, unless all living nodes are strongly connected.
void check_connected(const Topology& topology);

struct Spectrum {
  double lambda2_modulus = 0;   // of W; period p: of the product over a period, to the power 1/p
  double spectral_gap = 1;      // 1 − that
  double consensus_rounds = 0;  // expected until the distance from consensus has shrunk to 1e-6; infinite: never
  bool converged = true;        // false: the iteration ended before the gap had six digits
};
// By sparse products only (Lanczos where symmetric, Arnoldi else). Deterministic.
Spectrum spectrum(const Topology& topology);

// As in "0-3,7 | 4-6", cut short where it is long.
std::string describe_components(const std::vector<std::vector<int>>& components);

// Longest shortest path; of the union over a period, directed. -1: not strongly connected.
int diameter(const Topology& topology);

}  // namespace muster
