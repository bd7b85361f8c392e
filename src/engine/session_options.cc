#include "engine/session_options.h"

#include <utility>

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

void take_account(SessionResult& session, Trained& trained) {
  trained.reason = session.reason;
  trained.detail = std::move(session.detail);
  trained.rounds = session.rounds;
  trained.history = std::move(session.history);
  trained.updates = std::move(session.updates);
  trained.waited_for_seconds = std::move(session.waited_for_seconds);
  trained.lost = std::move(session.lost);
}

void take_network_account(const DecentralizedResult& result, Trained& trained) {
  if (result.solver == NetworkSolver::push_sum) trained.solver = name(SolverChoice::push_sum);
  trained.notes.insert(trained.notes.end(), result.notes.begin(), result.notes.end());
  trained.cut = result.cut;
  trained.leads = result.leads;
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
