#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "command_line.h"
#include "muster/topology.h"
#include "option_set.h"
#include "output.h"
#include "run.h"
#include "words.h"

namespace muster::cli {

namespace {

std::string line(const std::string& name, const std::string& value) {
  return fmt::format("{:<22}{}\n", name, value);
}

std::string degrees(const TopologyReport& report) {
  const char* to = report.directed ? "sends to" : "has";
  const char* what = report.directed ? "" : " neighbours";
  if (report.least_degree == report.most_degree) return fmt::format("every node {} {}{}", to, report.most_degree, what);
  return fmt::format("a node {} {} to {}{}", to, report.least_degree, report.most_degree, what);
}

std::string list(const std::vector<int>& nodes) {
  constexpr std::size_t kMost = 20;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, nodes.size()); ++i) text += fmt::format("{}{}", i ? " " : "", nodes[i]);
  return nodes.size() > kMost ? fmt::format("{} ... ({} nodes)", text, grouped(static_cast<std::int64_t>(nodes.size())))
                              : text;
}

std::string components(const TopologyReport& report) {
  constexpr std::size_t kMost = 20;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, report.components.size()); ++i)
    text += line(i ? "" : "components", list(report.components[i]));
  if (report.components.size() > kMost)
    text += line("", fmt::format("... ({} in all)", grouped(static_cast<std::int64_t>(report.components.size()))));
  return text;
}

std::string rounds(const TopologyReport& report) {
  if (!report.consensus_rounds) return "never";
  return *report.consensus_rounds < 1e15 ? grouped(static_cast<std::int64_t>(*report.consensus_rounds))
                                         : fmt::format("{:.3g}", *report.consensus_rounds);
}

std::string describe(const TopologyReport& report) {
  const std::string of_period = report.period > 1 ? fmt::format(" (over its {} rounds)", report.period) : "";
  std::string text = line("topology", report.topology + (report.directed ? ", directed" : ""));
  text += line("weights", report.weights + (report.doubly_stochastic ? ", doubly stochastic" : ""));
  if (!report.note.empty()) text += line("note", report.note);
  text += line("nodes", grouped(report.nodes));
  text += line("edges", fmt::format("{}{}; {}{}", grouped(report.edges), of_period, degrees(report),
                                    report.period > 1 ? " a round" : ""));
  text += line("strongly connected", (report.strongly_connected ? "yes" : "no") + of_period);
  if (!report.strongly_connected) text += components(report);
  text += line("diameter", report.diameter ? grouped(*report.diameter) : "infinite");
  text += line("|λ₂|", fmt::format(" {:.10g}", report.lambda2_modulus).substr(1));
  text += line("spectral gap", fmt::format("{:.6g}{}", report.spectral_gap,
                                           report.spectrum_converged ? "" : " (not converged: fewer than six digits)"));
  text += line("rounds to 1e-6", rounds(report));
  const std::string of = report.columns == 1 ? "one parameter" : grouped(report.columns) + " parameters";
  text +=
      line("bytes a round", fmt::format("{}B in all, at most {}B by one node ({}, float64)",
                                        scaled(report.bytes_per_round), scaled(report.bytes_per_round_per_node), of));
  return text;
}

}  // namespace

Command parse_topology(const std::vector<std::string>& arguments) {
  OptionSet set(
      "topology",
      "Describes who talks to whom in a decentralized network: connectivity, how fast averaging converges, what "
      "a\nround costs.",
      "NAME -n N [--weights W] [--json] [-o graph.svg]");
  TopologyCommand command;
  TopologyOptions& options = command.options;
  set.group("graph");
  set.one_word("NAME", options.topology,
               "ring, line, star, complete, torus[:RxC], hypercube, exponential, symmetric-exponential, "
               "one-peer-exponential, random-regular:K or file:PATH (docs/TOPOLOGIES.md)");
  set.integer("-n,--nodes", "N", 1, options.nodes, "number of nodes [of a file: as many as it names]");
  set.choice<MixingWeights>("--weights",
                            {{"auto", MixingWeights::automatic},
                             {"metropolis", MixingWeights::metropolis},
                             {"lazy", MixingWeights::lazy},
                             {"uniform", MixingWeights::uniform},
                             {"file", MixingWeights::file}},
                            options.weights,
                            "of a node's neighbours in its average [auto: the file's; else lazy Metropolis; uniform on "
                            "directed graphs]");
  set.integer("--seed", "SEED", 0, options.seed, "of random-regular [0]");
  set.integer("--columns", "D", 1, options.columns, "parameters of the model whose exchange is counted [1]");
  set.group("output");
  set.flag("--json", command.json, "as JSON instead of a table");
  set.text("-o,--output", "graph.svg", command.drawing, "draw the graph there, as SVG [none]");
  if (!set.parse(arguments)) return Text{set.help()};
  return command;
}

int run(const TopologyCommand& command) {
  if (silent_rank()) return 0;
  if (!command.drawing.empty()) check_writable(command.drawing);
  const TopologyReport report = describe_topology(command.options);
  const std::string drawing = command.drawing.empty() ? "" : draw_topology(command.options);
  if (!drawing.empty()) write_file(command.drawing, drawing);
  print(command.json ? to_json(report) : describe(report));
  return 0;
}

}  // namespace muster::cli
