// One rank's own view of the run: the wire, what is known of each peer, and the mailboxes of the groups it is in. All
// endpoints of a rank, subgroups too, share it, and it is where signs of life, losses and credits are handled, once for
// every transport.
//
// Liveness: silence counts, not work. A peer waited for is asked for a sign of life (ping) after about a second; any
// call it makes into its endpoint answers. Time is added to a peer's silence only while this rank waits for it and
// attends to the wire, so a rank that was itself stopped accuses nobody. A peer silent for too long is lost, and the
// finder tells everybody, so that a collective fails on every member and not only where the silence was noticed. To a
// rank found lost itself (it was stuck, and came back) every further wait throws.
//
// Threads: one at a time, that of the rank.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/mailbox.h"
#include "cluster/outcome.h"
#include "cluster/tags.h"
#include "cluster/wire.h"

namespace muster {

using ContextId = std::uint64_t;

// One round of shrink() as a member sent it.
struct ShrinkRound {
  std::int32_t round = 0;
  bool decided = false;
  std::vector<std::uint8_t> excluded;  // by rank in the group
};

// What belongs to one group; made when first spoken of, since members enter a new group at different times.
struct Context {
  Mailbox mailbox;
  std::map<std::pair<int, bool>, CreditAccount> credit;  // by rank in the group, and whether for collectives
  std::set<int> impatient;                               // members blocked for want of credit
  std::map<int, Outcome> closed;                         // members that closed their endpoint of this group
  std::map<int, std::vector<ShrinkRound>> shrinking;     // what members sent, in order
};

class Station {
 public:
  Station(Wire& wire, const EndpointOptions& options);

  Wire& wire() { return wire_; }
  const EndpointOptions& options() const { return options_; }
  int rank() const { return wire_.rank(); }
  Time now() const { return wire_.now(); }
  std::string name(int rank) const { return rank_on_host(rank, wire_.host(rank)); }

  void set_activity(Activity activity) { activity_ = activity; }
  Activity activity() const { return activity_; }

  // --- groups ---
  Context& context(ContextId id);
  void release(ContextId id);  // later messages for it are dropped
  // From now on every member that still shrinks the group gets this answer.
  void decide_shrink(ContextId id, int group_rank, const ShrinkRound& decision);

  // --- messages ---
  // Dropped where the peer is lost.
  void post(int to, ContextId context, int group_rank, Tag tag, Buffer payload);
  // Handles all that has arrived.
  void pull();

  // --- collectives of the transport's own engine, counted so that peers know which ones a rank that left took part in
  void enter_engine_collective() { ++engine_collectives_; }
  std::int64_t engine_collectives() const { return engine_collectives_; }

  // --- waiting ---
  // match: of a receive, for reports; it outlives the wait.
  void begin_wait(const Match* match = nullptr) {
    last_count_ = waiting_since_ = now();
    match_ = match;
    wire_.begin_wait();
  }
  // Waits for something to arrive, at most until `until`; adds to the silence of those of `awaited` that give no sign.
  void wait(const std::vector<int>& awaited, Time until);
  // Adds what a wait too short for wait() to count has left over.
  void end_wait(const std::vector<int>& awaited) { count_silence(awaited); }
  // Throws ClusterError if the others have given this rank up.
  void check_own_standing() const;
  bool given_up() const { return !given_up_.empty(); }

  // --- peers, by rank in the run ---
  // How it ended; nullopt while it lives.
  const std::optional<Outcome>& ended(int peer) const { return peers_[static_cast<std::size_t>(peer)].ended; }
  // A sign of life that came in another way than by a message: through the engine's own collective.
  void note_sign(int peer, Activity activity);
  // One seen only now; it takes nothing off the silence.
  void note_earlier_sign(int peer, Activity activity, Time at);
  bool anybody_ended() const { return anybody_ended_; }
  bool lost(int peer) const { return ended(peer) && ended(peer)->ending == RankEnding::silent; }
  void note_loss(int peer, const Outcome& why);  // remembered as the reason for the PeerLost about to be thrown
  const Outcome& last_loss() const { return last_loss_; }

  // --- the end of the run ---
  void announce_done(const Outcome& outcome);
  // One step of waiting for the others' ends; true when all are known and nothing is left on the wire.
  bool all_done(Time until);
  std::vector<std::optional<Outcome>> outcomes() const;
  // Tells the others that the user has been told why the run ends; and whether another rank has said so.
  void announce_reported();
  bool reported() const { return reported_; }

 private:
  struct Peer {
    std::optional<Outcome> ended;
    std::optional<Outcome> done;
    Activity activity;
    Time last_heard = 0;
    Time last_asked = 0;
    double silence_seconds = 0;
  };

  void handle(Envelope envelope);
  void handle_close(const Envelope& envelope);
  void handle_shrink(const Envelope& envelope);
  void count_silence(const std::vector<int>& awaited);
  void find_lost(int peer);
  void mark_lost(int peer, const std::string& sentence);
  Peer& peer(int rank) { return peers_[static_cast<std::size_t>(rank)]; }

  Wire& wire_;
  EndpointOptions options_;
  Activity activity_;
  std::vector<Peer> peers_;
  std::unordered_map<ContextId, std::unique_ptr<Context>> contexts_;
  std::set<ContextId> released_;
  std::map<ContextId, std::pair<int, ShrinkRound>> decisions_;
  std::vector<Envelope> arrived_;
  std::string given_up_;  // what the others said when they found this rank lost
  Outcome last_loss_;
  Outcome own_outcome_;
  Time last_count_ = 0, waiting_since_ = 0;
  const Match* match_ = nullptr;
  bool anybody_ended_ = false;
  std::int64_t engine_collectives_ = 0;
  bool reported_ = false;
};

Buffer encode(const ShrinkRound& round);
ShrinkRound decode_shrink_round(const Buffer& payload);

}  // namespace muster
