// The subcommands. Each returns the exit code and throws muster::Error for what it can not do.
#pragma once

#include "command_line.h"

namespace muster::cli {

int run(const TrainCommand& command);
int run(const PredictCommand& command);
int run(const EvaluateCommand& command);
int run(const TopologyCommand& command);
int run(const Text& text);

}  // namespace muster::cli
