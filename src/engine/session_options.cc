#include "engine/session_options.h"

#include "base/check.h"
#include "engine/check_options.h"

namespace muster {

SessionOptions session_options(const RunOptions& run, const StopOptions& stop, const CancellationToken* cancellation) {
  SessionOptions options;
  options.compression = run.compression;
  options.sync = synchronisation(run);
  options.seed = run.seed;
  options.max_rounds = stop.max_rounds;
  options.max_epochs = stop.max_epochs;
  options.max_seconds = stop.max_seconds;
  options.cancellation = cancellation;
  return options;
}

ServerSolver server_solver(SolverChoice solver) {
  switch (solver) {
    case SolverChoice::sgd:
      return ServerSolver::sgd;
    case SolverChoice::ftrl:
      return ServerSolver::ftrl;
    default:
      MUSTER_CHECK(solver == SolverChoice::dave, "a solver of the parameter server");
      return ServerSolver::dave;
  }
}

NetworkSolver network_solver(SolverChoice solver) {
  switch (solver) {
    case SolverChoice::dgd:
      return NetworkSolver::dgd;
    case SolverChoice::gradient_tracking:
      return NetworkSolver::gradient_tracking;
    case SolverChoice::push_sum:
      return NetworkSolver::push_sum;
    case SolverChoice::pairwise:
      return NetworkSolver::pairwise;
    default:
      MUSTER_CHECK(solver == SolverChoice::nids, "a solver of the decentralized network");
      return NetworkSolver::nids;
  }
}

}  // namespace muster
