#include "train/decentralized.h"

#include "train/decentralized_network.h"

namespace muster {

DecentralizedResult train_decentralized(Objective& objective, Endpoint& endpoint, const Topology& topology,
                                        std::vector<double> start, const DecentralizedOptions& options) {
  return NetworkSession(objective, endpoint, topology, std::move(start), options).run();
}

}  // namespace muster
