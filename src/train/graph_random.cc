#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "base/random.h"
#include "muster/error.h"
#include "train/graph.h"

namespace muster {
namespace {

// Numbers below a bound, one after another.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : stream_(seed, 0, RandomPurpose::random_graph) {}
  std::size_t below(std::size_t bound) {
    return static_cast<std::size_t>(stream_.uniform(next_++) * static_cast<double>(bound));
  }
  template <class Value>
  void shuffle(std::vector<Value>& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  RandomStream stream_;
  std::uint64_t next_ = 0;
};

std::uint64_t key(int a, int b) {
  return static_cast<std::uint64_t>(std::min(a, b)) << 32 | static_cast<std::uint32_t>(std::max(a, b));
}

// Pairs the nodes' stubs at random; pairs that would be a loop or a double edge go back and are paired anew. Empty
// where only such pairs are left.
std::vector<Edge> pair_stubs(int nodes, int degree, Dice& dice) {
  std::vector<int> stubs;
  for (int k = 0; k < nodes; ++k) stubs.insert(stubs.end(), static_cast<std::size_t>(degree), k);
  std::unordered_set<std::uint64_t> taken;
  std::vector<Edge> edges;
  for (int fruitless = 0; !stubs.empty() && fruitless < 30;) {
    dice.shuffle(stubs);
    std::vector<int> left;
    for (std::size_t i = 0; i + 1 < stubs.size(); i += 2) {
      const int a = stubs[i], b = stubs[i + 1];
      if (a != b && taken.insert(key(a, b)).second) {
        edges.push_back({std::min(a, b), std::max(a, b)});
      } else {
        left.insert(left.end(), {a, b});
      }
    }
    fruitless = left.size() == stubs.size() ? fruitless + 1 : 0;
    stubs = std::move(left);
  }
  return stubs.empty() ? edges : std::vector<Edge>{};
}

std::vector<Edge> complement(int nodes, const std::vector<Edge>& edges) {
  std::unordered_set<std::uint64_t> there;
  for (const Edge& edge : edges) there.insert(key(edge.from, edge.to));
  std::vector<Edge> others;
  for (int a = 0; a < nodes; ++a)
    for (int b = a + 1; b < nodes; ++b)
      if (!there.contains(key(a, b))) others.push_back({a, b});
  return others;
}

// By union of the edges' ends (disjoint sets, path halving).
bool connected(int nodes, const std::vector<Edge>& edges) {
  std::vector<int> parent(static_cast<std::size_t>(nodes));
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&](int k) {
    for (; parent[static_cast<std::size_t>(k)] != k; k = parent[static_cast<std::size_t>(k)])
      parent[static_cast<std::size_t>(k)] = parent[static_cast<std::size_t>(parent[static_cast<std::size_t>(k)])];
    return k;
  };
  int parts = nodes;
  for (const Edge& edge : edges) {
    const int a = root(edge.from), b = root(edge.to);
    if (a != b) parent[static_cast<std::size_t>(a)] = b, --parts;
  }
  return parts == 1;
}

}  // namespace

std::vector<Edge> random_regular_edges(int nodes, int degree, std::uint64_t seed) {
  constexpr int kAttempts = 20'000;  // two neighbours each: one graph in about √n is connected
  if (degree >= nodes)
    throw InputError(fmt::format("random-regular:{0} needs more than {0} nodes, not {1}", degree, nodes));
  if (std::int64_t{degree} * nodes % 2)
    throw InputError(fmt::format("random-regular:{} needs an even number of nodes, not {}", degree, nodes));
  if (degree == 1 && nodes > 2) throw InputError("random-regular:1 joins nodes in pairs, which is not connected");
  Dice dice(seed);
  const int others = nodes - 1 - degree;  // a dense graph is what a thin one leaves out
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const bool thin = degree <= others;
    const int paired_degree = thin ? degree : others;
    std::vector<Edge> edges = pair_stubs(nodes, paired_degree, dice);
    if (edges.empty() && paired_degree > 0) continue;
    if (!thin) edges = complement(nodes, edges);
    if (connected(nodes, edges)) return edges;
  }
  throw InputError(
      fmt::format("random-regular:{} with {} nodes: no connected graph in {} attempts; another --seed or "
                  "more neighbours may help",
                  degree, nodes, kAttempts));
}

}  // namespace muster
