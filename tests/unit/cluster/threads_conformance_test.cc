#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "cluster/threads/threads_launch.h"
#include "conformance.h"

namespace muster {
namespace {

class ThreadsConformance : public testing::TestWithParam<std::tuple<int, conformance::Check>> {};

TEST_P(ThreadsConformance, Holds) {
  const auto& [ranks, check] = GetParam();
  EndpointOptions options;
  options.credit_bytes = conformance::kCreditBytes;
  options.silence_seconds = 60;  // the checks fill large buffers without a sign of life
  const auto run = check.run;
  ASSERT_NO_THROW(run_threads(ranks, options, [run](Endpoint& endpoint) { run(endpoint); }));
}

std::string test_name(const testing::TestParamInfo<ThreadsConformance::ParamType>& info) {
  return std::get<1>(info.param).name + std::string("Ranks") + std::to_string(std::get<0>(info.param));
}

INSTANTIATE_TEST_SUITE_P(All, ThreadsConformance,
                         testing::Combine(testing::Range(1, 10), testing::ValuesIn(conformance::all_checks())),
                         test_name);

}  // namespace
}  // namespace muster
