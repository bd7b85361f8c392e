#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/double_double.h"
#include "cluster/collectives.h"
#include "cluster/mailbox.h"
#include "conformance_tools.h"
#include "muster/error.h"

namespace muster::conformance {

namespace {

// Up to more than what the slots of a shared board hold (cluster/shared_board.h).
const std::vector<std::size_t> kLengths = {0, 2, 4, 1000, 3000, 70'002};

// Rank r's contribution: of mixed sign and size, so that every order of addition rounds differently.
std::vector<double> contribution(int rank, std::size_t length, bool pairs) {
  std::vector<double> values(length);
  for (std::size_t i = 0; i < length; ++i) {
    const double x = std::sin(1.0 + static_cast<double>(i * 7 + static_cast<std::size_t>(rank) * 131));
    values[i] = std::ldexp(x, static_cast<int>((i + static_cast<std::size_t>(rank) * 5) % 40) - 20);
  }
  for (std::size_t i = 0; pairs && i + 1 < length; i += 2) {
    const DoubleDouble pair = two_sum(values[i], values[i + 1] * 0x1p-60);
    values[i] = pair.high;
    values[i + 1] = pair.low;
  }
  return values;
}

double apply(double a, double b, ReduceOp op) {
  if (op == ReduceOp::min) return std::min(a, b);
  if (op == ReduceOp::max) return std::max(a, b);
  return a + b;
}

std::vector<double> combined(std::vector<double> a, const std::vector<double>& b, ReduceOp op) {
  if (op != ReduceOp::sum_double_double) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = apply(a[i], b[i], op);
    return a;
  }
  for (std::size_t i = 0; i < a.size(); i += 2) {
    const DoubleDouble sum = DoubleDouble(a[i], a[i + 1]) + DoubleDouble(b[i], b[i + 1]);
    a[i] = sum.high;
    a[i + 1] = sum.low;
  }
  return a;
}

// The binomial tree by hand: neighbours, then neighbours of pairs, and so on.
std::vector<double> tree_sum(std::vector<std::vector<double>> parts, ReduceOp op) {
  while (parts.size() > 1) {
    std::vector<std::vector<double>> halved;
    for (std::size_t i = 0; i < parts.size(); i += 2) {
      halved.push_back(i + 1 < parts.size() ? combined(parts[i], parts[i + 1], op) : parts[i]);
    }
    parts = std::move(halved);
  }
  return parts[0];
}

std::vector<double> expected(const Endpoint& e, std::size_t length, ReduceOp op) {
  std::vector<std::vector<double>> parts;
  for (const int member : e.members()) parts.push_back(contribution(member, length, op == ReduceOp::sum_double_double));
  return tree_sum(std::move(parts), op);
}

bool equal_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

// Right to a few roundings of the largest summand, or of double-double's unit where pairs are summed.
bool close(const std::vector<double>& a, const std::vector<double>& b, ReduceOp op) {
  const bool pairs = op == ReduceOp::sum_double_double;
  const double unit = pairs ? 0x1p-98 : 0x1p-48;
  for (std::size_t i = 0; i < a.size(); i += pairs ? 2 : 1) {
    const double difference =
        pairs ? static_cast<double>(DoubleDouble(a[i], a[i + 1]) - DoubleDouble(b[i], b[i + 1])) : a[i] - b[i];
    if (!(std::abs(difference) <= unit * 0x1p20)) return false;
  }
  return true;
}

void check_sum(const std::vector<double>& got, const Endpoint& e, ReduceOp op) {
  REQUIRE(equal_bits(got, expected(e, got.size(), op)));
}

constexpr ReduceOp kOps[] = {ReduceOp::sum, ReduceOp::sum_double_double, ReduceOp::min, ReduceOp::max};

std::vector<double> mine(const Endpoint& e, std::size_t length, ReduceOp op) {
  return contribution(e.rank(), length, op == ReduceOp::sum_double_double);
}

void broadcast(Endpoint& e) {
  for (const std::size_t length : kLengths) {
    for (const int root : e.members()) {
      std::vector<double> values = contribution(e.rank(), length, false);
      e.broadcast(values, root, soon(e));
      REQUIRE(equal_bits(values, contribution(root, length, false)));
    }
  }
}

void reduce(Endpoint& e) {
  for (const std::size_t length : kLengths) {
    for (const ReduceOp op : kOps) {
      for (const int root : {e.members().front(), e.members().back()}) {
        std::vector<double> values = mine(e, length, op);
        e.reduce(values, op, root, soon(e));
        if (e.rank() == root) check_sum(values, e, op);
      }
    }
  }
}

void allreduce(Endpoint& e) {
  for (const std::size_t length : kLengths) {
    for (const ReduceOp op : kOps) {
      std::vector<double> values = mine(e, length, op);
      e.allreduce(values, op, soon(e));
      check_sum(values, e, op);
      std::vector<double> at_first = values;
      e.broadcast(at_first, e.members().front(), soon(e));
      REQUIRE(equal_bits(values, at_first));
    }
  }
}

// Values and messages of member p (of m) in one allreduce of n values, by the definitions of the patterns.
struct Sent {
  std::size_t values, messages;
};
Sent sent_in_star(std::size_t n, std::size_t m, std::size_t p) {
  if (m == 1) return {0, 0};
  return p == 0 ? Sent{n * (m - 1), m - 1} : Sent{n, 1};
}
Sent sent_in_tree(std::size_t n, std::size_t m, std::size_t p) {  // to the parent; to every child
  std::size_t messages = p == 0 ? 0 : 1;
  for (std::size_t bit = 1; p + bit < m && (p & bit) == 0; bit <<= 1) ++messages;
  return {n * messages, messages};
}
Sent sent_in_ring(std::size_t n, std::size_t m, std::size_t p) {  // all parts but one, twice
  const auto part = [&](std::size_t q) { return n * (q % m + 1) / m - n * (q % m) / m; };
  return {2 * n - part(p + 1) - part(p + 2), 2 * (m - 1)};
}

std::vector<double> star_sum(const Endpoint& e, std::size_t length, ReduceOp op) {
  std::vector<double> sum;
  for (const int member : e.members()) {
    const std::vector<double> part = contribution(member, length, op == ReduceOp::sum_double_double);
    sum = member == e.members().front() ? part : combined(sum, part, op);
  }
  return sum;
}

void patterns(Endpoint& e) {
  const auto m = e.members().size();
  const auto p =
      static_cast<std::size_t>(std::find(e.members().begin(), e.members().end(), e.rank()) - e.members().begin());
  for (const std::size_t length : kLengths) {
    for (const ReduceOp op : kOps) {
      for (const auto& [pattern, sent] : {std::pair{ReducePattern::star, sent_in_star(length, m, p)},
                                          {ReducePattern::tree, sent_in_tree(length, m, p)},
                                          {ReducePattern::ring, sent_in_ring(length, m, p)}}) {
        std::vector<double> values = mine(e, length, op);
        e.flush(soon(e));
        const Traffic before = e.traffic();
        muster::allreduce(e, pattern, values, op, soon(e));
        e.flush(soon(e));
        const Traffic after = e.traffic();
        if (pattern == ReducePattern::star) REQUIRE(equal_bits(values, star_sum(e, length, op)));
        REQUIRE(close(values, expected(e, values.size(), op), op));
        if (pattern == ReducePattern::tree) check_sum(values, e, op);
        REQUIRE(static_cast<std::size_t>(after.messages_sent - before.messages_sent) == sent.messages);
        if (op == ReduceOp::sum)
          REQUIRE(static_cast<std::size_t>(after.bytes_sent - before.bytes_sent) ==
                  sent.values * sizeof(double) + sent.messages * kHeaderBytes);
        std::vector<double> at_first = values;
        e.broadcast(at_first, e.members().front(), soon(e));
        REQUIRE(equal_bits(values, at_first));
      }
    }
  }
}

// Ranks arrive in changing orders, far apart; the sum keeps its bits.
void order_of_addition(Endpoint& e) {
  for (int turn = 0; turn < 4; ++turn) {
    const Time until = e.now() + 0.004 * ((e.rank() * 3 + turn * 5) % 7);
    while (e.now() < until) e.progress();
    std::vector<double> values = mine(e, 64, ReduceOp::sum);
    e.allreduce(values, ReduceOp::sum, soon(e));
    REQUIRE(equal_bits(values, expected(e, 64, ReduceOp::sum)));
  }
}

// Of several at once in flight, each with its own values: ranks run ahead of each other as far as they can.
void successive(Endpoint& e) {
  for (int i = 0; i < 50; ++i) {
    double value = i * 1000 + e.rank();
    const int root = e.members()[static_cast<std::size_t>(i) % e.members().size()];
    e.broadcast({&value, 1}, root, soon(e));
    REQUIRE(value == i * 1000 + root);
    double sum = i;
    e.reduce({&sum, 1}, ReduceOp::sum, root, soon(e));
    if (e.rank() == root) REQUIRE(sum == i * static_cast<double>(e.members().size()));
  }
}

void gather(Endpoint& e) {
  for (const int root : e.members()) {
    Buffer buffer(static_cast<std::size_t>(e.rank()) * 1500);
    std::fill(buffer.as<char>().begin(), buffer.as<char>().end(), static_cast<char>('a' + e.rank()));
    const std::vector<Buffer> all = e.gather(std::move(buffer), root, soon(e));
    REQUIRE(all.size() == (e.rank() == root ? e.members().size() : 0));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const int member = e.members()[i];
      REQUIRE(all[i].text() == std::string(static_cast<std::size_t>(member) * 1500, static_cast<char>('a' + member)));
    }
  }
}

// No rank leaves before the last has come: what each sends before is there after.
void barrier(Endpoint& e) {
  for (int turn = 0; turn < 5; ++turn) {
    const Time until = e.now() + 0.002 * ((e.rank() + turn) % 3);
    while (e.now() < until) e.progress();
    const Time came = e.now();
    e.barrier(soon(e));
    const Time left = e.now();
    // One clock serves all ranks of one machine.
    double latest = came, earliest = left;
    e.allreduce({&latest, 1}, ReduceOp::max, soon(e));
    e.allreduce({&earliest, 1}, ReduceOp::min, soon(e));
    REQUIRE(earliest >= latest);
  }
}

// A collective gives up at its deadline, where somebody does not come; the group is then of no use for others.
void collective_deadline(Endpoint& e) {
  if (e.size() == 1) return;
  const auto group = e.split(0, e.rank());
  if (e.rank() != 0) {
    double value = 1;
    expect_throw<Timeout>([&] { group->broadcast({&value, 1}, 0, {e.now() + 0.05}); }, __FILE__, __LINE__);
    expect_throw<ClusterError>([&] { group->broadcast({&value, 1}, 0, soon(e)); }, __FILE__, __LINE__);
  }
  e.barrier(soon(e));
}

}  // namespace

const std::vector<Check>& collective_checks() {
  static const std::vector<Check> checks = {
      {"Broadcast", broadcast},
      {"Reduce", reduce},
      {"Allreduce", allreduce},
      {"Patterns", patterns},
      {"OrderOfAddition", order_of_addition},
      {"Successive", successive},
      {"Gather", gather},
      {"Barrier", barrier},
      {"CollectiveDeadline", collective_deadline},
  };
  return checks;
}

}  // namespace muster::conformance
