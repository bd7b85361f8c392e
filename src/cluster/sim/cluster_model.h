// A cluster to simulate, described in plain values; docs/SIMULATION.md says what each means. All are seconds, bytes,
// flops and ratios of 1; what is not set has the values of a uniform cluster on 10 Gbit/s Ethernet.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/time.h"
#include "cluster/sim/distribution.h"

namespace muster {

inline constexpr Time kForever = std::numeric_limits<double>::infinity();

// One rank's place of computing. Time of one charge(Work) = max(flops / flops_per_second, bytes / bytes_per_second)
// × factor (drawn once per node and run) × round_factor (drawn anew for every charge).
struct NodeModel {
  double flops_per_second = 4e9;
  double bytes_per_second = 10e9;
  Distribution factor = {};
  Distribution round_factor = {};
  int host = -1;  // index into hosts; -1: a host of its own, like default_host
};

// What ranks share: a name, a network interface that is a queue in each direction, a place.
struct HostModel {
  std::string name = {};     // empty: "node7" after the first rank on it
  double out_bandwidth = 0;  // bytes/s; 0: as the inter-host link's
  double in_bandwidth = 0;   // likewise
  int site = 0;
};

// How a message travels. A lone one takes send_overhead + latency + bytes/bandwidth + receive_overhead.
struct LinkModel {
  double latency_seconds = 25e-6;
  double jitter_seconds = 0;               // mean of an exponential delay added to the latency; order per pair is kept
  double bandwidth = 1.25e9;               // bytes/s
  double send_overhead_seconds = 2e-6;     // of the sender's processor, per message
  double receive_overhead_seconds = 2e-6;  // of the receiver's
};

// All traffic between two sites, each direction one queue of the link's bandwidth.
struct SiteLink {
  int first = 0, second = 1;
  LinkModel link = {};
};

// The node is gone from then on: its rank stops between two instructions of its own, and nothing answers.
struct NodeDeath {
  int node = 0;
  Time at = 0;
};

// Nothing happens on the node meanwhile, signs of life included.
struct NodePause {
  int node = 0;
  Time at = 0;
  double seconds = 0;
};

// What befalls messages from one set of nodes to the other, both ways, while at <= time of sending < until. Empty sets
// mean all nodes (for `others`: all that are not in `nodes`).
struct LinkFault {
  std::vector<int> nodes = {}, others = {};
  Time at = 0;
  Time until = kForever;
  bool cut = false;                 // nothing passes; what waits passes when the cut heals, else it is lost
  double loss = 0;                  // chance that an attempt of sending is lost
  double retransmit_seconds = 0.2;  // a lost attempt is made again after this, then twice this...; infinite: never
  double delay_seconds = 0;         // added to the latency
};

struct ClusterModel {
  std::string name = "uniform 10 GbE cluster";
  std::vector<NodeModel> nodes;  // node r runs rank r; empty: as many of default_node as there are ranks
  NodeModel default_node;
  std::vector<HostModel> hosts;
  HostModel default_host;

  // Between ranks of one host: through memory, past the network interface.
  LinkModel intra_host{.latency_seconds = 1e-6,
                       .jitter_seconds = 0,
                       .bandwidth = 8e9,
                       .send_overhead_seconds = 3e-7,
                       .receive_overhead_seconds = 3e-7};
  LinkModel inter_host;
  std::vector<SiteLink> site_links;  // sites without one are joined by inter_host
  double header_bytes = 98;          // charged per message: Muster's 32, and Ethernet, IP and TCP once

  std::vector<NodeDeath> deaths;
  double deaths_per_second = 0;  // of each node
  std::vector<NodePause> pauses;
  double pauses_per_second = 0;  // of each node
  Distribution pause_seconds = Distribution::constant(1);
  std::vector<LinkFault> link_faults;

  std::uint64_t seed = 0;      // of everything drawn
  std::uint64_t tie_seed = 0;  // of the order of what happens at the same instant
  double silence_seconds = 0;  // overrules EndpointOptions where > 0
  double poll_seconds = 2e-7;  // of looking again for messages where there are none
};

}  // namespace muster
