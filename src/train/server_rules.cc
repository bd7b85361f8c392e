#include "train/server_rules.h"

#include "muster/error.h"
#include "train/dave.h"
#include "train/server_descent.h"

namespace muster {

std::unique_ptr<ServerRule> make_server_rule(const ParameterServerOptions& options, const RunFacts& facts,
                                             KeyRange range, std::vector<std::vector<double>> columns) {
  switch (options.solver) {
    case ServerSolver::dave:
      return std::make_unique<DaveServer>(facts, range, std::move(columns[0]));
    case ServerSolver::sgd:
      return std::make_unique<DescentServer>(facts, range, std::move(columns[0]), options.step);
    case ServerSolver::ftrl:
      break;
  }
  throw InputError("solver ftrl takes rows a few at a time, which this objective can not");
}

std::unique_ptr<WorkerRule> make_worker_rule(const ParameterServerOptions& options, Objective& objective,
                                             const RunFacts& facts, std::span<const double> start, std::size_t) {
  switch (options.solver) {
    case ServerSolver::dave:
      return std::make_unique<DaveWorker>(objective, facts, start);
    case ServerSolver::sgd:
      return std::make_unique<DescentWorker>(objective);
    case ServerSolver::ftrl:
      break;
  }
  throw InputError("solver ftrl takes rows a few at a time, which this objective can not");
}

}  // namespace muster
