// Programs that go on without a lost rank, for every transport that lets them. The rank to be lost works like the
// others until it throws, or until its node or its endpoint dies.
#pragma once

#include <stdexcept>

#include "conformance_tools.h"
#include "muster/error.h"

namespace muster::losses {

inline constexpr int kRanks = 5;
inline constexpr Tag kPush = 1, kAnswer = 2, kRegroup = 3;

struct Fate {
  int rank = 2;                // to be lost
  int throws_in_round = 1000;  // no sooner than it dies in another way
};

inline void work(Endpoint& e, const Fate& fate, int round) {
  if (e.rank() == fate.rank && round == fate.throws_in_round) throw std::runtime_error("its memory is full");
  e.charge({.bytes = 0, .flops = 1e6});
}

inline void expect_survivors(Endpoint& e, const Fate& fate) {
  const auto rest = e.shrink(conformance::soon(e));
  for (int round = 0; round < 3; ++round) {
    double sum = 1;
    rest->allreduce({&sum, 1}, ReduceOp::sum, conformance::soon(e));
    REQUIRE(sum == kRanks - 1);
  }
  for (const int member : rest->members()) REQUIRE(member != fate.rank);
}

// Runs until a peer is lost, which must be the one.
template <class Round>
void until_lost(const Fate& fate, Round one_round) {
  try {
    for (int round = 0;; ++round) one_round(round);
  } catch (const PeerLost& lost) {
    REQUIRE(lost.rank() == fate.rank);
  }
}

inline void collectives(Endpoint& e, const Fate& fate) {
  until_lost(fate, [&](int round) {
    work(e, fate, round);
    double sum = 1;
    e.allreduce({&sum, 1}, ReduceOp::sum, conformance::soon(e));
  });
  expect_survivors(e, fate);
}

// Everybody waits for anybody: each is told of the loss.
inline void from_anybody(Endpoint& e, const Fate& fate) {
  until_lost(fate, [&](int round) {
    work(e, fate, round);
    for (int to = 0; to < kRanks; ++to) {
      if (to != e.rank()) e.send(to, kPush, conformance::number(round));
    }
    for (int k = 1; k < kRanks; ++k) e.receive({{}, {kPush}}, conformance::soon(e));
  });
  expect_survivors(e, fate);
}

// A server answers whoever pushes, at the workers' own speeds; it alone is told, and calls the others together.
inline void asynchronous_server(Endpoint& e, const Fate& fate) {
  const int server = fate.rank == 0 ? 1 : 0;
  if (e.rank() == server) {
    until_lost(fate, [&](int) {
      const Message push = e.receive({{}, {kPush}}, conformance::soon(e));
      e.send(push.source, kAnswer, Buffer(64));
    });
    for (int to = 0; to < kRanks; ++to) {
      if (to != server && to != fate.rank) e.send(to, kRegroup, Buffer());
    }
  } else {
    Tag told = kAnswer;
    for (int round = 0; told != kRegroup; ++round) {
      for (int k = 0; k <= e.rank(); ++k) work(e, fate, round);
      e.send(server, kPush, Buffer(64));
      told = e.receive({{server}, {kAnswer, kRegroup}}, conformance::soon(e)).tag;
    }
  }
  expect_survivors(e, fate);
}

// Neighbours on a ring; who loses one tells its other neighbour, and so on around.
inline void ring(Endpoint& e, const Fate& fate) {
  const int next = (e.rank() + 1) % kRanks, before = (e.rank() + kRanks - 1) % kRanks;
  const auto pass_on = [&] {
    for (const int to : {next, before}) e.send(to, kRegroup, Buffer());
  };
  bool told = false;
  until_lost(fate, [&](int round) {
    work(e, fate, round);
    for (const int to : {next, before}) e.send(to, kPush, conformance::number(round));
    for (const int from : {next, before}) {
      if (e.receive({{from}, {kPush, kRegroup}}, conformance::soon(e)).tag != kRegroup) continue;
      told = true;
      throw PeerLost(fate.rank, "as a neighbour says");
    }
  });
  pass_on();
  REQUIRE(told || next == fate.rank || before == fate.rank);
  expect_survivors(e, fate);
}

struct Scenario {
  const char* name;
  void (*run)(Endpoint&, const Fate&);
};

inline constexpr Scenario kScenarios[] = {
    {"Collectives", collectives},
    {"FromAnybody", from_anybody},
    {"AsynchronousServer", asynchronous_server},
    {"Ring", ring},
};

}  // namespace muster::losses
