#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "cluster/sim/sim_launch.h"
#include "conformance.h"

namespace muster {
namespace {

class SimConformance : public testing::TestWithParam<std::tuple<int, conformance::Check>> {};

TEST_P(SimConformance, Holds) {
  const auto& [ranks, check] = GetParam();
  EndpointOptions options;
  options.credit_bytes = conformance::kCreditBytes;
  const auto run = check.run;
  ASSERT_NO_THROW(run_simulated(ranks, {}, options, [run](Endpoint& endpoint) { run(endpoint); }));
}

// Hosts of two ranks each, jitter, and another order of what happens at once.
class SimConformanceOnHosts : public SimConformance {};

TEST_P(SimConformanceOnHosts, Holds) {
  const auto& [ranks, check] = GetParam();
  ClusterModel model;
  for (int r = 0; r < ranks; ++r) model.nodes.push_back({.host = r / 2});
  model.hosts.resize(5);
  model.inter_host.jitter_seconds = 1e-4;
  model.tie_seed = 7;
  EndpointOptions options;
  options.credit_bytes = conformance::kCreditBytes;
  const auto run = check.run;
  ASSERT_NO_THROW(run_simulated(ranks, model, options, [run](Endpoint& endpoint) { run(endpoint); }));
}

std::string test_name(const testing::TestParamInfo<SimConformance::ParamType>& info) {
  return std::get<1>(info.param).name + std::string("Ranks") + std::to_string(std::get<0>(info.param));
}

INSTANTIATE_TEST_SUITE_P(All, SimConformance,
                         testing::Combine(testing::Range(1, 10), testing::ValuesIn(conformance::all_checks())),
                         test_name);
INSTANTIATE_TEST_SUITE_P(All, SimConformanceOnHosts,
                         testing::Combine(testing::Values(2, 5), testing::ValuesIn(conformance::all_checks())),
                         test_name);

}  // namespace
}  // namespace muster
