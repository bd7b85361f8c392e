#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <numbers>

#include "engine/topology_report.h"
#include "muster/error.h"
#include "muster/topology.h"

namespace muster {
namespace {

constexpr std::size_t kMostEdges = 200'000;

struct Place {
  double x = 0, y = 0;
};

bool begins(const std::string& name, const char* with) {
  return name.rfind(with, 0) == 0;
}

// Node 0 on top, then clockwise.
std::vector<Place> on_circle(int nodes) {
  std::vector<Place> places;
  for (int k = 0; k < nodes; ++k) {
    const double angle = 2 * std::numbers::pi * k / nodes;
    places.push_back({std::sin(angle), -std::cos(angle)});
  }
  return places;
}

// The centre of a star in the middle of the others.
std::vector<Place> as_star(int nodes) {
  std::vector<Place> places = on_circle(std::max(1, nodes - 1));
  places.insert(places.begin(), Place{});
  places.resize(static_cast<std::size_t>(nodes));
  return places;
}

// Neighbours around the end of a row or column bow out, so rows and columns lean a little to keep those lines apart.
std::vector<Place> as_grid(const std::string& name, int nodes) {
  int rows = 1;
  const std::size_t shape = name.find(':') + 1;
  std::from_chars(name.data() + shape, name.data() + name.size(), rows);
  const int columns = nodes / rows;
  std::vector<Place> places;
  for (int k = 0; k < nodes; ++k) {
    const int row = k / columns, column = k % columns;
    places.push_back({1.0 * column, 1.0 * row});
  }
  return places;
}

// Even bits of a node's number move it to the right, odd ones up, each twice as far as the one before, as in a table of
// their values. Each also moves it a little aside, to either side in turn, or long edges would run through nodes.
std::vector<Place> as_hypercube(int nodes) {
  const int bits = std::countr_zero(static_cast<unsigned>(nodes)), levels = std::max(1, (bits + 1) / 2);
  const double aside = std::min(0.35, 0.75 / levels);
  std::vector<Place> places(static_cast<std::size_t>(nodes));
  for (int k = 0; k < nodes; ++k) {
    Place& place = places[static_cast<std::size_t>(k)];
    for (int bit = 0; bit < bits; ++bit) {
      if (!(k >> bit & 1)) continue;
      const double along = std::ldexp(1.0, bit / 2), across = bit / 2 % 2 ? -aside : aside;
      place.x += bit % 2 ? across : along;
      place.y -= bit % 2 ? along : across;
    }
  }
  return places;
}

// To and fro in rows, where one row would leave no room for numbers.
std::vector<Place> as_line(int nodes) {
  const int columns = nodes <= 16 ? nodes : static_cast<int>(std::ceil(std::sqrt(static_cast<double>(nodes))));
  std::vector<Place> places;
  for (int k = 0; k < nodes; ++k) {
    const int row = k / columns, column = k % columns;
    places.push_back({1.0 * (row % 2 ? columns - 1 - column : column), 1.0 * row});
  }
  return places;
}

// A column for each distance from node 0, whichever way the edges point; what that does not reach starts anew below.
std::vector<Place> in_layers(int nodes, const std::vector<std::pair<int, int>>& edges) {
  std::vector<std::vector<int>> near(static_cast<std::size_t>(nodes));
  for (const auto& [a, b] : edges) {
    near[static_cast<std::size_t>(a)].push_back(b);
    near[static_cast<std::size_t>(b)].push_back(a);
  }
  std::vector<Place> places(static_cast<std::size_t>(nodes));
  std::vector<bool> placed(static_cast<std::size_t>(nodes), false);
  double top = 0;
  for (int root = 0; root < nodes; ++root) {
    if (placed[static_cast<std::size_t>(root)]) continue;
    std::vector<std::vector<int>> layers{{root}};
    placed[static_cast<std::size_t>(root)] = true;
    std::size_t tallest = 1;
    while (!layers.back().empty()) {
      std::vector<int> next;
      for (int k : layers.back()) {
        for (int n : near[static_cast<std::size_t>(k)]) {
          if (placed[static_cast<std::size_t>(n)]) continue;
          placed[static_cast<std::size_t>(n)] = true;
          next.push_back(n);
        }
      }
      tallest = std::max(tallest, next.size());
      layers.push_back(std::move(next));
    }
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      // Every other node of a layer stands aside, or an edge between two of a column would hide behind a third.
      for (std::size_t i = 0; i < layers[layer].size(); ++i)
        places[static_cast<std::size_t>(layers[layer][i])] = {
            2.0 * static_cast<double>(layer) + (i % 2 ? 0.5 : 0.0),
            top + static_cast<double>(i) + 0.5 * static_cast<double>(tallest - layers[layer].size())};
    }
    top += static_cast<double>(tallest) + 1;
  }
  return places;
}

std::vector<Place> layout(const Topology& topology, const std::vector<std::pair<int, int>>& edges) {
  const std::string& name = topology.name();
  if (begins(name, "torus:") && !begins(name, "torus:1x")) return as_grid(name, topology.nodes());
  if (name == "hypercube") return as_hypercube(topology.nodes());
  if (name == "star") return as_star(topology.nodes());
  if (begins(name, "file:")) return in_layers(topology.nodes(), edges);
  if (name == "line") return as_line(topology.nodes());
  return on_circle(topology.nodes());
}

// Scaled into the drawing's frame, both ways alike; a height that the places do not need is cut off.
double fit(std::vector<Place>& places, double width, double margin) {
  Place low = places.front(), high = places.front();
  for (const Place& p : places) {
    low = {std::min(low.x, p.x), std::min(low.y, p.y)};
    high = {std::max(high.x, p.x), std::max(high.y, p.y)};
  }
  const double room = width - 2 * margin, extent = std::max(high.x - low.x, high.y - low.y);
  const double scale = extent > 0 ? room / extent : 0;
  const double left = 0.5 * (width - scale * (high.x - low.x));
  for (Place& p : places) p = {left + scale * (p.x - low.x), margin + scale * (p.y - low.y)};
  return 2 * margin + scale * (high.y - low.y);
}

// The distance of the two that are nearest to each other, at most `most`.
double nearest(std::vector<Place> places, double most) {
  std::sort(places.begin(), places.end(), [](Place a, Place b) { return a.x < b.x; });
  for (std::size_t i = 0; i < places.size(); ++i)
    for (std::size_t j = i + 1; j < places.size() && places[j].x - places[i].x < most; ++j)
      most = std::min(most, std::hypot(places[j].x - places[i].x, places[j].y - places[i].y));
  return most;
}

// An edge from rim to rim: straight, or, where a torus goes around its end, an arc that passes the nodes between.
std::string edge_path(Place a, Place b, double radius, bool around, bool arrow) {
  const double dx = b.x - a.x, dy = b.y - a.y, length = std::max(std::hypot(dx, dy), 1e-9);
  if (around) {
    const double bow = 0.12 * length + radius;
    return fmt::format("M{:.1f} {:.1f}Q{:.1f} {:.1f} {:.1f} {:.1f}", a.x, a.y, 0.5 * (a.x + b.x) - bow * dy / length,
                       0.5 * (a.y + b.y) - bow * dx / length, b.x, b.y);
  }
  const double cut = arrow ? radius + 1 : 0;
  return fmt::format("M{:.1f} {:.1f}L{:.1f} {:.1f}", a.x, a.y, b.x - cut * dx / length, b.y - cut * dy / length);
}

std::string escaped(const std::string& text) {
  std::string result;
  for (char c : text) result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return result;
}

bool goes_around(const Topology& topology, Place a, Place b, double step) {
  return begins(topology.name(), "torus:") && !begins(topology.name(), "torus:1x") &&
         std::hypot(b.x - a.x, b.y - a.y) > 1.5 * step;
}

std::string edges_svg(const Topology& topology, const std::vector<std::pair<int, int>>& edges,
                      const std::vector<Place>& places, double radius, double step) {
  const bool arrows = !topology.symmetric() && edges.size() <= 200;
  std::string path;
  std::string svg;
  for (const auto& [from, to] : edges) {
    const Place a = places[static_cast<std::size_t>(from)], b = places[static_cast<std::size_t>(to)];
    path += edge_path(a, b, radius, goes_around(topology, a, b, step), arrows);
    if (!arrows) continue;
    svg += fmt::format("<path d=\"{}\" marker-end=\"url(#head)\"/>\n", path);
    path.clear();
  }
  if (!path.empty()) svg += fmt::format("<path d=\"{}\"/>\n", path);
  const double crowd = std::min(1.0, 15 / std::sqrt(static_cast<double>(edges.size()) + 1));
  return fmt::format("<g fill=\"none\" stroke=\"#4a6fa5\" stroke-width=\"{:.2f}\" stroke-opacity=\"{:.2f}\">\n{}</g>\n",
                     std::clamp(radius / 6, 0.3, 1.6 * std::max(crowd, 0.2)), std::clamp(1.6 * crowd, 0.1, 0.8), svg);
}

std::string nodes_svg(const std::vector<Place>& places, double radius) {
  std::string svg = "<g fill=\"#ffffff\" stroke=\"#1f3a5f\" stroke-width=\"1.4\">\n";
  if (radius < 4) svg = "<g fill=\"#1f3a5f\">\n";
  for (const Place& p : places)
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.2f}\"/>\n", p.x, p.y, radius);
  svg += "</g>\n";
  if (radius < 7) return svg;
  svg += fmt::format("<g fill=\"#1f3a5f\" font-size=\"{:.1f}\" text-anchor=\"middle\">\n", 0.85 * radius);
  for (std::size_t k = 0; k < places.size(); ++k)
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", places[k].x, places[k].y + 0.3 * radius, k);
  return svg + "</g>\n";
}

}  // namespace

std::string draw_topology(const TopologyOptions& options) {
  const Topology topology = make_topology(options.topology, options.nodes, options.weights, options.seed);
  const std::vector<std::pair<int, int>> edges = union_of_edges(topology);
  if (edges.size() > kMostEdges)
    throw InputError(fmt::format("{} with {} nodes has {} edges, and a drawing shows at most {}", topology.name(),
                                 topology.nodes(), edges.size(), kMostEdges));
  constexpr double kWidth = 800, kMargin = 60, kTitle = 30;
  std::vector<Place> places = layout(topology, edges);
  const double height = fit(places, kWidth, kMargin);
  for (Place& p : places) p.y += kTitle;
  const double step = nearest(places, kWidth);
  const double radius = std::clamp(0.32 * step, 1.0, 16.0);
  const char* head =
      "<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerUnits=\"userSpaceOnUse\" "
      "markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 1L8 4L0 7Z\" "
      "fill=\"#4a6fa5\"/></marker></defs>\n";
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "font-family=\"sans-serif\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{2}"
      "<text x=\"{3:.0f}\" y=\"28\" font-size=\"18\" fill=\"#1f3a5f\" text-anchor=\"middle\">{4}{5}, {6} "
      "node{7}</text>\n"
      "{8}{9}</svg>\n",
      kWidth, height + kTitle, head, kWidth / 2, escaped(topology.name()), topology.symmetric() ? "" : ", directed",
      topology.nodes(), topology.nodes() == 1 ? "" : "s", edges_svg(topology, edges, places, radius, step),
      nodes_svg(places, radius));
}

}  // namespace muster
