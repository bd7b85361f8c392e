#include "train/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <string_view>

#include "muster/error.h"

namespace muster {
namespace {

// The edge between a and b, unless they are one.
void join(std::vector<Edge>& edges, int a, int b) {
  if (a != b) edges.push_back({std::min(a, b), std::max(a, b)});
}

std::vector<Edge> simple(std::vector<Edge> edges) {
  const auto before = [](const Edge& a, const Edge& b) { return a.from != b.from ? a.from < b.from : a.to < b.to; };
  std::sort(edges.begin(), edges.end(), before);
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  return edges;
}

std::vector<Edge> line(int nodes) {
  std::vector<Edge> edges;
  for (int k = 0; k + 1 < nodes; ++k) edges.push_back({k, k + 1});
  return edges;
}

std::vector<Edge> ring(int nodes) {
  std::vector<Edge> edges;
  for (int k = 0; k < nodes; ++k) join(edges, k, (k + 1) % nodes);
  return simple(std::move(edges));
}

std::vector<Edge> star(int nodes) {
  std::vector<Edge> edges;
  for (int k = 1; k < nodes; ++k) edges.push_back({0, k});
  return edges;
}

std::vector<Edge> complete(int nodes) {
  std::vector<Edge> edges;
  edges.reserve(static_cast<std::size_t>(nodes) * static_cast<std::size_t>(nodes - 1) / 2);
  for (int a = 0; a < nodes; ++a)
    for (int b = a + 1; b < nodes; ++b) edges.push_back({a, b});
  return edges;
}

// Node r·columns + c has its neighbours at r ± 1 and c ± 1, both modulo.
std::vector<Edge> torus(int rows, int columns) {
  std::vector<Edge> edges;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      join(edges, r * columns + c, r * columns + (c + 1) % columns);
      join(edges, r * columns + c, (r + 1) % rows * columns + c);
    }
  }
  return simple(std::move(edges));
}

std::vector<Edge> hypercube(int nodes) {
  if (!std::has_single_bit(static_cast<unsigned>(nodes)))
    throw InputError(fmt::format("hypercube needs 2^k nodes, and {} is none of 1, 2, 4, 8, ...", nodes));
  std::vector<Edge> edges;
  for (int k = 0; k < nodes; ++k)
    for (int bit = 1; bit < nodes; bit *= 2)
      if (!(k & bit)) edges.push_back({k, k | bit});
  return edges;
}

std::vector<Edge> shift(int nodes, int distance) {
  std::vector<Edge> edges;
  for (int k = 0; k < nodes; ++k) edges.push_back({k, static_cast<int>((std::int64_t{k} + distance) % nodes)});
  return edges;
}

std::vector<std::vector<Edge>> exponential_shifts(int nodes) {
  std::vector<std::vector<Edge>> rounds;
  for (std::int64_t distance = 1; distance < nodes; distance *= 2)
    rounds.push_back(shift(nodes, static_cast<int>(distance)));
  if (rounds.empty()) rounds.emplace_back();
  return rounds;
}

std::vector<Edge> exponential(int nodes, bool symmetric) {
  std::vector<Edge> edges;
  for (const std::vector<Edge>& round : exponential_shifts(nodes))
    for (const Edge& edge : round) symmetric ? join(edges, edge.from, edge.to) : edges.push_back(edge);
  return simple(std::move(edges));
}

bool to_number(std::string_view text, int& number) {
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && rest == text.data() + text.size() && number > 0;
}

GraphSequence make_torus(const std::string& shape, int nodes) {
  int rows = static_cast<int>(std::sqrt(static_cast<double>(nodes))), columns = 0;
  if (shape.empty()) {
    while (nodes % rows) --rows;
    columns = nodes / rows;
  } else {
    const std::size_t x = shape.find('x');
    if (x == std::string::npos || !to_number(std::string_view(shape).substr(0, x), rows) ||
        !to_number(std::string_view(shape).substr(x + 1), columns))
      throw InputError(fmt::format("torus takes ROWSxCOLUMNS, as in torus:4x8, not '{}'", shape));
    if (std::int64_t{rows} * columns != nodes)
      throw InputError(fmt::format("torus:{} has {} nodes, not {}", shape, std::int64_t{rows} * columns, nodes));
  }
  return {fmt::format("torus:{}x{}", rows, columns), nodes, false, {torus(rows, columns)}, {}, {}};
}

GraphSequence make_random_regular(const std::string& text, int nodes, std::uint64_t seed) {
  int degree = 0;
  if (!to_number(text, degree))
    throw InputError(
        fmt::format("random-regular takes the number of neighbours, as in random-regular:4, not '{}'", text));
  return {"random-regular:" + text, nodes, false, {random_regular_edges(nodes, degree, seed)}, {}, {}};
}

std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

[[noreturn]] void refuse_name(const std::string& name) {
  const std::vector<std::string> names{"ring",
                                       "line",
                                       "star",
                                       "complete",
                                       "torus",
                                       "hypercube",
                                       "exponential",
                                       "symmetric-exponential",
                                       "one-peer-exponential",
                                       "random-regular",
                                       "file"};
  const auto nearer = [&](const std::string& a, const std::string& b) { return edits(name, a) < edits(name, b); };
  const std::string& nearest = *std::min_element(names.begin(), names.end(), nearer);
  const bool typo = edits(name, nearest) <= std::max<std::size_t>(1, nearest.size() / 3);
  throw InputError(typo ? fmt::format("there is no topology '{}' (did you mean {}?)", name, nearest)
                        : fmt::format("there is no topology '{}', only {}", name, fmt::join(names, ", ")));
}

GraphSequence make_plain(const std::string& name, int nodes) {
  const auto fixed = [&](std::vector<Edge> edges, bool directed = false) {
    return GraphSequence{name, nodes, directed, {std::move(edges)}, {}, {}};
  };
  if (name == "ring") return fixed(ring(nodes));
  if (name == "line") return fixed(line(nodes));
  if (name == "star") return fixed(star(nodes));
  if (name == "complete") return fixed(complete(nodes));
  if (name == "hypercube") return fixed(hypercube(nodes));
  if (name == "exponential") return fixed(exponential(nodes, false), true);
  if (name == "symmetric-exponential") return fixed(exponential(nodes, true));
  if (name == "one-peer-exponential") return {name, nodes, true, exponential_shifts(nodes), {}, {}};
  refuse_name(name);
}

}  // namespace

std::vector<int> degrees(int nodes, const std::vector<Edge>& edges) {
  std::vector<int> degree(static_cast<std::size_t>(nodes), 0);
  for (const Edge& edge : edges) {
    ++degree[static_cast<std::size_t>(edge.from)];
    ++degree[static_cast<std::size_t>(edge.to)];
  }
  return degree;
}

GraphSequence make_graph(const std::string& spec, int nodes, std::uint64_t seed) {
  const std::size_t colon = spec.find(':');
  const std::string name = spec.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : spec.substr(colon + 1);
  std::error_code unseen;
  if (name == "file") return read_graph(rest, nodes);
  if (name != "torus" && name != "random-regular" && std::filesystem::is_regular_file(spec, unseen) &&
      spec.find_first_of("./") != std::string::npos)
    return read_graph(spec, nodes);
  if (nodes < 1) throw InputError(fmt::format("{} needs a number of nodes: -n N, at least 1", name));
  if (name == "torus") return make_torus(rest, nodes);
  if (name == "random-regular") return make_random_regular(rest, nodes, seed);
  GraphSequence graph = make_plain(name, nodes);
  if (colon != std::string::npos) throw InputError(fmt::format("{} takes no ':{}'", name, rest));
  return graph;
}

}  // namespace muster
