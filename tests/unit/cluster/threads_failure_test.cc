// How a run of threads ends when a rank does not do its part.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "cluster/threads/threads_launch.h"
#include "muster/error.h"

namespace muster {
namespace {

EndpointOptions impatient() {
  EndpointOptions options;
  options.silence_seconds = 0.5;
  return options;
}

std::string sentence_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ThreadsFailure, ARankThatThrowsAloneIsNamedWithItsCause) {
  for (const bool collective : {false, true}) {
    std::atomic<int> told{0};
    const auto rank_main = [&](Endpoint& endpoint) {
      if (endpoint.rank() == 2) throw std::runtime_error("its memory is full");
      try {
        if (collective) {
          endpoint.barrier(Deadline::never());
        } else {
          endpoint.receive({{2}, {1}}, Deadline::never());
        }
      } catch (const PeerLost& lost) {
        told += contains(lost.what(), "rank 2 on " + endpoint.host(2)) ? 1 : 0;
        throw;
      }
    };
    try {
      run_threads(4, {}, rank_main);
      FAIL() << "nothing was thrown";
    } catch (const ClusterError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("rank 2 on ")) << error.what();
      EXPECT_TRUE(std::string(error.what()).ends_with(": its memory is full")) << error.what();
      EXPECT_EQ(error.exit_code(), ExitCode::cluster_failed);
    }
    EXPECT_EQ(told, 3);
  }
}

TEST(ThreadsFailure, AnInputErrorOfAllIsThrownAsItIs) {
  const auto rank_main = [](Endpoint& endpoint) {
    double value = 1;
    for (int i = 0; i < 20; ++i) endpoint.allreduce({&value, 1}, ReduceOp::max, Deadline::never());
    throw InputError("data.csv:3: not a number");
  };
  for (int n = 1; n <= 9; ++n) {
    try {
      run_threads(n, {}, rank_main);
      FAIL() << "nothing was thrown";
    } catch (const InputError& error) {
      EXPECT_STREQ(error.what(), "data.csv:3: not a number");
    }
  }
}

TEST(ThreadsFailure, AnInputErrorOfOneIsThatOfTheOthersThatWait) {
  const auto rank_main = [](Endpoint& endpoint) {
    if (endpoint.rank() == 1) throw InputError("its file is gone");
    endpoint.barrier(Deadline::never());
  };
  EXPECT_THROW(run_threads(5, {}, rank_main), InputError);
  EXPECT_EQ(sentence_of([&] { run_threads(5, {}, rank_main); }), "its file is gone");
}

TEST(ThreadsFailure, AnInputErrorAfterAllElseKeepsItsKind) {
  const auto rank_main = [](Endpoint& endpoint) {
    endpoint.barrier(Deadline::never());
    if (endpoint.rank() == 0) throw InputError("cannot write model.json");
  };
  EXPECT_THROW(run_threads(3, {}, rank_main), InputError);
}

TEST(ThreadsFailure, CancellationEndsEveryWait) {
  CancellationToken token;
  EndpointOptions options;
  options.cancellation = &token;
  const auto rank_main = [&](Endpoint& endpoint) {
    if (endpoint.rank() == 0) token.cancel();
    if (endpoint.rank() == 1) endpoint.barrier(Deadline::never());
    endpoint.receive({}, Deadline::never());
  };
  EXPECT_THROW(run_threads(4, options, rank_main), Cancelled);
}

// Also of one that nobody would have to wait in.
TEST(ThreadsFailure, NoCollectiveBeginsOnceCancelled) {
  CancellationToken token;
  token.cancel();
  EndpointOptions options;
  options.cancellation = &token;
  std::atomic<int> refused{0};
  const auto rank_main = [&](Endpoint& endpoint) {
    try {
      endpoint.barrier(Deadline::never());
    } catch (const Cancelled&) {
      ++refused;
      throw;
    }
  };
  constexpr int kRuns = 20;
  for (int k = 0; k < kRuns; ++k) EXPECT_THROW(run_threads(2, options, rank_main), Cancelled);
  EXPECT_EQ(refused, 2 * kRuns);
}

TEST(ThreadsFailure, ARankThatLeavesFailsACollectiveThatNeedsIt) {
  const auto rank_main = [](Endpoint& endpoint) {
    if (endpoint.rank() != 1) endpoint.barrier(Deadline::never());
  };
  try {
    run_threads(4, {}, rank_main);
    FAIL() << "nothing was thrown";
  } catch (const PeerLost& lost) {
    EXPECT_EQ(lost.rank(), 1);
  }
}

// A computation far longer than the silence allowed, with signs of life in it.
TEST(ThreadsFailure, WorkIsNotSilence) {
  const auto rank_main = [](Endpoint& endpoint) {
    const Time until = endpoint.now() + 1.5;
    while (endpoint.rank() == 1 && endpoint.now() < until) endpoint.progress();
    endpoint.barrier(Deadline::never());
  };
  EXPECT_NO_THROW(run_threads(3, impatient(), rank_main));
}

// What a stuck rank waits on: it is let go at the end of the test, so that no thread is left.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  int passed = 0;

  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return open; });
    ++passed;
    changed.notify_all();
  }
  void let_go() {
    std::unique_lock lock(mutex);
    open = true;
    changed.notify_all();
    changed.wait(lock, [&] { return passed == 1; });
  }
};

TEST(ThreadsFailure, ASilentRankIsNamedWithWhatItWasDoing) {
  const auto gate = std::make_shared<Gate>();
  const auto rank_main = [gate](Endpoint& endpoint) {
    double value = 1;
    endpoint.reduce({&value, 1}, ReduceOp::sum, 0, Deadline::never());
    if (endpoint.rank() == 1) gate->wait();
    endpoint.barrier(Deadline::never());
  };
  const auto start = std::chrono::steady_clock::now();
  try {
    run_threads(2, impatient(), rank_main);
    FAIL() << "nothing was thrown";
  } catch (const PeerLost& lost) {
    EXPECT_EQ(lost.rank(), 1);
    EXPECT_TRUE(contains(lost.what(), "rank 1 on ")) << lost.what();
    EXPECT_TRUE(contains(lost.what(), "last heard")) << lost.what();
    EXPECT_TRUE(contains(lost.what(), "reduce")) << lost.what();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  gate->let_go();
}

// Nobody waits for it but the end of the run.
TEST(ThreadsFailure, ARankSilentAtTheEndIsNamed) {
  const auto gate = std::make_shared<Gate>();
  const auto rank_main = [gate](Endpoint& endpoint) {
    if (endpoint.rank() == 2) gate->wait();
  };
  EXPECT_TRUE(contains(sentence_of([&] { run_threads(3, impatient(), rank_main); }), "rank 2 on "));
  gate->let_go();
}

TEST(ThreadsFailure, SurvivorsOfASilentRankAgreeAndGoOn) {
  const auto gate = std::make_shared<Gate>();
  std::atomic<int> agreed{0};
  const auto rank_main = [gate, &agreed](Endpoint& endpoint) {
    if (endpoint.rank() == 1) return gate->wait();
    double value = 1;
    EXPECT_THROW(endpoint.allreduce({&value, 1}, ReduceOp::sum, Deadline::never()), PeerLost);
    const auto survivors = endpoint.shrink({endpoint.now() + 30});
    value = 1;
    survivors->allreduce({&value, 1}, ReduceOp::sum, Deadline::never());
    agreed += value == 4 && survivors->members() == std::vector<int>({0, 2, 3, 4}) ? 1 : 0;
  };
  EXPECT_THROW(run_threads(5, impatient(), rank_main), PeerLost);
  EXPECT_EQ(agreed, 4);
  gate->let_go();
}

TEST(ThreadsFailure, AnExceptionIsToldThoughTheOthersOnlyCompute) {
  const auto rank_main = [](Endpoint& endpoint) {
    if (endpoint.rank() == 0) throw std::runtime_error("done for");
    const Time until = endpoint.now() + 0.3;
    while (endpoint.now() < until) endpoint.progress();
  };
  EXPECT_TRUE(contains(sentence_of([&] { run_threads(2, {}, rank_main); }), "rank 0 on "));
}

}  // namespace
}  // namespace muster
