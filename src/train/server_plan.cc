#include "train/server_plan.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "muster/error.h"
#include "solver/lanczos.h"
#include "train/mapreduce.h"
#include "train/server_rules.h"
#include "train/sgd_facts.h"

namespace muster {
namespace {

// Everybody's number at its place.
std::vector<double> gather_by_worker(Endpoint& endpoint, const ServerPlan& plan, double mine) {
  std::vector<double> all(plan.workers.size(), 0.0);
  if (!plan.is_server(endpoint.rank())) all[plan.place(endpoint.rank())] = mine;
  endpoint.allreduce(all, ReduceOp::sum, Deadline::never());
  return all;
}

// L of this worker's own average; 0 without rows.
double own_lipschitz(Objective& objective, Endpoint& endpoint, std::uint64_t seed) {
  const double weight = objective.weight();
  if (!(weight > 0)) return 0;
  const auto product = [&](std::span<const double> v, std::span<double> out) {
    endpoint.charge(objective.curvature_product(v, out));
    for (double& value : out) value /= weight;
    endpoint.progress();
  };
  return estimate_largest_eigenvalue(objective.dimension(), product, seed).estimate;
}

double global_lipschitz(Objective& objective, Endpoint& endpoint, const SessionOptions& session) {
  MapReduceOptions options;
  options.penalty = session.penalty;
  MapReduce map_reduce(objective, endpoint, options);
  return estimate_largest_curvature(map_reduce, session.seed).estimate;
}

// Facts of batches, and where all of w does not travel with every push, the expected traffic of each key.
std::vector<double> agree_rows(Objective& objective, Endpoint& endpoint, const ParameterServerOptions& options,
                               RunFacts& facts) {
  std::vector<double> traffic(objective.dimension(), 1.0);
  if (!takes_batches(options)) return traffic;
  auto* rows = dynamic_cast<RowObjective*>(&objective);
  if (rows == nullptr) throw InputError("batches need an objective whose rows can be taken a few at a time");
  facts.rows = agree_row_facts(*rows, endpoint, facts.workers(), facts.weight,
                               {.batch = options.server.batch,
                                .implicit_centre = options.implicit_centre,
                                .outputs = options.outputs,
                                .seed = options.session.seed});
  if (!facts.rows->keyed) return traffic;
  constexpr double kLeast = 1e-3;  // of a push: what a key costs that no row has
  for (std::size_t j = 0; j < traffic.size(); ++j) traffic[j] = kLeast + facts.rows->touched[j];
  return traffic;
}

}  // namespace

bool ServerPlan::is_server(int rank) const {
  return std::binary_search(servers.begin(), servers.end(), rank);
}

std::size_t ServerPlan::place(int rank) const {
  const std::vector<int>& ranks = is_server(rank) ? servers : workers;
  const auto found = std::lower_bound(ranks.begin(), ranks.end(), rank);
  MUSTER_CHECK(found != ranks.end() && *found == rank, "a rank that neither works nor serves");
  return static_cast<std::size_t>(found - ranks.begin());
}

std::size_t ServerPlan::sums() const {
  return facts.rows ? facts.rows->sums : 0;
}

std::vector<KeyRange> cut_by_traffic(std::span<const double> traffic, std::size_t parts) {
  const std::size_t n = traffic.size();
  const double total = std::accumulate(traffic.begin(), traffic.end(), 0.0);
  std::vector<KeyRange> ranges;
  std::size_t key = 0;
  double passed = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = key, left = parts - part - 1;
    const double goal = total * static_cast<double>(part + 1) / static_cast<double>(parts);
    while (key < n && (left == 0 || key == begin || passed + 0.5 * traffic[key] <= goal)) {
      if (key > begin && n - key <= left) break;
      passed += traffic[key++];
    }
    ranges.push_back({begin, key});
  }
  return ranges;
}

ServerPlan make_plan(Objective& objective, Endpoint& endpoint, int first_server,
                     const ParameterServerOptions& options) {
  ServerPlan plan;
  for (const int rank : endpoint.members()) (rank < first_server ? plan.workers : plan.servers).push_back(rank);
  MUSTER_CHECK(!plan.workers.empty() && !plan.servers.empty(), "a parameter server needs a worker and a server");
  const SessionOptions& session = options.session;
  RunFacts& facts = plan.facts;
  facts.weights = gather_by_worker(endpoint, plan, objective.weight());
  plan.rows = gather_by_worker(endpoint, plan, static_cast<double>(objective.rows()));
  facts.weight = objective.weight();
  endpoint.allreduce({&facts.weight, 1}, ReduceOp::sum, Deadline::never());
  MUSTER_CHECK(facts.weight > 0, "no worker has a row that counts");
  facts.penalty = session.penalty;
  facts.l1 = session.l1.empty() ? std::vector<double>(objective.dimension(), 0.0) : session.l1;
  if (options.solver == ServerSolver::dave) {
    facts.largest_lipschitz = own_lipschitz(objective, endpoint, session.seed);
    endpoint.allreduce({&facts.largest_lipschitz, 1}, ReduceOp::max, Deadline::never());
  } else {
    facts.lipschitz = global_lipschitz(objective, endpoint, session);
  }
  plan.ranges = cut_by_traffic(agree_rows(objective, endpoint, options, facts), plan.servers.size());
  return plan;
}

}  // namespace muster
