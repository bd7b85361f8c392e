// Privacy of place: whatever a node of the decentralized network or a worker of a parameter server sends, in set-up,
// training, meetings and certificate, no number of its rows is in it.
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <set>

#include "cluster/endpoint_decorator.h"
#include "cluster/sim/sim_launch.h"
#include "decentralized_shards.h"
#include "train/parameter_server.h"

namespace muster {
namespace {

using Values = std::set<std::uint64_t>;  // by their bits

Values values_of(const std::vector<OwnShard::Row>& rows) {
  Values values;
  for (const OwnShard::Row& row : rows) {
    for (const double x : row.x) values.insert(std::bit_cast<std::uint64_t>(x));
    values.insert(std::bit_cast<std::uint64_t>(row.y));
  }
  return values;
}

// How many numbers of `values` stand in the bytes, wherever they begin.
int found_in(std::span<const std::byte> bytes, const Values& values) {
  int found = 0;
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes.size(); ++at) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, bytes.data() + at, sizeof(bits));
    if (values.contains(bits)) ++found;
  }
  return found;
}

// Looks at everything sent; collectives are the default ones, in terms of send.
class Listener final : public EndpointDecorator {
 public:
  Listener(Endpoint& inner, Values values) : EndpointDecorator(inner), values_(std::move(values)) {}
  void send(int to, Tag tag, Buffer payload) override {
    ++messages;
    rows_numbers += found_in({payload.data(), payload.size()}, values_);
    EndpointDecorator::send(to, tag, std::move(payload));
  }
  std::unique_ptr<Endpoint> split(int color, int key) override { return inner().split(color, key); }
  std::unique_ptr<Endpoint> shrink(Deadline deadline) override { return inner().shrink(deadline); }
  std::unique_ptr<Endpoint> subset(std::vector<int> members) override { return inner().subset(std::move(members)); }
  int messages = 0, rows_numbers = 0;

 private:
  Values values_;
};

TEST(Privacy, ARowsNumberWouldBeFound) {
  const double numbers[] = {0.5, 0.125};
  std::vector<std::byte> bytes(3 + sizeof(numbers));
  std::memcpy(bytes.data() + 3, numbers, sizeof(numbers));
  EXPECT_EQ(found_in(bytes, values_of({{{0.125, 7}, 9}})), 1);
}

TEST(Privacy, NoNodeOfANetworkSendsANumberOfItsRows) {
  constexpr int kNodes = 8;
  const Problem5 problem = Problem5::squared(kNodes);
  const std::pair<NetworkSolver, std::string> cases[] = {{NetworkSolver::nids, "ring"},
                                                         {NetworkSolver::dgd, "torus"},
                                                         {NetworkSolver::gradient_tracking, "one-peer-exponential"},
                                                         {NetworkSolver::push_sum, "exponential"},
                                                         {NetworkSolver::pairwise, "hypercube"}};
  for (const auto& [solver, name] : cases) {
    const Topology topology = make_topology(name, kNodes, MixingWeights::automatic, 1);
    run_simulated(kNodes, {}, {}, [&](Endpoint& endpoint) {
      Listener listener(endpoint, values_of(problem.shards[static_cast<std::size_t>(endpoint.rank())]));
      OwnShard mine = problem.shard(endpoint.rank());
      train_decentralized(mine, listener, topology, std::vector<double>(Problem5::kDimension, 0.0),
                          network_options(problem, solver, 1e-6));
      EXPECT_GT(listener.messages, 10) << name;
      EXPECT_EQ(listener.rows_numbers, 0) << name;
    });
  }
}

TEST(Privacy, NoWorkerOfAParameterServerSendsANumberOfItsRows) {
  constexpr int kWorkers = 4;
  const Problem5 problem = Problem5::squared(kWorkers);
  ParameterServerOptions options;
  options.session = network_options(problem, NetworkSolver::nids, 1e-6).session;
  options.session.sync.kind = Synchronisation::Kind::async;
  for (const ServerSolver solver : {ServerSolver::dave, ServerSolver::sgd}) {
    options.solver = solver;
    run_simulated(kWorkers + 1, {}, {}, [&](Endpoint& endpoint) {
      const bool serves = endpoint.rank() == kWorkers;
      const std::vector<OwnShard::Row> rows =
          serves ? std::vector<OwnShard::Row>() : problem.shards[static_cast<std::size_t>(endpoint.rank())];
      Listener listener(endpoint, values_of(rows));
      OwnShard mine(rows, false, Problem5::kDimension);
      train_parameter_server(mine, listener, std::vector<double>(Problem5::kDimension, 0.0), options);
      EXPECT_GT(listener.messages, 10);
      EXPECT_EQ(listener.rows_numbers, 0);
    });
  }
}

}  // namespace
}  // namespace muster
