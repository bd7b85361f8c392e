// When the nodes of a simulated cluster die, pause, and can not reach each other: all of it known beforehand, from the
// description and its seed alone.
#pragma once

#include <vector>

#include "cluster/sim/cluster_model.h"

namespace muster {

// Half open.
struct Interval {
  Time begin = kForever, end = kForever;
};

class Failures {
 public:
  Failures(const ClusterModel& model, int ranks);

  bool any() const { return any_; }
  Time death(int rank) const { return nodes_[static_cast<std::size_t>(rank)].death; }

  // The moment when `seconds` of running time, begun at `from`, are over.
  Time run(int rank, Time from, double seconds) const;

  // The first stretch, among those that end after `from`, of at least min_seconds in which `observer` gets no sign of
  // life from `peer`. Begins at kForever if there is none.
  Interval silence(int observer, int peer, Time from, double min_seconds) const;

  // Whether nothing passes between the two at that time; then `heals` is when it does again.
  bool cut(int from, int to, Time at, Time& heals) const;

 private:
  struct Node {
    Time death = kForever;
    mutable std::vector<Interval> pauses;  // ascending and apart; drawn ones up to drawn_until
    mutable Time drawn_until = kForever;
    mutable std::uint64_t drawn = 0;
  };

  const Node& node(int rank) const { return nodes_[static_cast<std::size_t>(rank)]; }
  void draw_pauses(int rank, Time until) const;
  static void add_pause(std::vector<Interval>& pauses, Interval pause);

  const ClusterModel& model_;
  std::vector<Node> nodes_;
  std::vector<std::vector<char>> cut_sides_;  // by cut and node: 1 in nodes, 2 in others
  std::vector<const LinkFault*> cuts_;
  bool any_ = false;
};

// 1: in fault.nodes, 2: in fault.others, 3: both.
std::vector<char> sides_of(const LinkFault& fault, int ranks);

}  // namespace muster
