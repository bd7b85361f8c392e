// From a graph to W.
//
//     metropolis     W_ij = 1/(1 + max(d_i, d_j)),  W_ii = 1 − Σ_j W_ij
//     lazy           (I + W)/2 of that: no eigenvalue below 0
//     uniform        W_ij = 1/(1 + d): a node's value goes in equal parts to itself and its neighbours
//     file           as given
//
// An undirected W must be doubly stochastic, so that averaging preserves the mean; `uniform` is only where all degrees
// are equal. On a directed graph `uniform` makes the columns sum to 1, which push-sum needs.
//
// Sources: L. Xiao, S. Boyd, "Fast linear iterations for distributed averaging", Systems & Control Letters 53 (2004);
// D. Kempe, A. Dobra, J. Gehrke, FOCS 2003, for push-sum.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "muster/error.h"
#include "train/topology_data.h"

namespace muster {
namespace {

std::size_t index(int node) {
  return static_cast<std::size_t>(node);
}

// Sorted by row, as offsets into one array; row_of and column_of name an edge's place.
void fill_rows(int nodes, const std::vector<Edge>& edges, const std::vector<double>& weights, bool by_from, bool both,
               std::vector<WeightedNeighbour>& entries, std::vector<std::size_t>& offsets) {
  offsets.assign(index(nodes) + 1, 0);
  for (const Edge& edge : edges) {
    ++offsets[index(by_from ? edge.from : edge.to) + 1];
    if (both) ++offsets[index(by_from ? edge.to : edge.from) + 1];
  }
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
  entries.resize(offsets.back());
  std::vector<std::size_t> next(offsets.begin(), offsets.end() - 1);
  for (std::size_t e = 0; e < edges.size(); ++e) {
    const int row = by_from ? edges[e].from : edges[e].to, column = by_from ? edges[e].to : edges[e].from;
    entries[next[index(row)]++] = {column, weights[e]};
    if (both) entries[next[index(column)]++] = {row, weights[e]};
  }
  const auto before = [](const WeightedNeighbour& a, const WeightedNeighbour& b) { return a.node < b.node; };
  for (int k = 0; k < nodes; ++k) {
    const auto begin = entries.begin() + static_cast<std::ptrdiff_t>(offsets[index(k)]);
    const auto end = entries.begin() + static_cast<std::ptrdiff_t>(offsets[index(k) + 1]);
    if (!std::is_sorted(begin, end, before)) std::sort(begin, end, before);
  }
}

std::span<const WeightedNeighbour> row_of(const std::vector<WeightedNeighbour>& entries,
                                          const std::vector<std::size_t>& offsets, int k) {
  return std::span(entries).subspan(offsets[index(k)], offsets[index(k) + 1] - offsets[index(k)]);
}

// What is missing from 1 in each row of W; by_column: in each column.
std::vector<double> rest_to_one(int nodes, const std::vector<Edge>& edges, const std::vector<double>& weights,
                                bool directed) {
  std::vector<double> sums(index(nodes), 0.0);
  for (std::size_t e = 0; e < edges.size(); ++e) {
    sums[index(edges[e].from)] += weights[e];
    if (!directed) sums[index(edges[e].to)] += weights[e];
  }
  for (double& sum : sums) sum = 1 - sum;
  return sums;
}

std::vector<double> metropolis(int nodes, const std::vector<Edge>& edges, double share) {
  const std::vector<int> degree = degrees(nodes, edges);
  std::vector<double> weights(edges.size());
  for (std::size_t e = 0; e < edges.size(); ++e)
    weights[e] = share / (1 + std::max(degree[index(edges[e].from)], degree[index(edges[e].to)]));
  return weights;
}

std::vector<double> uniform(const GraphSequence& graph, const std::vector<Edge>& edges) {
  std::vector<int> degree(index(graph.nodes), 0);
  for (const Edge& edge : edges) ++degree[index(edge.from)];
  if (!graph.directed) degree = degrees(graph.nodes, edges);
  const auto [least, most] = std::minmax_element(degree.begin(), degree.end());
  if (!graph.directed && *least != *most)
    throw InputError(
        fmt::format("uniform weights need as many neighbours at every node, or averaging would not keep "
                    "the mean, and {} has from {} to {}: --weights lazy or metropolis serve it",
                    graph.name, *least, *most));
  std::vector<double> weights(edges.size());
  for (std::size_t e = 0; e < edges.size(); ++e) weights[e] = 1.0 / (1 + degree[index(edges[e].from)]);
  return weights;
}

MixingWeights choose(const GraphSequence& graph, MixingWeights asked) {
  if (asked == MixingWeights::automatic) {
    if (!graph.selves.empty()) return MixingWeights::file;
    return graph.directed ? MixingWeights::uniform : MixingWeights::lazy;
  }
  if (asked == MixingWeights::file && graph.selves.empty())
    throw InputError(
        fmt::format("--weights file needs a topology from a file with weights, which {} is not", graph.name));
  const bool undirected_only = asked == MixingWeights::metropolis || asked == MixingWeights::lazy;
  if (undirected_only && graph.directed)
    throw InputError(fmt::format("{} is directed, and {} weights need an undirected graph: --weights uniform serves it",
                                 graph.name, asked == MixingWeights::lazy ? "lazy Metropolis" : "Metropolis"));
  return asked;
}

std::string name_of(MixingWeights weights) {
  switch (weights) {
    case MixingWeights::metropolis:
      return "metropolis";
    case MixingWeights::lazy:
      return "lazy metropolis";
    case MixingWeights::uniform:
      return "uniform";
    case MixingWeights::file:
    case MixingWeights::automatic:
      break;
  }
  return "of the file";
}

MixingRound weigh(const GraphSequence& graph, const std::vector<Edge>& edges, MixingWeights kind) {
  if (kind == MixingWeights::file) return make_round(graph.nodes, edges, graph.weights, graph.selves, graph.directed);
  const std::vector<double> weights = kind == MixingWeights::uniform
                                          ? uniform(graph, edges)
                                          : metropolis(graph.nodes, edges, kind == MixingWeights::lazy ? 0.5 : 1.0);
  return make_round(graph.nodes, edges, weights, rest_to_one(graph.nodes, edges, weights, graph.directed),
                    graph.directed);
}

// Averaging on a graph whose cycles' lengths share a factor goes round for ever: W becomes (I + W)/2.
std::string make_lazy(GraphSequence& graph, int period) {
  for (double& weight : graph.weights) weight *= 0.5;
  for (double& self : graph.selves) self = 0.5 * (1 + self);
  return period == 2 ? "bipartite without self-loops: made lazy, (I + W)/2"
                     : fmt::format("the lengths of its cycles share the factor {}: made lazy, (I + W)/2", period);
}

}  // namespace

MixingRound make_round(int nodes, const std::vector<Edge>& edges, const std::vector<double>& weights,
                       const std::vector<double>& selves, bool directed) {
  MixingRound round;
  std::vector<std::size_t> in, out;
  fill_rows(nodes, edges, weights, false, !directed, round.in, in);
  if (directed) fill_rows(nodes, edges, weights, true, false, round.out, out);
  round.rows.resize(index(nodes));
  for (int k = 0; k < nodes; ++k) {
    const auto heard = row_of(round.in, in, k);
    round.rows[index(k)] = {selves[index(k)], heard, directed ? row_of(round.out, out, k) : heard};
  }
  return round;
}

Topology make_topology(const std::string& spec, int nodes, MixingWeights asked, std::uint64_t seed) {
  GraphSequence graph = make_graph(spec, nodes, seed);
  const MixingWeights kind = choose(graph, asked);
  const auto weighed = [&](const std::string& note) {
    Topology::Data data{graph.name, name_of(kind),  note, std::vector<bool>(index(graph.nodes), false),
                        {},         !graph.directed};
    for (const std::vector<Edge>& edges : graph.rounds) data.rounds.push_back(weigh(graph, edges, kind));
    return Topology(std::move(data));
  };
  Topology topology = weighed("");
  if (kind != MixingWeights::file)
    return graph.selves.empty() ? topology : weighed("the weights in the file are not used");
  const int period = cycle_period(topology);
  return period > 1 ? weighed(make_lazy(graph, period)) : topology;
}

}  // namespace muster
