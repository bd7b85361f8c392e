// What servers and workers agree on before rows are taken a few at a time (sgd.h, ftrl.h): which keys batches touch,
// and how curved their losses are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cluster/endpoint.h"
#include "muster/objective.h"

namespace muster {

struct RowFacts {
  // P: the chance that a push touches the key, all workers being equally fast. 0: no row has it.
  std::vector<double> touched;
  // k: what the objective's batches leave of the centring to the servers; all 0 where it leaves nothing.
  std::vector<double> centre;
  // K: the last so many parameters are intercepts, and key j is centred by the (j mod K)-th of them: pushes carry the
  // derivatives R by them to every server, and answers Σ k_j w_j by j mod K. 0: nothing is left to centre.
  std::size_t sums = 0;
  bool keyed = false;       // some batch does not touch all keys
  double epoch_pushes = 0;  // M: batches of all workers
  // 𝓛, the expected smoothness of a push: with B of n rows sampled, the worker's own L_k and its largest row L_max,
  //     𝓛_k = n(B−1)/(B(n−1)) L_k + (n−B)/(B(n−1)) L_max ,   𝓛 = max_k (m S_k/S) 𝓛_k
  double smoothness = 0;
  // M_k: how many batches the rows here were dealt into; the objective has them.
  std::size_t own_batches = 0;
};

struct RowOptions {
  std::int64_t batch = 0;               // rows; 0: a hundredth of a worker's, from 16 to 1024
  std::vector<double> implicit_centre;  // k, or empty: none. That of the lowest rank counts
  std::size_t outputs = 1;              // K, where there is k
  std::uint64_t seed = 0;
};

// Collective over the endpoint's members, some of which may have no rows. workers: m; weight: S. Deals the objective's
// rows. Source of 𝓛: R. M. Gower et al., "SGD: general analysis and improved rates", ICML 2019, for sampling of B rows
// without replacement.
std::shared_ptr<const RowFacts> agree_row_facts(RowObjective& objective, Endpoint& endpoint, std::size_t workers,
                                                double weight, const RowOptions& options);

}  // namespace muster
