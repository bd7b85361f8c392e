// What the rows of a process may take of its memory, shared by the ranks in it.
#pragma once

#include <mutex>

namespace muster {

// Threads: any.
class RowBudget {
 public:
  explicit RowBudget(double bytes) : left_(bytes) {}

  // False, and nothing is taken, where so much is not left.
  bool take(double bytes) {
    const std::lock_guard lock(mutex_);
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }
  void give_back(double bytes) {
    const std::lock_guard lock(mutex_);
    left_ += bytes;
  }

 private:
  std::mutex mutex_;
  double left_;
};

}  // namespace muster
