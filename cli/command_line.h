// The command line as data: what the user asked for.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "muster/muster.h"
#include "muster/topology.h"

namespace muster::cli {

struct TrainCommand {
  TrainOptions options;
  std::string output = "model.json";
  std::string report;  // empty: none
  std::string trace;   // likewise
  bool quiet = false;
};

struct PredictCommand {
  std::string model;
  PredictOptions options;
  std::string output = "-";  // "-": standard output
  bool quiet = false;
};

struct EvaluateCommand {
  std::string model;
  PredictOptions options;
  bool json = false;
};

struct TopologyCommand {
  TopologyOptions options;
  std::string drawing;  // empty: none
  bool json = false;
};

// Something to print and be done: help, or the version.
struct Text {
  std::string text;
  ExitCode code = ExitCode::ok;
};

using Command = std::variant<TrainCommand, PredictCommand, EvaluateCommand, TopologyCommand, Text>;

// arguments: without the program's own name. Throws InputError: one sentence, with the nearest name for a typo.
Command parse_command_line(const std::vector<std::string>& arguments);

Command parse_topology(const std::vector<std::string>& arguments);  // of `muster topology`

}  // namespace muster::cli
