// Which network favours which structure: rounds of the same length in a star, a server with 64 workers, and in a ring
// of 64, on simulated networks, against the α-β arithmetic. The table of both: bench/star_ring.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <tuple>

#include "cluster/sim/sim_launch.h"
#include "train/decentralized.h"
#include "train/parameter_server.h"

namespace muster {
namespace {

constexpr int kWorkers = 64;
constexpr std::size_t kColumns = 2000;
constexpr double kBytes = 8.0 * kColumns;

// ½|w|² in place of rows; a gradient takes ten milliseconds of a node at its four gigaflops.
class TenMilliseconds final : public Objective {
 public:
  explicit TenMilliseconds(bool worker) : weight_(worker ? 1 : 0) {}
  std::size_t dimension() const override { return kColumns; }
  std::size_t rows() const override { return static_cast<std::size_t>(weight_); }
  double weight() const override { return weight_; }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double>) override {
    value = 0;
    for (std::size_t j = 0; j < kColumns; ++j) {
      gradient[j] = weight_ * w[j];
      value += 0.5 * weight_ * w[j] * w[j];
    }
    return {.flops = 4e7 * weight_};
  }
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    for (std::size_t j = 0; j < kColumns; ++j) product[j] = weight_ * v[j];
    return {.flops = 4e7 * weight_};
  }

 private:
  double weight_;
};

SessionOptions rounds_of(std::int64_t rounds) {
  SessionOptions options;
  options.penalty.assign(kColumns, 0.0);
  options.sync.kind = Synchronisation::Kind::bsp;
  options.max_rounds = rounds;
  options.estimate.scale.assign(kColumns, 1.0);
  options.estimate.met = [](double, double) { return false; };
  return options;
}

void star(Endpoint& endpoint, std::int64_t rounds) {
  TenMilliseconds objective(endpoint.rank() < kWorkers);
  ParameterServerOptions options;
  options.session = rounds_of(rounds);
  options.solver = ServerSolver::sgd;
  train_parameter_server(objective, endpoint, std::vector<double>(kColumns, 1.0), options);
}

void ring(Endpoint& endpoint, std::int64_t rounds) {
  TenMilliseconds objective(true);
  DecentralizedOptions options;
  options.session = rounds_of(rounds);
  const Topology topology = make_topology("ring", kWorkers, MixingWeights::automatic, 0);
  train_decentralized(objective, endpoint, topology, std::vector<double>(kColumns, 1.0), options);
}

// By the difference of two runs: set-up and the certificate do not count.
double seconds_per_round(const std::function<void(Endpoint&, std::int64_t)>& model, int ranks, const LinkModel& link) {
  ClusterModel cluster;
  cluster.inter_host = link;
  cluster.silence_seconds = 1e6;
  const auto run = [&](std::int64_t rounds) {
    return run_simulated(ranks, cluster, {}, [&](Endpoint& endpoint) { model(endpoint, rounds); }).seconds;
  };
  return (run(13) - run(5)) / 8;
}

TEST(StarOrRing, ASlowNetworkFavoursTheRingByTheFactorOfTheArithmetic) {
  const LinkModel nothing{0, 0, 1e18, 0, 0};
  const double star_alone = seconds_per_round(star, kWorkers + 1, nothing);
  const double ring_alone = seconds_per_round(ring, kWorkers, nothing);
  EXPECT_NEAR(ring_alone, 0.010, 0.001);
  for (const auto& [latency, bandwidth, least, most] :
       {std::tuple(50e-3, 1.25e6, 10.0, 30.0), std::tuple(2e-6, 12.5e9, 0.9, 1.3)}) {
    const LinkModel link{latency, 0, bandwidth, 2e-6, 2e-6};
    const double alpha = latency + 4e-6;
    const double star_seconds = seconds_per_round(star, kWorkers + 1, link);
    const double ring_seconds = seconds_per_round(ring, kWorkers, link);
    EXPECT_NEAR(star_seconds / (star_alone + 2 * alpha + (kWorkers + 1) * kBytes / bandwidth), 1, 0.01);
    EXPECT_NEAR(ring_seconds / (ring_alone + alpha + 2 * kBytes / bandwidth), 1, 0.01);
    EXPECT_GT(star_seconds / ring_seconds, least);
    EXPECT_LT(star_seconds / ring_seconds, most);
  }
}

}  // namespace
}  // namespace muster
