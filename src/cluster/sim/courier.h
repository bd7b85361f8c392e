// Messages on their way through the modelled network, and the queue of what happens next.
#pragma once

#include <vector>

#include "cluster/sim/event_queue.h"
#include "cluster/sim/network.h"
#include "cluster/wire.h"

namespace muster {

// A message that is there, or will be at `ready`; ordered as it may be taken.
struct Arrival {
  Time ready = 0;
  std::uint32_t tie = 0;
  std::uint32_t flight = 0;
  std::uint64_t sequence = 0;

  bool before(const Arrival& other) const {
    if (ready != other.ready) return ready < other.ready;
    if (tie != other.tie) return tie < other.tie;
    return sequence < other.sequence;
  }
};

class Courier {
 public:
  enum Kind : std::uint32_t { kLeaves, kCrosses, kEnters, kOther };  // kOther and above are the owner's

  Courier(const ClusterModel& model, const Failures& failures, int ranks)
      : network_(model, failures, ranks), header_bytes_(model.header_bytes), tie_seed_(model.tie_seed) {}

  const Network& network() const { return network_; }
  EventQueue& queue() { return queue_; }

  // The sender's processor is done with the message at `at`, which may lie ahead of the queue. False if it was lost.
  bool send(int from, int to, Time at, Envelope envelope) {
    const std::uint32_t flight = take_place();
    Flight& f = flights_[flight];
    f.travel = {from, to, static_cast<double>(envelope.payload.size()) + header_bytes_, at, at};
    f.envelope = std::move(envelope);
    ++messages_;
    bytes_ += f.travel.bytes;
    if (network_.shares_interface(from)) {
      push(kLeaves, flight, at);
      return true;
    }
    return leave(flight, at);
  }

  // Handles the next event, which is one of the first three kinds. True when a message has passed its receiver's
  // interface; then `arrival` says when it is there. A message lost on the way is told by lost().
  bool handle(const Event& event, Arrival& arrival) {
    Flight& f = flights_[event.subject];
    lost_from_ = -1;
    if (event.kind() == kLeaves) {
      const int from = f.travel.from;
      if (!leave(event.subject, event.at)) lost_from_ = from;
      return false;
    }
    if (event.kind() == kCrosses) {
      network_.cross(f.travel);
      push(kEnters, event.subject, f.travel.head);
      return false;
    }
    arrival = {network_.enter(f.travel), event.tie, event.subject, ++arrivals_};
    return true;
  }
  int lost_from() const { return lost_from_; }  // by the last handle(); -1: none

  const Travel& travel(std::uint32_t flight) const { return flights_[flight].travel; }
  Envelope take(std::uint32_t flight) {
    Envelope envelope = std::move(flights_[flight].envelope);
    drop(flight);
    return envelope;
  }
  void drop(std::uint32_t flight) {
    flights_[flight].envelope.payload = Buffer();
    free_.push_back(flight);
  }

  std::uint64_t messages() const { return messages_; }
  double bytes() const { return bytes_; }

 private:
  struct Flight {
    Travel travel;
    Envelope envelope;
  };

  std::uint32_t take_place() {
    if (free_.empty()) {
      flights_.emplace_back();
      return static_cast<std::uint32_t>(flights_.size() - 1);
    }
    const std::uint32_t flight = free_.back();
    free_.pop_back();
    return flight;
  }
  void push(Kind kind, std::uint32_t flight, Time at) {
    const auto source = static_cast<std::uint32_t>(flights_[flight].travel.from);
    queue_.push(at, tie_break(tie_seed_, source, at), kind, flight);
  }
  bool leave(std::uint32_t flight, Time at) {
    const Travel planned = flights_[flight].travel;
    const std::optional<Travel> travel = network_.leave(planned.from, planned.to, planned.bytes, at);
    if (!travel) {
      drop(flight);
      return false;
    }
    flights_[flight].travel = *travel;
    push(network_.crosses_site_link(*travel) ? kCrosses : kEnters, flight, travel->head);
    return true;
  }

  Network network_;
  double header_bytes_;
  std::uint64_t tie_seed_;
  EventQueue queue_;
  std::vector<Flight> flights_;
  std::vector<std::uint32_t> free_;
  std::uint64_t messages_ = 0, arrivals_ = 0;
  double bytes_ = 0;
  int lost_from_ = -1;
};

}  // namespace muster
