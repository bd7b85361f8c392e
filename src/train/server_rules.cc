#include "train/server_rules.h"

#include "train/dave.h"
#include "train/ftrl.h"
#include "train/server_descent.h"
#include "train/sgd.h"

namespace muster {

bool takes_batches(const ParameterServerOptions& options) {
  const ServerOptions& server = options.server;
  if (options.solver == ServerSolver::ftrl) return true;
  return options.solver == ServerSolver::sgd &&
         (server.batch > 0 || server.adagrad || server.decay || server.staleness_damping);
}

std::unique_ptr<ServerRule> make_server_rule(const ParameterServerOptions& options, const RunFacts& facts,
                                             KeyRange range, std::vector<std::vector<double>> columns) {
  switch (options.solver) {
    case ServerSolver::dave:
      return std::make_unique<DaveServer>(facts, range, std::move(columns[0]));
    case ServerSolver::ftrl:
      return std::make_unique<FtrlServer>(facts, *facts.rows, range, std::move(columns), options.radius);
    case ServerSolver::sgd:
      break;
  }
  if (!facts.rows) return std::make_unique<DescentServer>(facts, range, std::move(columns[0]), options.step);
  const SgdOptions sgd{.step = options.step,
                       .adagrad = options.server.adagrad,
                       .decay = options.server.decay,
                       .staleness_damping = options.server.staleness_damping,
                       .radius = options.radius};
  return std::make_unique<SgdServer>(facts, *facts.rows, range, std::move(columns), sgd);
}

std::unique_ptr<WorkerRule> make_worker_rule(const ParameterServerOptions& options, Objective& objective,
                                             const RunFacts& facts, std::span<const double> start, std::size_t place) {
  if (options.solver == ServerSolver::dave) return std::make_unique<DaveWorker>(objective, facts, start);
  if (!facts.rows) return std::make_unique<DescentWorker>(objective);
  return std::make_unique<BatchWorker>(dynamic_cast<RowObjective&>(objective), facts, facts.rows, place,
                                       options.session.seed);
}

}  // namespace muster
