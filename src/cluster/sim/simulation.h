// Ranks as fibres of one thread, on a virtual clock, over a modelled network.
//
// Every rank has a clock of its own, which its sends and computations move on at once; nobody sees anything of it until
// the rank looks at its messages, and before that all that happens earlier elsewhere is let happen. What happens at the
// same instant is ordered by a seeded tie-break, and among that of one rank by the order it did it in. One run is a
// pure function of the description, its seeds, and what the ranks' code does.
//
// Threads: all of it belongs to the thread that calls run().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/endpoint.h"
#include "cluster/sim/cluster_model.h"
#include "cluster/sim/courier.h"
#include "cluster/sim/deadlock.h"
#include "cluster/sim/fiber.h"
#include "cluster/wire.h"

namespace muster {

class Simulation {
 public:
  Simulation(int ranks, const ClusterModel& model, const EndpointOptions& options);
  ~Simulation();

  // Runs body(rank) for every rank; returns when all have. Throws Deadlock; then, as for a rank whose node died, the
  // bodies were left by an exception that is none of std's.
  void run(const std::function<void(int)>& body);

  int size() const { return static_cast<int>(ranks_.size()); }
  const std::string& host(int rank) const { return courier_.network().host(rank); }
  // Its node has died.
  bool died(int rank) const { return at(rank).dead; }
  // Whether what the running rank sees came, as a deadline, when everybody was blocked and nothing under way; then, who
  // waited for whom.
  bool stalled() const { return stalled_; }
  const std::vector<BlockedRank>& last_stall() const { return last_stall_; }
  std::uint64_t trace_hash() const { return hash_; }  // of everything that happened, with its times
  std::uint64_t steps() const { return steps_; }
  const Courier& courier() const { return courier_; }

  // --- for the wire of a rank, on its fibre ---
  Time local(int rank) const { return at(rank).local; }
  void post(int from, int to, Envelope envelope);
  void pull(int rank, std::vector<Envelope>& arrived);
  int watch(int rank, const Waiting& waiting, const std::vector<char>& given_up);
  void charge(int rank, const Work& work);

 private:
  enum class State { runnable, waiting, running, finished };
  struct Rank {
    std::unique_ptr<Fiber> fiber;
    State state = State::runnable;
    Time local = 0;
    Time looked_at = -1;  // the instant of the last looks for messages that found none
    int looks = 0;
    bool dead = false;
    double factor = 1;
    std::uint64_t charges = 0;
    std::vector<Arrival> inbox;  // a heap
    const Waiting* waiting = nullptr;
    Time loss_at = kForever;  // when somebody it waits for will have been silent for too long
    int loss = -1;
    std::vector<std::pair<int, Time>> silent_since;  // peers awaited in vain so far, since when
    // the end
    bool done = false;  // announced
    Envelope last_words;
    std::uint64_t in_flight = 0;
    Time last_ready = 0;
    std::size_t ends_seen = 0;
  };

  Rank& at(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }
  const Rank& at(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }
  void loop();
  void resume(int rank, Time when);
  void suspend(int rank, State state, Time alarm);
  void handle_next_event();
  void handle_arrival(const Arrival& arrival);
  void handle_end(int rank);
  void landed(int from, Time ready);
  void set_alarm(int rank, Time when);
  void advance(int rank, double seconds);
  void catch_up(int rank);
  void check_alive(int rank) const;
  void die(int rank);
  void find_loss(int rank, const Waiting& waiting, const std::vector<char>& given_up);
  bool collect(int rank, std::vector<Envelope>& arrived);
  void wake_all_if_cancelled();
  bool everybody_is_blocked() const;
  bool hopeless() const;
  std::vector<BlockedRank> blocked_ranks() const;
  void note(std::uint64_t what, Time when);

  ClusterModel model_;
  EndpointOptions options_;
  Failures failures_;
  Courier courier_;
  Alarms alarms_;
  std::vector<Rank> ranks_;
  std::vector<int> ends_;  // ranks whose end is known to all, in order
  int unfinished_ = 0, waiting_ = 0;
  Time now_ = 0;
  bool over_ = false, cancelled_ = false, stalled_ = false;
  std::vector<BlockedRank> last_stall_;
  std::uint64_t hash_ = 0xcbf29ce484222325;
  std::uint64_t steps_ = 0;
};

}  // namespace muster
