// The account of a run.
#pragma once

#include <string>

#include "engine/fit_context.h"

namespace muster {

// What one rank knows of a run beside what was trained.
struct RunAccount {
  const RunOptions& run;
  Endpoint& whole;   // all ranks the run began with
  Endpoint& living;  // the same, or the survivors
  const Topology* topology = nullptr;
  std::size_t rows = 0, columns = 0;  // held here
  double compute_seconds = 0;
  Time start = 0;
};

// Collective: measures are gathered from every living rank. Everything but the instruction set, load_seconds, transport
// and hosts.
Report make_report(const RunAccount& account, Trained trained, std::string solver_reason, Certificate certificate);

}  // namespace muster
