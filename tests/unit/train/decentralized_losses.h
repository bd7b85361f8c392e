// Runs of a decentralized network on a simulated cluster in which nodes die.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/sim/sim_launch.h"
#include "decentralized_shards.h"
#include "muster/error.h"

namespace muster {

// Slow enough that a death at 0.05 s is in the middle of training.
inline ClusterModel slow_cluster() {
  ClusterModel model;
  model.default_node.flops_per_second = 1e6;
  model.inter_host.latency_seconds = 1e-4;
  return model;
}

struct LossOutcome {
  std::map<int, DecentralizedResult> results;      // of those that returned
  std::map<int, std::vector<int>> together;        // with whom they ended
  std::map<int, std::vector<RoundReport>> rounds;  // as told by on_round
  std::map<int, double> ended_at;                  // virtual seconds
  std::set<std::string> errors;
  double seconds = 0;  // virtual
};

inline LossOutcome train_with_losses(const Problem5& problem, const Topology& topology,
                                     const DecentralizedOptions& options, const ClusterModel& model, bool takeover) {
  LossOutcome outcome;
  const EndpointOptions endpoint_options{.silence_seconds = 0.5, .tolerate_losses = true};
  const SimReport report = run_simulated(topology.nodes(), model, endpoint_options, [&](Endpoint& endpoint) {
    const int rank = endpoint.rank();
    OwnShard mine = problem.shard(rank);
    DecentralizedOptions own = options;
    own.session.on_round = [&](const RoundReport& round, std::span<const double>) {
      outcome.rounds[rank].push_back(round);
    };
    if (takeover) own.session.adopt = [&](int lost) { mine.take_over(problem.shard(lost)); };
    try {
      DecentralizedResult result =
          train_decentralized(mine, endpoint, topology, std::vector<double>(Problem5::kDimension, 0.0), own);
      outcome.ended_at[rank] = endpoint.now();
      outcome.together[rank] = result.session.survivors ? result.session.survivors->members() : endpoint.members();
      result.session.survivors.reset();
      outcome.results[rank] = std::move(result);
    } catch (const ClusterError& error) {
      outcome.errors.insert(error.what());
    }
  });
  outcome.seconds = report.seconds;
  return outcome;
}

}  // namespace muster
