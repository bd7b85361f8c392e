#include "muster/topology.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/topology_report.h"
#include "train/topology.h"

namespace muster {

std::vector<std::pair<int, int>> union_of_edges(const Topology& topology) {
  std::vector<std::pair<int, int>> edges;
  for (int k = 0; k < topology.nodes(); ++k) {
    for (int round = 0; round < topology.period(); ++round)
      for (const WeightedNeighbour& n : topology.row(k, round).out)
        if (!topology.symmetric() || k < n.node) edges.emplace_back(k, n.node);
  }
  if (topology.period() > 1) {
    std::sort(edges.begin(), edges.end());
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  }
  return edges;
}

namespace {

void count_messages(const Topology& topology, TopologyReport& report) {
  std::size_t all = 0, least = static_cast<std::size_t>(topology.nodes()), most = 0, most_in_period = 0;
  for (int k = 0; k < topology.nodes(); ++k) {
    std::size_t sent = 0;
    for (int round = 0; round < topology.period(); ++round) {
      const std::size_t degree = topology.row(k, round).out.size();
      least = std::min(least, degree);
      most = std::max(most, degree);
      sent += degree;
    }
    all += sent;
    most_in_period = std::max(most_in_period, sent);
  }
  const double bytes = 8.0 * static_cast<double>(report.columns) / topology.period();
  report.least_degree = static_cast<int>(least);
  report.most_degree = static_cast<int>(most);
  report.bytes_per_round = bytes * static_cast<double>(all);
  report.bytes_per_round_per_node = bytes * static_cast<double>(most_in_period);
}

}  // namespace

TopologyReport describe_topology(const TopologyOptions& options) {
  const Topology topology = make_topology(options.topology, options.nodes, options.weights, options.seed);
  const Spectrum speed = spectrum(topology);
  TopologyReport report;
  report.topology = topology.name();
  report.weights = topology.weights_name();
  report.nodes = topology.nodes();
  report.period = topology.period();
  report.directed = !topology.symmetric();
  report.doubly_stochastic = topology.doubly_stochastic();
  report.components = topology.components();
  report.strongly_connected = report.components.size() <= 1;
  report.lambda2_modulus = speed.lambda2_modulus;
  report.spectral_gap = speed.spectral_gap;
  report.spectrum_converged = speed.converged;
  if (std::isfinite(speed.consensus_rounds)) report.consensus_rounds = speed.consensus_rounds;
  if (report.strongly_connected) report.diameter = diameter(topology);
  report.edges = static_cast<std::int64_t>(union_of_edges(topology).size());
  report.columns = options.columns;
  count_messages(topology, report);
  report.note = topology.note();
  return report;
}

std::string to_json(const TopologyReport& report) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["topology"] = report.topology;
  json["weights"] = report.weights;
  json["nodes"] = report.nodes;
  json["period"] = report.period;
  json["directed"] = report.directed;
  json["doubly_stochastic"] = report.doubly_stochastic;
  json["strongly_connected"] = report.strongly_connected;
  json["components"] = report.components;
  json["lambda2_modulus"] = report.lambda2_modulus;
  json["spectral_gap"] = report.spectral_gap;
  json["spectrum_converged"] = report.spectrum_converged;
  json["consensus_rounds"] = report.consensus_rounds ? Json(*report.consensus_rounds) : Json();
  json["diameter"] = report.diameter ? Json(*report.diameter) : Json();
  json["edges"] = report.edges;
  json["least_degree"] = report.least_degree;
  json["most_degree"] = report.most_degree;
  json["columns"] = report.columns;
  json["bytes_per_round"] = report.bytes_per_round;
  json["bytes_per_round_per_node"] = report.bytes_per_round_per_node;
  json["note"] = report.note;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace muster
