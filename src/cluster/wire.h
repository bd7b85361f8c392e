// What a transport has to bring: moving envelopes between the ranks of a run, and a clock. Everything else (matching,
// credits, liveness, groups, failure) is written once above it, in Station and GroupEndpoint.
//
// Threads: a Wire belongs to one rank and is used by one thread at a time. Ranks here are those of the whole run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/time.h"
#include "cluster/endpoint.h"
#include "cluster/shared_board.h"

namespace muster {

struct Envelope {
  std::uint64_t context = 0;  // the group it belongs to
  int source = -1;            // rank of the sender in the run
  int group_rank = -1;        // rank of the sender in that group
  Tag tag = 0;
  std::uint32_t activity = 0;  // what the sender was doing (tags.h)
  Buffer payload;
};

// What a rank waits for.
struct Waiting {
  const std::vector<int>& awaited;  // ranks in the run, ascending: any of them may end the wait
  const Match* match = nullptr;     // of a receive
  Time since = 0, until = 0;
  double silence_seconds = 0;
};

// Of the members of a group, whose memory they ask for.
struct BoardGroup {
  std::uint64_t context = 0;
  std::vector<int> ranks;  // in the run, by position
  int area = 0;            // as in Group
};

class Wire {
 public:
  virtual ~Wire() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual std::string host(int rank) const = 0;
  virtual Time now() const = 0;

  // Takes the envelope for another rank and returns at once, whatever that rank does.
  virtual void post(int to, Envelope envelope) = 0;

  // Appends what has arrived. Envelopes of one source come in the order they were posted, except that those whose tag
  // overtakes_data() may come earlier.
  virtual void pull(std::vector<Envelope>& arrived) = 0;

  // The rank begins to wait for something else than before: waits until now say nothing of how soon it comes.
  virtual void begin_wait() {}

  // Returns when something may have arrived or left, or after some seconds. Throws ClusterError when the run is over
  // for this rank.
  virtual void wait(double seconds) = 0;

  // Ranks for which something posted is still here, and whether something is half received.
  virtual std::vector<int> unflushed() const = 0;
  virtual bool receiving() const = 0;

  // The rank is lost: what is still here for it no longer counts as unflushed.
  virtual void forget(int rank) = 0;

  // Memory that this rank shares with all other members of a group; each of them that asks gets the same. Null: none.
  virtual std::shared_ptr<SharedBoard> board(const BoardGroup&) { return nullptr; }
  // This member leaves the group, whether or not it has asked.
  virtual void leave_board(std::uint64_t /*context*/, std::size_t /*members*/) {}
  // Makes another rank's wait() return, for what it waits for is on a board.
  virtual void wake(int /*rank*/) {}

  // What was computed, for a clock that does not run by itself.
  virtual void charge(const Work&) {}

  // Whether the wire knows by itself who is silent, so that nobody need be asked for a sign of life; then watch() is
  // called in the place of wait(). It returns when something may have arrived, at `until`, or when an awaited rank has
  // been silent for silence_seconds: that rank; otherwise -1.
  virtual bool watches() const { return false; }
  virtual int watch(const Waiting&) { return -1; }
};

}  // namespace muster
