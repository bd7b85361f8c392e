#include <algorithm>

#include "conformance_tools.h"
#include "muster/error.h"

namespace muster::conformance {

namespace {

double sum_over(Endpoint& e, double mine) {
  e.allreduce({&mine, 1}, ReduceOp::sum, soon(e));
  return mine;
}

void identity(Endpoint& e) {
  REQUIRE(e.rank() >= 0 && e.rank() < e.size());
  REQUIRE(static_cast<int>(e.members().size()) == e.size());
  REQUIRE(std::is_sorted(e.members().begin(), e.members().end()));
  REQUIRE(e.epoch() == 0);
  REQUIRE(!e.host(e.size() - 1).empty());
}

// Odd and even ranks, in reverse order; then each half once more in halves.
void split(Endpoint& e) {
  const auto half = e.split(e.rank() % 2, -e.rank());
  int same = 0, higher = 0, sum = 0;
  for (int r = 0; r < e.size(); ++r) {
    if (r % 2 != e.rank() % 2) continue;
    ++same;
    sum += r;
    higher += r > e.rank() ? 1 : 0;
  }
  REQUIRE(half->size() == same && half->rank() == higher);
  REQUIRE(sum_over(*half, e.rank()) == sum);

  const auto quarter = half->split(half->rank() / 2, half->rank());
  REQUIRE(quarter->size() <= 2 && quarter->rank() == half->rank() % 2);
  REQUIRE(sum_over(*quarter, 1) == quarter->size());
}

// Equal ranks and tags in different groups never meet.
void groups_apart(Endpoint& e) {
  const auto one = e.split(0, e.rank());
  const auto two = e.split(0, e.rank());
  const int next = (e.rank() + 1) % e.size();
  one->send(next, 1, number(1));
  two->send(next, 1, number(2));
  e.send(next, 1, number(3));
  REQUIRE(number(e.receive({{}, {1}}, soon(e)).payload) == 3);
  REQUIRE(number(two->receive({{}, {1}}, soon(e)).payload) == 2);
  REQUIRE(number(one->receive({{}, {1}}, soon(e)).payload) == 1);
}

void subgroup_traffic(Endpoint& e) {
  if (e.size() == 1) return;
  const auto group = e.split(0, e.rank());
  const Traffic before = e.traffic();
  group->send((e.rank() + 1) % e.size(), 1, Buffer(100));
  group->receive({{}, {1}}, soon(e));
  REQUIRE(group->traffic().messages_sent == 1);
  REQUIRE(e.traffic().messages_sent == before.messages_sent + 1);
  REQUIRE(e.traffic().bytes_sent == before.bytes_sent + group->traffic().bytes_sent);
}

// The last rank leaves with a cause: every rank that awaits it hears of it once, what it had sent arrives first, and
// the others go on in a group without it.
void close_and_shrink(Endpoint& e) {
  if (e.size() == 1) return;
  const auto group = e.split(0, e.rank());
  const int gone = e.size() - 1;
  if (e.rank() == gone) {
    for (int r = 0; r < gone; ++r) group->send(r, 1, number(9));
    group->flush(soon(e));
    group->close("its disk is full");
    group->close("twice is fine");
  } else {
    REQUIRE(number(group->receive({{gone}, {1}}, soon(e)).payload) == 9);
    const auto lost = expect_throw<PeerLost>([&] { group->receive({{}, {1}}, soon(e)); }, __FILE__, __LINE__);
    REQUIRE(lost.rank() == gone);
    REQUIRE(std::string(lost.what()).ends_with("its disk is full"));
    REQUIRE(std::string(lost.what()).find(e.host(gone)) != std::string::npos);
    if (e.size() > 2) {  // once: with others alive the next wait goes on to its deadline
      expect_throw<Timeout>([&] { group->receive({{}, {1}}, {e.now() + 0.02}); }, __FILE__, __LINE__);
    }
    double value = 0;
    expect_throw<PeerLost>([&] { group->allreduce({&value, 1}, ReduceOp::sum, soon(e)); }, __FILE__, __LINE__);
    group->send(gone, 1, number(1));  // dropped

    const auto survivors = group->shrink(soon(e));
    REQUIRE(survivors->rank() == e.rank() && survivors->size() == e.size());
    REQUIRE(survivors->epoch() == group->epoch() + 1);
    REQUIRE(static_cast<int>(survivors->members().size()) == e.size() - 1);
    REQUIRE(survivors->members().back() == gone - 1);
    REQUIRE(sum_over(*survivors, 1) == e.size() - 1);
  }
  e.barrier(soon(e));
}

// Two leave at different moments, one of them while the others already agree.
void shrink_twice(Endpoint& e) {
  if (e.size() < 4) return;
  const auto group = e.split(0, e.rank());
  if (e.rank() >= 2) {
    const auto first = e.rank() == 2 ? nullptr : group->shrink(soon(e));
    if (e.rank() == 2) group->close("first");
    if (e.rank() == 3) first->close("second");
    if (e.rank() > 3) {
      const auto second = first->shrink(soon(e));
      REQUIRE(sum_over(*second, 1) == e.size() - 2);
    }
  } else {
    expect_throw<PeerLost>([&] { group->receive({{2}, {1}}, soon(e)); }, __FILE__, __LINE__);
    const auto first = group->shrink(soon(e));
    REQUIRE(!std::binary_search(first->members().begin(), first->members().end(), 2));
    expect_throw<PeerLost>([&] { first->receive({{3}, {1}}, soon(e)); }, __FILE__, __LINE__);
    const auto second = first->shrink(soon(e));
    REQUIRE(second->epoch() == 2);
    REQUIRE(sum_over(*second, 1) == e.size() - 2);
  }
  e.barrier(soon(e));
}

// Odd and even ranks part; a loss among the odd ones is nothing to the even.
void subset(Endpoint& e) {
  const auto group = e.split(0, e.rank());
  std::vector<int> half;
  for (int r = e.rank() % 2; r < e.size(); r += 2) half.push_back(r);
  const auto part = group->subset(half);
  REQUIRE(part->rank() == e.rank() && part->size() == e.size() && part->members() == half);
  REQUIRE(part->epoch() == group->epoch() + 1);
  const int count = static_cast<int>(half.size());
  REQUIRE(sum_over(*part, 1) == count);
  if (e.rank() % 2 == 0 || count == 1) {
    REQUIRE(sum_over(*part, 1) == count);
  } else if (e.rank() == half.back()) {
    for (int k = 1; k < count; ++k) part->receive({{}, {1}}, soon(e));  // all are through with the sum above
    part->close("its disk is full");
  } else {
    part->send(half.back(), 1, number(1));
    double value = 0;
    expect_throw<PeerLost>([&] { part->allreduce({&value, 1}, ReduceOp::sum, soon(e)); }, __FILE__, __LINE__);
    const auto rest = part->shrink(soon(e));
    REQUIRE(rest->rank() == e.rank() && sum_over(*rest, 1) == count - 1);
  }
  e.barrier(soon(e));
}

// A rank that leaves in good order fails only a wait that can never end well.
void leave_in_good_order(Endpoint& e) {
  if (e.size() < 3) return;
  const auto group = e.split(0, e.rank());
  if (e.rank() == 2) {
    group->send(0, 1, number(5));
    group->close();
  } else if (e.rank() == 1) {
    expect_throw<PeerLost>([&] { group->receive({{2}, {1}}, soon(e)); }, __FILE__, __LINE__);
    group->send(0, 2, number(6));
  } else if (e.rank() == 0) {
    REQUIRE(number(group->receive({{1}, {2}}, soon(e)).payload) == 6);
    expect_throw<Timeout>([&] { group->receive({{1, 2}, {3}}, {e.now() + 0.02}); }, __FILE__, __LINE__);
    REQUIRE(number(group->receive({{2}, {1}}, soon(e)).payload) == 5);
  }
  e.barrier(soon(e));
}

}  // namespace

const std::vector<Check>& group_checks() {
  static const std::vector<Check> checks = {
      {"Identity", identity},
      {"Split", split},
      {"GroupsApart", groups_apart},
      {"SubgroupTraffic", subgroup_traffic},
      {"CloseAndShrink", close_and_shrink},
      {"ShrinkTwice", shrink_twice},
      {"Subset", subset},
      {"LeaveInGoodOrder", leave_in_good_order},
  };
  return checks;
}

}  // namespace muster::conformance
