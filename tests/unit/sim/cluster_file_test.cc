#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cluster/sim/cluster_file.h"
#include "cluster/sim/sim_launch.h"
#include "muster/error.h"

namespace muster {
namespace {

std::string error_of(std::string_view text) {
  try {
    parse_cluster(text, "c.toml");
  } catch (const InputError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(ClusterFile, AnEmptyFileIsTheUniformCluster) {
  const ClusterModel model = parse_cluster("", "c.toml"), plain;
  EXPECT_TRUE(model.nodes.empty());
  EXPECT_EQ(model.inter_host.bandwidth, plain.inter_host.bandwidth);
  EXPECT_EQ(model.default_node.flops_per_second, plain.default_node.flops_per_second);
}

TEST(ClusterFile, GroupsOfNodesTakeWhatTheyDoNotSayFromTheDefault) {
  const ClusterModel model = parse_cluster(R"(
seed = 5
tie_seed = 6
silence_seconds = 3
[node]
flops_per_second = 1e9
factor = 2
[[nodes]]
count = 3
per_host = 2
host = "a"
site = "north"
[[nodes]]
host = "b"
flops_per_second = 2e9
round_factor = [1, 1.5, 8]
in_bandwidth = 5
[links]
inter_host = { latency_seconds = 1, bandwidth = 7 }
[[links.between]]
sites = ["north", ""]
bandwidth = 3
[failures]
deaths_per_second = 0.5
pause_seconds = { distribution = "lognormal", median = 2, sigma = 0.5 }
[[failures.deaths]]
node = 3
at = 1.5
[[failures.links]]
nodes = [0, 1]
at = 1
until = 2
cut = true
)",
                                           "c.toml");
  EXPECT_EQ(model.seed, 5u);
  EXPECT_EQ(model.tie_seed, 6u);
  EXPECT_EQ(model.silence_seconds, 3);
  ASSERT_EQ(model.nodes.size(), 4u);
  EXPECT_EQ(model.nodes[0].host, 0);
  EXPECT_EQ(model.nodes[1].host, 0);
  EXPECT_EQ(model.nodes[2].host, 1);
  EXPECT_EQ(model.hosts[1].name, "a1");
  EXPECT_EQ(model.hosts[2].name, "b0");
  EXPECT_EQ(model.nodes[0].flops_per_second, 1e9);
  EXPECT_EQ(model.nodes[3].flops_per_second, 2e9);
  EXPECT_EQ(model.nodes[3].factor.a, 2);
  EXPECT_EQ(model.nodes[3].round_factor.values, (std::vector<double>{1, 1.5, 8}));
  EXPECT_EQ(model.hosts[2].in_bandwidth, 5);
  ASSERT_EQ(model.site_links.size(), 1u);
  EXPECT_EQ(model.site_links[0].link.bandwidth, 3);
  EXPECT_EQ(model.site_links[0].link.latency_seconds, 1);  // as inter_host says
  EXPECT_EQ(model.deaths_per_second, 0.5);
  EXPECT_EQ(model.pause_seconds.b, 0.5);
  EXPECT_EQ(model.deaths[0].at, 1.5);
  EXPECT_TRUE(model.link_faults[0].cut);
  EXPECT_EQ(model.link_faults[0].until, 2);
}

TEST(ClusterFile, ErrorsNameLineColumnAndKey) {
  EXPECT_EQ(error_of("[node]\nflops_per_secnd = 1\n"),
            "c.toml:2:1: unknown key 'flops_per_secnd' in [node]; did you mean 'flops_per_second'?");
  EXPECT_EQ(error_of("[links.inter_host]\nlatency = 1\n"),
            "c.toml:2:1: unknown key 'latency' in [links.inter_host]; did you mean 'latency_seconds'?");
  EXPECT_EQ(error_of("\n[node]\n  flops_per_second = \"fast\"\n"),
            "c.toml:3:22: 'flops_per_second' in [node] must be a number");
  EXPECT_EQ(error_of("[node]\nflops_per_second = 0\n"),
            "c.toml:2:20: 'flops_per_second' in [node] must be greater than 0");
  EXPECT_EQ(error_of("[[nodes]]\ncount = 2.5\n"),
            "c.toml:2:9: 'count' in [[nodes]] must be a whole number, at least 1");
  EXPECT_EQ(
      error_of("[node]\nfactor = { distribution = \"gamma\" }\n"),
      "c.toml:2:10: distribution 'gamma' is unknown: constant, uniform, exponential, lognormal, pareto, empirical");
  EXPECT_EQ(error_of("[node]\nfactor = { distribution = \"pareto\" }\n"),
            "c.toml:2:10: 'shape' is missing in [node.factor]");
  EXPECT_EQ(error_of("[[nodes]]\ncount = 2\n[[failures.deaths]]\nnode = 2\n"),
            "c.toml:3:1: there is no node 2: the cluster has nodes 0 to 1");
  EXPECT_EQ(error_of("[node]\nsite = \"a\"\n[[links.between]]\nsites = [\"a\", \"b\"]\n"),
            "c.toml:3:1: no node is at the site 'b'");
  EXPECT_EQ(error_of("nodes = 3\n"), "c.toml:1:9: 'nodes' in the file must be tables in double brackets");
  EXPECT_EQ(error_of("seed = -1\n"), "c.toml:1:8: 'seed' in the file must be a whole number, at least 0");
  EXPECT_EQ(error_of("[[failures.links]]\nloss = 1.5\n"),
            "c.toml:2:8: 'loss' in [[failures.links]] must be between 0 and 1");
  EXPECT_EQ(error_of("seed = 1\nseed = 2\n").substr(0, 9), "c.toml:2:");
  EXPECT_EQ(error_of("[node\n").substr(0, 9), "c.toml:1:");
}

TEST(ClusterFile, AMissingFileIsNamed) {
  EXPECT_THROW(read_cluster_file("/nowhere/cluster.toml"), InputError);
}

TEST(ClusterFile, TooFewNodesAreRefused) {
  const ClusterModel model = parse_cluster("[[nodes]]\ncount = 2\n", "c.toml");
  EXPECT_THROW(run_simulated(3, model, {}, [](Endpoint&) {}), InputError);
}

class Example : public testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(Example, Runs) {
  const auto& [name, nodes] = GetParam();
  const ClusterModel model = read_cluster_file(std::string(MUSTER_SOURCE_DIR "/examples/clusters/") + name + ".toml");
  ASSERT_EQ(model.nodes.size(), static_cast<std::size_t>(nodes));
  const SimReport report = run_simulated(nodes, model, {}, [&](Endpoint& e) {
    double sum = 1;
    e.charge({.bytes = 1e6, .flops = 1e6});
    e.allreduce({&sum, 1}, ReduceOp::sum, Deadline::never());
    EXPECT_EQ(sum, nodes);
  });
  EXPECT_GT(report.seconds, 0);
}

INSTANTIATE_TEST_SUITE_P(All, Example,
                         testing::Values(std::tuple("laptop", 8), std::tuple("rack64", 64), std::tuple("two_sites", 32),
                                         std::tuple("spot1000", 1000), std::tuple("federated", 201)),
                         [](const auto& test) { return std::get<0>(test.param); });

// --- distributions: what is drawn has the mean and the quantiles that the formula says ---

TEST(Distribution, SamplesHaveTheirMeanAndMedian) {
  const int n = 200'000;
  for (const Distribution& d :
       {Distribution::uniform(1, 3), Distribution::exponential(2), Distribution::lognormal(1.5, 0.5),
        Distribution::pareto(1, 4), Distribution::empirical({1, 2, 6})}) {
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += d.sample((i + 0.5) / n);
    EXPECT_NEAR(sum / n, d.mean(), 1e-3 * d.mean());
  }
  EXPECT_NEAR(Distribution::exponential(2).sample(0.5), 2 * std::log(2), 1e-15);
  EXPECT_NEAR(Distribution::lognormal(1.5, 0.5).sample(0.5), 1.5, 1e-15);
  EXPECT_NEAR(Distribution::lognormal(1, 1).sample(0.975), std::exp(1.959963984540054), 1e-13);
  EXPECT_NEAR(Distribution::pareto(2, 3).sample(0.875), 4, 1e-14);
  EXPECT_EQ(Distribution::empirical({1, 2, 6}).sample(0.99), 6);
  for (const Distribution::Kind kind :
       {Distribution::Kind::exponential, Distribution::Kind::lognormal, Distribution::Kind::pareto}) {
    const Distribution d{kind, 1, 1, {}};
    EXPECT_TRUE(std::isfinite(d.sample(0)));
    EXPECT_TRUE(std::isfinite(d.sample(1 - std::numeric_limits<double>::epsilon() / 2)));
  }
}

}  // namespace
}  // namespace muster
