// Collectives over shared memory, beyond what conformance.h asks of every transport.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/double_double.h"
#include "cluster/board_collectives.h"
#include "cluster/threads/threads_launch.h"
#include "cluster/tree_sum.h"
#include "muster/error.h"

namespace muster {
namespace {

std::vector<double> of_member(int member, std::size_t count) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = std::ldexp(std::sin(1.0 + static_cast<double>(i) + 100.0 * member), (member * 7) % 30);
  }
  return values;
}

TEST(TreeSum, AddsNeighboursThenNeighboursOfPairs) {
  constexpr std::size_t kCount = 1001, kMost = 20;  // more than a block
  const std::pair<ReduceOp, double (*)(double, double)> ops[] = {
      {ReduceOp::sum, [](double a, double b) { return a + b; }},
      {ReduceOp::min, [](double a, double b) { return a < b ? a : b; }},
      {ReduceOp::max, [](double a, double b) { return a < b ? b : a; }}};
  std::vector<std::vector<double>> values;
  std::vector<const double*> sources;
  for (std::size_t members = 1; members <= kMost; ++members) {
    values.push_back(of_member(static_cast<int>(members), kCount));
    sources.push_back(values.back().data());
    for (const auto& [op, together] : ops) {
      std::vector<double> one(kCount), other(kCount);
      double* const outs[] = {one.data(), other.data()};
      tree_sum(sources, outs, kCount, op);
      for (std::size_t i = 0; i < kCount; ++i) {
        std::vector<double> row;
        for (const auto& of_one : values) row.push_back(of_one[i]);
        while (row.size() > 1) {
          std::vector<double> pairs;
          for (std::size_t k = 0; k + 1 < row.size(); k += 2) pairs.push_back(together(row[k], row[k + 1]));
          if (row.size() % 2 == 1) pairs.push_back(row.back());
          row = pairs;
        }
        ASSERT_EQ(one[i], row[0]) << members << " members, " << i;
      }
      EXPECT_EQ(one, other);
    }
  }
}

TEST(TreeSum, CombinesInPlace) {
  const std::vector<double> a = {1, 5, -3, 0}, b = {2, 4, -4, 0x1p-70};
  const auto combined = [&](ReduceOp op) {
    std::vector<double> values = a;
    combine(values, b, op);
    return values;
  };
  EXPECT_EQ(combined(ReduceOp::sum), (std::vector<double>{3, 9, -7, 0x1p-70}));
  EXPECT_EQ(combined(ReduceOp::min), (std::vector<double>{1, 4, -4, 0}));
  EXPECT_EQ(combined(ReduceOp::max), (std::vector<double>{2, 5, -3, 0x1p-70}));
  EXPECT_EQ(combined(ReduceOp::sum_double_double)[0], 3 + 9.0);
  EXPECT_EQ(combined(ReduceOp::sum_double_double)[3], 0x1p-70);
}

TEST(TreeSum, AnOutMayBeASource) {
  std::vector<double> a = {1, 2, 3}, b = {10, 20, 30}, c = {100, 200, 300};
  const double* const sources[] = {a.data(), b.data(), c.data()};
  double* const outs[] = {c.data(), a.data()};
  tree_sum(sources, outs, 3, ReduceOp::sum);
  EXPECT_EQ(a, (std::vector<double>{111, 222, 333}));
  EXPECT_EQ(c, a);
  EXPECT_EQ(b, (std::vector<double>{10, 20, 30}));
}

TEST(TreeSum, KeepsTheLowPartsOfPairs) {
  const std::vector<double> a = {1, 0x1p-60}, b = {0x1p-80, 0}, c = {-1, 0};
  const double* const sources[] = {a.data(), b.data(), c.data()};
  std::vector<double> sum(2);
  double* const out = sum.data();
  tree_sum(sources, {&out, 1}, 2, ReduceOp::sum_double_double);
  EXPECT_EQ(sum[0], 0x1p-60 + 0x1p-80);
}

// Members that share nothing but the board: what processes do, whose pieces go through slots.
void as_processes(int members, std::size_t slot_values, const std::function<void(int, BoardCollectives&)>& member) {
  class Yields final : public BoardPatience {
   public:
    void wait(const std::function<bool()>& here, const std::function<bool(int)>&) override {
      while (!here()) std::this_thread::yield();
    }
    void wake(int) override {}
  };
  const std::size_t bytes = SharedBoard::bytes_of_member(slot_values);
  std::vector<std::vector<BoardPlace>> memory;
  std::vector<std::byte*> starts;
  for (int m = 0; m < members; ++m) {
    memory.emplace_back(bytes / sizeof(BoardPlace) + 1);
    starts.push_back(reinterpret_cast<std::byte*>(memory.back().data()));
    SharedBoard::make_place(starts.back());
  }
  std::vector<std::thread> threads;
  for (int m = 0; m < members; ++m) {
    threads.emplace_back([&, m] {
      Yields patience;
      BoardCollectives own(std::make_shared<SharedBoard>(starts, nullptr, slot_values, false), m, patience);
      member(m, own);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(BoardCollectives, PiecesGoThroughSlotsInTheOrderOfTheTree) {
  constexpr std::size_t kSlotValues = 16;
  for (const int members : {2, 3, 7}) {  // more than there are processors: they are stopped anywhere
    std::vector<std::vector<double>> parts;
    for (int m = 0; m < members; ++m) parts.push_back(of_member(m, 1000));
    std::vector<const double*> sources;
    for (const auto& part : parts) sources.push_back(part.data());
    std::vector<double> sum(1000);
    double* const out = sum.data();
    tree_sum(sources, {&out, 1}, 1000, ReduceOp::sum);
    std::atomic<int> wrong{0};
    as_processes(members, kSlotValues, [&](int m, BoardCollectives& board) {
      for (const std::size_t count : {1, 16, 17, 300, 1000}) {  // to 63 pieces through four slots
        const auto begin = parts[static_cast<std::size_t>(m)].begin();
        std::vector<double> values(begin, begin + static_cast<std::ptrdiff_t>(count));
        board.allreduce(values, ReduceOp::sum);
        wrong += std::equal(values.begin(), values.end(), sum.begin()) ? 0 : 1;
        for (int root = 0; root < members; ++root) {
          std::copy_n(begin, count, values.begin());
          board.reduce(values, ReduceOp::sum, root);
          wrong += m != root || std::equal(values.begin(), values.end(), sum.begin()) ? 0 : 1;
          std::copy_n(begin, count, values.begin());
          board.broadcast(values, root);
          wrong += std::equal(values.begin(), values.end(), parts[static_cast<std::size_t>(root)].begin()) ? 0 : 1;
        }
      }
      board.barrier();
    });
    EXPECT_EQ(wrong, 0) << members;
  }
}

// As docs/MODES.md says: a message for each of the others that reads from here, or whose values are written from here.
TEST(BoardCollectives, TrafficIsWhatOthersReadAndAreGiven) {
  constexpr std::int64_t kHeader = 32, kFew = 10, kMany = 30'000, kOthers = 2;
  const auto rank_main = [&](Endpoint& endpoint) {
    const auto sent = [&](const auto& collective) {
      const Traffic before = endpoint.traffic();
      collective();
      const Traffic now = endpoint.traffic();
      return std::pair<std::int64_t, std::int64_t>(now.bytes_sent - before.bytes_sent,
                                                   now.messages_sent - before.messages_sent);
    };
    const auto of = [](std::int64_t messages, std::int64_t bytes) {
      return std::pair<std::int64_t, std::int64_t>(messages * (bytes + kHeader), messages);
    };
    const Deadline never = Deadline::never();
    std::vector<double> few(kFew), many(kMany);
    EXPECT_EQ(sent([&] { endpoint.allreduce(few, ReduceOp::sum, never); }), of(kOthers, 8 * kFew));
    EXPECT_EQ(sent([&] { endpoint.allreduce(many, ReduceOp::sum, never); }), of(2 * kOthers, 8 * kMany / 3));
    const bool root = endpoint.rank() == 1;
    EXPECT_EQ(sent([&] { endpoint.broadcast(few, 1, never); }), root ? of(kOthers, 8 * kFew) : of(0, 0));
    EXPECT_EQ(sent([&] { endpoint.reduce(few, ReduceOp::sum, 1, never); }), root ? of(0, 0) : of(1, 8 * kFew));
    EXPECT_EQ(sent([&] { endpoint.barrier(never); }), of(kOthers, 0));
  };
  run_threads(3, {}, rank_main);
}

// Threads read and write each other's values. One that gives up takes its own with it: nobody writes there afterwards.
TEST(BoardCollectives, AThreadThatGivesUpTakesItsValuesBack) {
  constexpr std::size_t kCount = 200'000;
  std::atomic<int> given_up{0}, touched{0};
  const auto rank_main = [&](Endpoint& endpoint) {
    for (int turn = 0; turn < 8; ++turn) {
      const auto group = endpoint.split(0, endpoint.rank());
      std::vector<double> values(kCount, 1);
      if (endpoint.rank() == 2) {
        while (given_up < turn + 1) endpoint.progress();  // comes when one has gone
      }
      try {
        const double patience = endpoint.rank() == 0 ? 1e-4 : 0.02;
        group->allreduce(values, ReduceOp::sum, {endpoint.now() + patience});
      } catch (const Timeout&) {
        std::fill(values.begin(), values.end(), -1.0);
        if (endpoint.rank() == 0) ++given_up;
      }
      endpoint.barrier(Deadline::never());
      for (const double value : values) touched += value == -1 ? 0 : 1;
    }
  };
  run_threads(3, {}, rank_main);
  EXPECT_EQ(given_up, 8);
  EXPECT_EQ(touched, 0);
}

}  // namespace
}  // namespace muster
