// Who does what: the living workers and servers, which server owns which keys, and the facts all agree on. Made anew
// after a loss.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "cluster/endpoint.h"
#include "train/parameter_server.h"
#include "train/server_rule.h"

namespace muster {

struct ServerPlan {
  std::vector<int> workers, servers;  // ranks, ascending; the first server is the coordinator
  std::vector<KeyRange> ranges;       // by server
  RunFacts facts;
  std::vector<double> rows;  // by worker

  int coordinator() const { return servers.front(); }
  std::size_t sums() const;  // RowFacts', 0 where pushes are of full shards
  bool is_server(int rank) const;
  // Place of a rank among the workers or the servers; -1: it is none.
  std::size_t place(int rank) const;
  KeyRange range_of(int server) const { return ranges[place(server)]; }
};

// Cuts keys 0 .. traffic.size()-1 into contiguous ranges of about equal traffic, none empty while there are keys
// enough.
std::vector<KeyRange> cut_by_traffic(std::span<const double> traffic, std::size_t parts);

// Collective. The endpoint's members below first_server work, the others serve. Keys weigh alike where all of w travels
// with every push; where only touched keys do, as many as batches they occur in.
ServerPlan make_plan(Objective& objective, Endpoint& endpoint, int first_server, const ParameterServerOptions& options);

}  // namespace muster
