#include "train/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "muster/error.h"
#include "train/topology_data.h"

namespace muster {
namespace {

constexpr double kRounding = 1e-12;

std::size_t index(int node) {
  return static_cast<std::size_t>(node);
}

void set_flags(Topology::Data& data, bool directed) {
  data.symmetric = !directed;
  data.row_stochastic = data.column_stochastic = true;
  for (const MixingRound& round : data.rounds) {
    for (const MixingRow& row : round.rows) {
      double in = row.self, out = row.self;
      for (const WeightedNeighbour& n : row.in) in += n.weight;
      for (const WeightedNeighbour& n : row.out) out += n.weight;
      data.row_stochastic &= std::abs(in - 1) <= kRounding;
      data.column_stochastic &= std::abs(out - 1) <= kRounding;
    }
  }
}

// Tarjan's strongly connected components (SIAM J. Comput. 1, 1972), with a stack of its own: a line of 10,000 nodes
// would be 10,000 calls deep. A node's successors are those of all rounds.
class Components {
 public:
  explicit Components(const Topology& topology) : topology_(topology), states_(index(topology.nodes())) {}

  std::vector<std::vector<int>> find() {
    for (int k = 0; k < topology_.nodes(); ++k)
      if (topology_.living(k) && states_[index(k)].order < 0) visit(k);
    for (std::vector<int>& part : found_) std::sort(part.begin(), part.end());
    std::sort(found_.begin(), found_.end(), [](const auto& a, const auto& b) {
      return a.size() != b.size() ? a.size() > b.size() : a.front() < b.front();
    });
    return std::move(found_);
  }

 private:
  struct State {
    int order = -1, low = 0;
    int round = 0;  // where the walk over the successors is
    std::size_t neighbour = 0;
    bool on_stack = false;
  };

  void enter(int k) {
    State& state = states_[index(k)];
    state.order = state.low = next_++;
    state.on_stack = true;
    stack_.push_back(k);
    path_.push_back(k);
  }

  // The next successor of k, or -1.
  int successor(int k) {
    State& state = states_[index(k)];
    for (; state.round < topology_.period(); ++state.round, state.neighbour = 0) {
      const auto out = topology_.row(k, state.round).out;
      if (state.neighbour < out.size()) return out[state.neighbour++].node;
    }
    return -1;
  }

  void visit(int root) {
    enter(root);
    while (!path_.empty()) {
      const int k = path_.back(), next = successor(k);
      if (next < 0) {
        leave(k);
      } else if (states_[index(next)].order < 0) {
        enter(next);
      } else if (states_[index(next)].on_stack) {
        states_[index(k)].low = std::min(states_[index(k)].low, states_[index(next)].order);
      }
    }
  }

  void leave(int k) {
    path_.pop_back();
    const State& state = states_[index(k)];
    if (!path_.empty()) states_[index(path_.back())].low = std::min(states_[index(path_.back())].low, state.low);
    if (state.low != state.order) return;
    std::vector<int> part;
    do {
      part.push_back(stack_.back());
      states_[index(stack_.back())].on_stack = false;
      stack_.pop_back();
    } while (part.back() != k);
    found_.push_back(std::move(part));
  }

  const Topology& topology_;
  std::vector<State> states_;
  std::vector<int> stack_, path_;
  int next_ = 0;
  std::vector<std::vector<int>> found_;
};

}  // namespace

Topology::Topology(Data data) {
  set_flags(data, !data.symmetric);
  data_ = std::make_shared<const Data>(std::move(data));
}

int Topology::nodes() const {
  return static_cast<int>(data_->dead.size());
}
const std::string& Topology::name() const {
  return data_->name;
}
std::string Topology::weights_name() const {
  return data_->weights_name;
}
bool Topology::living(int node) const {
  return !data_->dead[index(node)];
}
int Topology::period() const {
  return static_cast<int>(data_->rounds.size());
}
bool Topology::symmetric() const {
  return data_->symmetric;
}
bool Topology::doubly_stochastic() const {
  return data_->row_stochastic && data_->column_stochastic;
}
bool Topology::row_stochastic() const {
  return data_->row_stochastic;
}
bool Topology::column_stochastic() const {
  return data_->column_stochastic;
}
const MixingRow& Topology::row(int node, std::int64_t round) const {
  return data_->rounds[static_cast<std::size_t>(round) % data_->rounds.size()].rows[index(node)];
}
const std::string& Topology::note() const {
  return data_->note;
}

Topology Topology::without(std::span<const int> gone) const {
  Data data{name(), weights_name(), note(), data_->dead, {}, symmetric()};
  for (const int node : gone) {
    MUSTER_CHECK(node >= 0 && node < nodes() && living(node), "a node that is there can be left out");
    data.dead[index(node)] = true;
  }
  for (const MixingRound& round : data_->rounds) {
    std::vector<Edge> edges;
    std::vector<double> weights, selves(index(nodes()), 1.0);
    for (int k = 0; k < nodes(); ++k) {
      if (data.dead[index(k)]) continue;
      const MixingRow& row = round.rows[index(k)];
      // Symmetric: what went to dead nodes stays at home. Directed: the rest of the column (or row) grows to 1.
      const bool by_column = column_stochastic();
      double lost = 0;
      for (const WeightedNeighbour& n : by_column ? row.out : row.in)
        if (data.dead[index(n.node)]) lost += n.weight;
      const bool alone = 1 - lost <= kRounding;
      const double factor = symmetric() || alone ? 1 : 1 / (1 - lost);
      selves[index(k)] = alone ? 1 : symmetric() ? row.self + lost : row.self * factor;
      for (const WeightedNeighbour& n : by_column ? row.out : row.in) {
        if (data.dead[index(n.node)] || (symmetric() && n.node < k)) continue;
        edges.push_back(by_column ? Edge{k, n.node} : Edge{n.node, k});
        weights.push_back(n.weight * factor);
      }
    }
    data.rounds.push_back(make_round(nodes(), edges, weights, selves, !symmetric()));
  }
  return Topology(std::move(data));
}

std::vector<std::vector<int>> Topology::components() const {
  return Components(*this).find();
}

namespace {

// "0-3,7", cut short after a few ranges.
std::string ranges(const std::vector<int>& nodes) {
  constexpr int kMost = 8;
  std::string text;
  int count = 0;
  for (std::size_t i = 0, end = 0; i < nodes.size(); i = end) {
    for (end = i + 1; end < nodes.size() && nodes[end] == nodes[end - 1] + 1;) ++end;
    if (++count > kMost) return fmt::format("{},... ({} nodes)", text, nodes.size());
    text += fmt::format("{}{}", text.empty() ? "" : ",", nodes[i]);
    if (end > i + 1) text += fmt::format("-{}", nodes[end - 1]);
  }
  return text;
}

}  // namespace

std::string describe_components(const std::vector<std::vector<int>>& components) {
  constexpr std::size_t kMost = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, components.size()); ++i) text += (i ? " | " : "") + ranges(components[i]);
  if (components.size() > kMost) text += fmt::format(" | ... ({} in all)", components.size());
  return text;
}

void check_connected(const Topology& topology) {
  const auto components = topology.components();
  if (components.size() > 1)
    throw InputError(
        fmt::format("the topology {} is not strongly connected, so its nodes can not agree; its parts are {}",
                    topology.name(), describe_components(components)));
}

int cycle_period(const Topology& topology) {
  constexpr double kNone = 1e-9;  // a weight that is rounding of a file's decimals
  std::vector<int> level(index(topology.nodes()), -1), part_of(index(topology.nodes()), -1), queue;
  int largest = 1, number = 0;
  for (const std::vector<int>& part : topology.components()) {
    for (int k : part) part_of[index(k)] = number;
    queue.assign(1, part.front());
    level[index(part.front())] = 0;
    int divisor = part.size() > 1 ? 0 : 1;
    for (std::size_t at = 0; at < queue.size() && divisor != 1; ++at) {
      const int k = queue[at];
      if (topology.row(k).self > kNone) divisor = 1;
      for (const WeightedNeighbour& n : topology.row(k).out) {
        if (part_of[index(n.node)] != number) continue;
        if (level[index(n.node)] < 0) level[index(n.node)] = level[index(k)] + 1, queue.push_back(n.node);
        divisor = std::gcd(divisor, level[index(k)] + 1 - level[index(n.node)]);
      }
    }
    largest = std::max(largest, divisor);
    ++number;
  }
  return largest;
}

}  // namespace muster
