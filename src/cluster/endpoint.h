// Endpoint: one rank of a group of ranks, and the only way ranks talk. Trainers and collectives are plain blocking code
// over an Endpoint&; which transport stands behind it (threads, MPI, a simulator) they can not tell.
//
// Threads: an Endpoint is used by one thread at a time. Lifetime: it outlives every Buffer it has delivered; closing or
// destroying it never hangs. Failure: operations throw Timeout, PeerLost or Cancelled (muster/error.h) and leave the
// Endpoint usable, so a caller may shrink() and go on. Where a rank has ended by an InputError, those that wait for it
// throw the same: bad input is that of the whole run.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/cancellation.h"
#include "base/time.h"
#include "muster/objective.h"

namespace muster {

// What a message is about. Trainers use values below kFirstReservedTag; collectives and transports the rest.
using Tag = std::uint32_t;
inline constexpr Tag kFirstReservedTag = 0x8000'0000;

struct Message {
  int source = -1;
  Tag tag = 0;
  Buffer payload;
};

// Which messages a receive accepts: any of the sources (empty: any member) with any of the tags (empty: any tag below
// kFirstReservedTag). Of those that fit, the earliest delivered is taken; two messages from one source with tags the
// match accepts are never taken out of order.
struct Match {
  std::vector<int> sources;
  std::vector<Tag> tags;
};

enum class ReduceOp {
  sum,                // of doubles
  sum_double_double,  // of pairs (high, low) of doubles
  min,                // of doubles
  max,                // of doubles
};

// Counted since the Endpoint was made; a subgroup counts into the Endpoint it was split from.
struct Traffic {
  std::int64_t bytes_sent = 0;  // payload and header
  std::int64_t messages_sent = 0;
  double wait_seconds = 0;         // blocked until a peer's message was there
  double communicate_seconds = 0;  // the rest of the time inside send, receive and collectives
};

class Endpoint {
 public:
  virtual ~Endpoint() = default;

  // --- the group. Ranks are stable ids: 0 .. size()-1, never renumbered. ---
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual const std::vector<int>& members() const = 0;  // the living, ascending
  virtual std::int64_t epoch() const = 0;               // counts changes of members()
  virtual std::string host(int rank) const = 0;         // name of the machine the rank runs on

  // --- point to point ---
  // Hands payload over. Does not wait for the matching receive; blocks while the peer has unreceived bytes from here
  // above its credit (a message always passes when none are outstanding). Sending to oneself is allowed. A message to a
  // lost or closed peer is dropped; its loss shows at the next receive.
  virtual void send(int to, Tag tag, Buffer payload) = 0;

  // Waits for a message that fits. Throws Timeout at the deadline while the sources still answer; PeerLost, once per
  // peer, when one of the sources awaited is lost and nothing that fits is queued; Cancelled when the token is set.
  virtual Message receive(const Match& match, Deadline deadline) = 0;

  // Takes a message that fits if one is there. Yields; takes virtual time.
  virtual std::optional<Message> try_receive(const Match& match) = 0;

  // To be called between blocks of a long computation: lets messages and signs of life move. Cheap.
  virtual void progress() = 0;

  // Returns when everything sent has been handed to the transport for good: no later close() loses it.
  virtual void flush(Deadline deadline) = 0;

  // Leaves the group. With a cause, peers that wait for this rank get PeerLost naming it; without one, only receives
  // that can never be satisfied do. Idempotent. The destructor closes.
  virtual void close(std::string_view cause = {}) = 0;

  // --- groups ---
  // Members with equal colour form a new group, ordered by (key, rank); ranks in it are 0 .. its size-1. Collective.
  // The new Endpoint shares this one's clock, liveness and traffic count, never its messages. It must not outlive this
  // one.
  virtual std::unique_ptr<Endpoint> split(int color, int key) = 0;

  // The survivors agree who they are: a new Endpoint with the same ranks and size(), whose members() is that agreement
  // and whose epoch() is one more. Collective over the survivors; messages in flight in the old group stay there.
  virtual std::unique_ptr<Endpoint> shrink(Deadline deadline) = 0;

  // These members alone, this one among them: a new Endpoint with the same ranks and size(), and an epoch one more.
  // Each of them calls it with the same ascending list, and not a word is exchanged: what becomes of the other members
  // is nothing to them any more. Otherwise as split().
  virtual std::unique_ptr<Endpoint> subset(std::vector<int> members) = 0;

  // --- time ---
  virtual Time now() const = 0;               // wall clock, or virtual
  virtual void charge(const Work& work) = 0;  // tells a simulated clock what was computed; real clocks ignore it

  virtual Traffic traffic() const = 0;

  // --- collectives over members(). Every member calls the same one with the same sizes, and any of them may wait for
  // the others. The defaults (collectives.h) are in terms of send and receive, in a fixed order of addition; members
  // that share memory add there (board_collectives.h), and a transport may go a way of its own, in the same order. ---
  virtual void broadcast(std::span<double> values, int root, Deadline deadline);
  // The result is at root; elsewhere values are left unspecified.
  virtual void reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline);
  virtual void allreduce(std::span<double> values, ReduceOp op, Deadline deadline);
  // At root: every member's buffer, in the order of members(). Elsewhere: empty. Sizes may differ.
  virtual std::vector<Buffer> gather(Buffer mine, int root, Deadline deadline);
  virtual void barrier(Deadline deadline);

 protected:
  Endpoint() = default;
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
};

// What every transport is opened with.
struct EndpointOptions {
  double silence_seconds = 8;                        // a peer waited for that gives no sign of life for so long is lost
  std::size_t credit_bytes = std::size_t{64} << 20;  // unreceived bytes allowed per ordered pair of ranks
  int ranks_per_host = 0;  // processes: share memory as if hosts had so many ranks each, in order; 0: as they are
  const CancellationToken* cancellation = nullptr;  // may be null; receives throw Cancelled once it is set
  // A rank that fails or falls silent while every rank that does not returns is no failure of the run: for programs
  // that go on without lost peers. Not under MPI, whose launcher ends the others: a lost rank ends the run by name.
  bool tolerate_losses = false;
};

}  // namespace muster
