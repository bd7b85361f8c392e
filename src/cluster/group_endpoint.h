// The Endpoint of every transport: point to point, credits, groups and failure over one rank's Station.
//
// members() and epoch() of an endpoint stay as they were agreed when it was made; only shrink() and subset() make a
// group with other members. Losses in between show in receives: one that awaits the lost peer throws PeerLost once per
// peer (and again only if nobody is left who could send what it waits for); one that is part of a collective throws
// when any member has failed, every time, since the collective can not complete.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cluster/board_collectives.h"
#include "cluster/station.h"

namespace muster {

struct Group {
  ContextId context = 0;
  std::int64_t epoch = 0;
  int rank = 0;
  std::vector<int> run_ranks;  // rank in the run, by rank in the group
  std::vector<int> members;    // ranks in the group, ascending
  // Which area of memory shared by processes is the group's, the same on all members: 0 the whole run's, k that of the
  // k-th split of the whole run, disjoint groups; kNoArea: none.
  static constexpr int kNoArea = -1;
  int area = kNoArea;

  static Group whole_run(const Wire& wire);
};

class GroupEndpoint : public Endpoint, private BoardPatience {
 public:
  // parent: the endpoint this one was split or shrunk from; null for the whole run.
  GroupEndpoint(Station& station, Group group, GroupEndpoint* parent);
  ~GroupEndpoint() override;

  int rank() const override { return group_.rank; }
  int size() const override { return static_cast<int>(group_.run_ranks.size()); }
  const std::vector<int>& members() const override { return group_.members; }
  std::int64_t epoch() const override { return group_.epoch; }
  std::string host(int rank) const override;

  void send(int to, Tag tag, Buffer payload) override;
  Message receive(const Match& match, Deadline deadline) override;
  std::optional<Message> try_receive(const Match& match) override;
  void progress() override;
  void flush(Deadline deadline) override;
  void close(std::string_view cause) override;

  std::unique_ptr<Endpoint> split(int color, int key) override;
  std::unique_ptr<Endpoint> shrink(Deadline deadline) override;
  std::unique_ptr<Endpoint> subset(std::vector<int> members) override;

  // Over memory that the members share, where the wire has some; else by messages.
  void broadcast(std::span<double> values, int root, Deadline deadline) override;
  void reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) override;
  void allreduce(std::span<double> values, ReduceOp op, Deadline deadline) override;
  void barrier(Deadline deadline) override;

  Time now() const override { return station_.now(); }
  void charge(const Work& work) override { station_.wire().charge(work); }
  Traffic traffic() const override { return traffic_; }

  Station& station() { return station_; }
  // Closes the endpoint of the whole run with the way its rank's main ended.
  virtual void leave(const Outcome& outcome);

 protected:
  // Runs a collective of the transport's own, which waits by wait_for_engine() alone. That it completes is a sign of
  // life of `heard`, the members without whom it could not have.
  void run_engine(Doing doing, const std::vector<int>& heard, Deadline deadline,
                  const std::function<void()>& collective);
  // Waits for done() to hold, under the watch of all members. Throws like receive.
  void wait_for_engine(const std::function<bool()>& done);
  // Throws where an earlier collective has thrown: what it left behind would be taken for this one's.
  void check_unbroken();
  void count_sent(std::size_t bytes, std::int64_t messages);
  bool shares_memory() { return board() != nullptr; }

 private:
  class Timed;
  class WaitClock;

  int run_rank(int member) const { return group_.run_ranks[static_cast<std::size_t>(member)]; }
  Context& context() { return station_.context(group_.context); }
  const Outcome* ended(int member);
  bool failed(int member);
  [[noreturn]] void throw_lost(int member);
  void check_member(int rank) const;
  void check_cancelled() const;
  void check_awaited(const Match& match);
  void check_collective();
  bool anybody_ended() { return station_.anybody_ended() || !context().closed.empty(); }
  void check_engine_collective();
  std::vector<int> awaited_peers(const std::vector<int>& sources);
  std::optional<Message> take(const Match& match);
  void wait_step(const std::vector<int>& run_ranks, Deadline deadline);
  void wait_for_credit(int to, Tag tag, std::size_t bytes);
  [[noreturn]] void throw_timeout(const std::string& waiting_for, Time since) const;
  std::vector<std::uint8_t> agree_excluded(Deadline deadline);
  bool hear_round(std::int32_t round, std::vector<std::uint8_t>& excluded, bool& same, Deadline deadline);

  BoardCollectives* board();
  int position(int member) const;
  template <class Collective>
  void on_board(Doing doing, Deadline deadline, Collective collective);
  void wait(const std::function<bool()>& here, const std::function<bool(int position)>& missing) override;
  void wake(int position) override;

  Station& station_;
  Group group_;
  GroupEndpoint* parent_;
  Traffic traffic_;
  double waited_seconds_ = 0;
  std::set<int> reported_;  // losses that have been thrown
  bool broken_ = false;     // a collective has thrown
  bool closed_ = false;
  std::uint64_t groups_made_ = 0;
  std::unique_ptr<BoardCollectives> board_;
  bool asked_for_board_ = false;
  Deadline collective_deadline_;  // of the collective at hand
  std::uint32_t on_board_count_ = 0;
  int exceptions_at_start_;
};

}  // namespace muster
