// The wire between threads of one process: an inbox per rank, behind a mutex and a condition variable.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "cluster/wire.h"

namespace muster {

// What the ranks share. Held by shared_ptr from every rank, so that it outlives a thread that can not be ended.
class ThreadsHub {
 public:
  explicit ThreadsHub(int size);

  int size() const { return static_cast<int>(inboxes_.size()); }
  const std::string& host() const { return host_; }

  void deliver(int to, Envelope envelope);
  void collect(int rank, std::vector<Envelope>& arrived);
  // Returns when the inbox holds something, after some seconds, when the rank is woken, or when the run was given up.
  void wait(int rank, double seconds);
  void wake(int rank);
  std::shared_ptr<SharedBoard> board(std::uint64_t context, std::size_t members);
  void leave_board(std::uint64_t context, std::size_t members);
  // The rank receives nothing any more.
  void shut(int rank);
  // Every wait throws from now on.
  void give_up();
  bool given_up() const { return given_up_; }

 private:
  struct Inbox {
    std::mutex mutex;
    std::condition_variable arrived;
    std::vector<Envelope> envelopes;
    std::atomic<bool> filled{false};
    bool woken = false;
    bool shut = false;
  };
  // Lives until all members have left.
  struct GroupBoard {
    std::shared_ptr<SharedBoard> board;
    std::size_t left = 0;
  };
  Inbox& inbox(int rank) { return *inboxes_[static_cast<std::size_t>(rank)]; }

  std::string host_;
  std::vector<std::unique_ptr<Inbox>> inboxes_;
  std::mutex boards_mutex_;
  std::unordered_map<std::uint64_t, GroupBoard> boards_;  // by the group's context
  std::atomic<bool> given_up_{false};
};

class ThreadsWire final : public Wire {
 public:
  ThreadsWire(std::shared_ptr<ThreadsHub> hub, int rank) : hub_(std::move(hub)), rank_(rank) {}
  ~ThreadsWire() override { hub_->shut(rank_); }

  int rank() const override { return rank_; }
  int size() const override { return hub_->size(); }
  std::string host(int) const override { return hub_->host(); }
  Time now() const override;
  void post(int to, Envelope envelope) override { hub_->deliver(to, std::move(envelope)); }
  void pull(std::vector<Envelope>& arrived) override { hub_->collect(rank_, arrived); }
  void wait(double seconds) override;
  std::vector<int> unflushed() const override { return {}; }
  bool receiving() const override { return false; }
  void forget(int) override {}
  std::shared_ptr<SharedBoard> board(const BoardGroup& group) override {
    return hub_->board(group.context, group.ranks.size());
  }
  void leave_board(std::uint64_t context, std::size_t members) override { hub_->leave_board(context, members); }
  void wake(int rank) override { hub_->wake(rank); }

 private:
  std::shared_ptr<ThreadsHub> hub_;
  int rank_;
};

}  // namespace muster
