// What the nodes decide once they have agreed on maxima (gossip.h, StopAgreement). It depends on those maxima and on
// what was decided before, so that the decision is the same on every node, and nobody need announce it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "train/decentralized_stage.h"
#include "train/gossip.h"

namespace muster {

class NetworkStop {
 public:
  // estimate outlives this.
  explicit NetworkStop(const StopEstimate& estimate) : estimate_(estimate) {}

  struct Decision {
    std::optional<Ending> ending;
    bool too_long = false;  // the step is: begin anew with a shorter one
    bool best = false;      // no estimate before was as good, and there was one
  };
  // at: rounds of this stage, or what stands for them; it never falls. A disagreement that is infinite has not been
  // measured yet.
  Decision decide(const std::array<double, StopAgreement::kMaxima>& agreed, std::int64_t at);

  // The numbers begin anew.
  void begin() { first_square_ = -1; }
  // The judge wants more: the estimate is to be stricter.
  void tighten(std::int64_t at);

 private:
  const StopEstimate& estimate_;
  double strictness_ = 1, first_square_ = -1, least_square_ = 0;
  std::int64_t least_at_ = 0;
};

}  // namespace muster
