// Maxima over a whole network that has no rounds: each node tells its neighbours the largest it knows of, phase by
// phase, and ends a phase when it has heard of it from every neighbour, whenever that is. After as many phases as the
// diameter, a window, all have the same maxima; different nodes come to that point at different times. Nobody waits: a
// node looks whether a phase has ended when it happens to. (A synchroniser: B. Awerbuch, "Complexity of network
// synchronization", J. ACM 32 (1985), the one named alpha.)
//
// A neighbour is at most one phase ahead, so at most two messages of it are kept. The node that is farthest behind has
// heard all it needs, so phases never stop while nodes look.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <vector>

#include "train/gossip.h"

namespace muster {

class PhasedMaxima {
 public:
  using Maxima = std::array<double, StopAgreement::kMaxima>;

  // phases: the network's diameter, or more; at least 1.
  PhasedMaxima(const std::vector<int>& neighbours, int phases);

  // A window begins, with what this node has seen itself. What is in maxima() then is to be told to every neighbour.
  void open(const Maxima& mine);
  bool opened() const { return phase_ >= 0; }
  void hear(int from, const Maxima& theirs) { heard_.at(from).push_back(theirs); }
  // Whether a neighbour has yet to be heard of before this phase can end.
  bool waits() const;
  // Whether a phase has ended by now. Then maxima() is to be told again, unless the window is complete.
  bool advance();
  bool complete() const { return phase_ == phases_; }
  const Maxima& maxima() const { return maxima_; }

 private:
  std::map<int, std::deque<Maxima>> heard_;  // by neighbour: of this phase, and of the next
  int phases_, phase_ = -1;
  Maxima maxima_{};
};

}  // namespace muster
