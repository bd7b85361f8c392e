// The modelled network: how long a message takes, and how messages wait for each other.
//
// A message leaves through its sender's interface, a queue that serves it for bytes/out_bandwidth; its head then
// travels for latency + jitter (between sites through one more queue, that of the link); it passes the receiver's
// interface, a queue that serves it for bytes/in_bandwidth from when its head is there, and is complete no earlier than
// its tail could have come. So a lone message takes latency + bytes/(smallest bandwidth), and messages of n senders to
// one receiver come one after another. Inside a host the queues are the ranks' own, not the interface.
//
// The model is LogGP's with the gap per byte at both ends (A. Alexandrov, M. Ionescu, K. Schauser, C. Scheiman, SPAA
// 1995), with queues instead of a capacity.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/sim/cluster_model.h"
#include "cluster/sim/failures.h"

namespace muster {

// A message on its way, seen at its next queue.
struct Travel {
  int from = 0, to = 0;
  double bytes = 0;
  Time head = 0;  // when its first byte is there
  Time tail = 0;  // no earlier can its last byte be there
};

class Network {
 public:
  // Throws InputError where the description does not fit that many ranks.
  Network(const ClusterModel& model, const Failures& failures, int ranks);

  const LinkModel& link(int from, int to) const;
  const std::string& host(int rank) const { return host_names_[host_of_[static_cast<std::size_t>(rank)]]; }
  // Whether others send through the same interface, so that messages must enter it in the order of time.
  bool shares_interface(int rank) const { return shared_[static_cast<std::size_t>(rank)] != 0; }

  // The message enters the sender's interface at `at`: when it is at the next queue; nullopt if it is lost. Calls for
  // one interface come in the order of time.
  std::optional<Travel> leave(int from, int to, double bytes, Time at);
  bool crosses_site_link(const Travel& travel) const { return site_link(travel.from, travel.to) >= 0; }
  // Through the link between sites; in the order of head.
  void cross(Travel& travel);
  // Through the receiver's interface, in the order of head: when the message is there.
  Time enter(const Travel& travel);

 private:
  struct Lane {
    Time free = 0;
    double bandwidth = 0;
  };
  struct Fault {
    LinkFault fault;
    std::vector<char> sides;
  };

  bool same_host(int a, int b) const {
    return host_of_[static_cast<std::size_t>(a)] == host_of_[static_cast<std::size_t>(b)];
  }
  int site_of(int rank) const { return sites_[host_of_[static_cast<std::size_t>(rank)]]; }
  int site_link(int from, int to) const;
  Lane& out_lane(int from, int to);
  Lane& in_lane(int from, int to);
  void keep_order(Travel& travel);
  bool suffer(int from, int to, Time at, double& delay);

  const ClusterModel& model_;
  const Failures& failures_;
  std::vector<std::uint32_t> host_of_;  // by rank
  std::vector<std::string> host_names_;
  std::vector<int> sites_;                  // by host
  std::vector<char> shared_;                // by rank
  std::vector<Lane> out_, in_;              // by host
  std::vector<Lane> local_out_, local_in_;  // by rank
  std::vector<Lane> between_;               // by site link and direction
  std::vector<Fault> faults_;
  bool may_overtake_ = false;
  std::vector<std::vector<std::pair<Time, Time>>> last_;  // head and tail by sender and receiver, where needed
  std::vector<std::uint64_t> jitters_, attempts_;         // drawn so far, by sender
};

}  // namespace muster
