// Workers as threads of a test, and small files for them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/peers.h"
#include "muster/error.h"

namespace muster {

// One gather after another among n threads.
class ThreadMeeting {
 public:
  explicit ThreadMeeting(int size) : size_(size), texts_(static_cast<std::size_t>(size)) {}

  std::vector<std::string> gather(int rank, const std::string& mine) {
    std::unique_lock lock(mutex_);
    texts_[static_cast<std::size_t>(rank)] = mine;
    const std::size_t round = round_;
    if (++arrived_ == size_) {
      arrived_ = 0;
      result_ = texts_;
      ++round_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return round_ != round; });
    }
    return result_;
  }

 private:
  const int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_, result_;
  int arrived_ = 0;
  std::size_t round_ = 0;
};

class ThreadPeers final : public Peers {
 public:
  ThreadPeers(ThreadMeeting& meeting, int rank, int size) : meeting_(meeting), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::vector<std::string> all_gather(const std::string& mine) override { return meeting_.gather(rank_, mine); }

 private:
  ThreadMeeting& meeting_;
  int rank_, size_;
};

// Runs work on n workers; the results by rank. What every worker threw is thrown once, and must be the same sentence.
template <class Result>
std::vector<Result> on_workers(int n, const std::function<Result(Peers&)>& work) {
  ThreadMeeting meeting(n);
  std::vector<Result> results(static_cast<std::size_t>(n));
  std::vector<std::string> errors(static_cast<std::size_t>(n));
  std::vector<std::thread> threads;
  for (int r = 0; r < n; ++r) {
    threads.emplace_back([&, r] {
      ThreadPeers peers(meeting, r, n);
      try {
        results[static_cast<std::size_t>(r)] = work(peers);
      } catch (const InputError& error) {
        errors[static_cast<std::size_t>(r)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors) EXPECT_EQ(error, errors.front()) << "workers disagree on the error";
  if (!errors.front().empty()) throw InputError(errors.front());
  return results;
}

// A directory that is gone when the test is.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "muster_data_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name, const std::string& content) const {
    const std::filesystem::path path = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace muster
