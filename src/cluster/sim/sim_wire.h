// The wire of one simulated rank.
#pragma once

#include <string>
#include <vector>

#include "cluster/sim/simulation.h"

namespace muster {

class SimWire final : public Wire {
 public:
  SimWire(Simulation& simulation, int rank)
      : simulation_(simulation), rank_(rank), given_up_(static_cast<std::size_t>(simulation.size()), 0) {}

  int rank() const override { return rank_; }
  int size() const override { return simulation_.size(); }
  std::string host(int rank) const override { return simulation_.host(rank); }
  Time now() const override { return simulation_.local(rank_); }

  void post(int to, Envelope envelope) override { simulation_.post(rank_, to, std::move(envelope)); }
  void pull(std::vector<Envelope>& arrived) override { simulation_.pull(rank_, arrived); }
  void wait(double seconds) override { simulation_.watch(rank_, {{}, nullptr, now(), now() + seconds, 0}, given_up_); }
  std::vector<int> unflushed() const override { return {}; }  // what is posted is the network's
  bool receiving() const override { return false; }
  void forget(int rank) override { given_up_[static_cast<std::size_t>(rank)] = 1; }

  void charge(const Work& work) override { simulation_.charge(rank_, work); }
  bool watches() const override { return true; }
  int watch(const Waiting& waiting) override { return simulation_.watch(rank_, waiting, given_up_); }

 private:
  Simulation& simulation_;
  int rank_;
  std::vector<char> given_up_;  // found lost
};

}  // namespace muster
