// Faults as a decorator: an Endpoint of any transport that is slow, delays what it sends, or dies, as described. Its
// subgroups are the same. Collectives are the default ones, over send and receive, so faults reach them too.
//
// The rank itself does it, on its endpoint's own clock: there is no other thread. So a message delayed leaves at the
// first call after its time, and a rank about to wait for a message that is not there first lets its delayed ones go.
//
// Delays to ranks by name are asked of every rank of a group alike, or of none: split() then exchanges names.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "cluster/endpoint_decorator.h"

namespace muster {

// What befalls one rank. Times are since the endpoint was decorated.
struct RankFaults {
  struct Delay {
    std::vector<int> to;  // ranks of the run; empty: all
    Time at = 0, until = 0;
    double seconds = 0;        // added to each message,
    double extra_seconds = 0;  // and up to so much more, drawn
  };
  double slowness = 1;  // each computation takes so many times as long
  Time dies_at = -1;    // from then on any call throws ClusterError; negative: never
  std::vector<Delay> delays;
  std::uint64_t seed = 0;  // of what is drawn
};

class FaultyEndpoint final : public EndpointDecorator {
  struct Held {
    Time leaves = 0;
    Endpoint* via = nullptr;  // the group it was sent in
    int to = 0;
    Tag tag = 0;
    Buffer payload;
  };
  // Of one rank, shared with its subgroups.
  struct State {
    RankFaults faults;
    Time origin = 0;
    Time idle_since = 0;  // end of the last call: what follows is computation
    std::uint64_t drawn = 0;
    std::uint32_t rank = 0;
    std::deque<Held> held;  // in the order they leave: no delay lets a message overtake another of this rank
  };

 public:
  FaultyEndpoint(Endpoint& inner, RankFaults faults);
  // For split(), shrink() and subset() alone: nobody else has a State.
  FaultyEndpoint(std::unique_ptr<Endpoint> inner, std::shared_ptr<State> state, std::vector<int> run_ranks);
  ~FaultyEndpoint() override;

  void send(int to, Tag tag, Buffer payload) override;
  Message receive(const Match& match, Deadline deadline) override;
  std::optional<Message> try_receive(const Match& match) override;
  void progress() override;
  void flush(Deadline deadline) override;
  void close(std::string_view cause) override;
  void charge(const Work& work) override;

  std::unique_ptr<Endpoint> split(int color, int key) override;
  std::unique_ptr<Endpoint> shrink(Deadline deadline) override;
  std::unique_ptr<Endpoint> subset(std::vector<int> members) override;

 private:
  class Call;

  void enter();
  void leave() { state_->idle_since = now(); }
  void pass(double seconds);
  void let_go();
  void let_all_go(Deadline deadline);
  double delay_to(int to);
  std::vector<int> run_ranks_of(int color, int key);

  std::shared_ptr<State> state_;
  std::vector<int> run_ranks_;  // by rank in this group
};

}  // namespace muster
