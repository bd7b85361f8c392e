#include "train/phased_maxima.h"

#include <algorithm>

#include "base/check.h"

namespace muster {

PhasedMaxima::PhasedMaxima(const std::vector<int>& neighbours, int phases) : phases_(phases) {
  MUSTER_CHECK(phases >= 1, "a window has at least one phase");
  for (const int neighbour : neighbours) heard_[neighbour];
}

void PhasedMaxima::open(const Maxima& mine) {
  MUSTER_CHECK(!opened() || complete(), "a window is opened before the last one is complete");
  phase_ = 0;
  maxima_ = mine;
}

bool PhasedMaxima::waits() const {
  const auto silent = [](const auto& entry) { return entry.second.empty(); };
  return opened() && !complete() && std::any_of(heard_.begin(), heard_.end(), silent);
}

bool PhasedMaxima::advance() {
  if (!opened() || complete() || waits()) return false;
  for (auto& [neighbour, heard] : heard_) {
    for (std::size_t i = 0; i < maxima_.size(); ++i) maxima_[i] = std::max(maxima_[i], heard.front()[i]);
    heard.pop_front();
  }
  ++phase_;
  return true;
}

}  // namespace muster
