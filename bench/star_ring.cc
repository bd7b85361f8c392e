// Does a network without a server train faster than one with it? Seconds of virtual time per synchronous round of the
// three programming models on a simulated cluster, beside the α-β arithmetic of the same:
//
//     star        c + 2α + (n+1)bβ    parameter server, one server, bulk synchronous: n models go out while n gradients
//                                     come in (who is answered first, answers first), and the last one both ways
//     ring        c +  α + 2bβ        decentralized, nids: two models go out while two come in
//     allreduce   no formula          MapReduce, with the collectives every transport has
//
//     n: workers, b: bytes of a message, α: latency and the processors' overhead, 1/β: bandwidth, c: a round where
//     messages cost nothing, measured for each model (the gradient, and what servers and nodes compute besides).
//
// The claim is X. Lian et al., "Can decentralized algorithms outperform centralized algorithms?", NIPS 2017: the
// busiest node of the star talks to n others in a round, of the ring to 2; so a slow or distant network favours the
// ring, and a fast one does not. What a round achieves is another matter: star/ring is the number of rounds that the
// ring may take for one of the star before it loses.
//
//     star_ring [WORKERS [COLUMNS]]      defaults 64 10000; a thousand rows on each worker
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "cluster/sim/sim_launch.h"
#include "solver/gd.h"
#include "train/decentralized.h"
#include "train/mapreduce.h"
#include "train/parameter_server.h"

namespace {

using namespace muster;

struct Network {
  std::string name;
  double latency_seconds = 0, bandwidth = 0, overhead_seconds = 2e-6;
};

struct Setting {
  int workers = 0;
  std::size_t columns = 0;
};

// Σ_j h_j (w_j − centre)²/2 with h from 1/100 to 1, in place of rows; it charges what a thousand dense ones take.
class Bowl final : public Objective {
 public:
  Bowl(const Setting& setting, int rank)
      : columns_(setting.columns), present_(rank < setting.workers ? 1.0 : 0.0), centre_(1.0 + rank) {}

  std::size_t dimension() const override { return columns_; }
  std::size_t rows() const override { return present_ > 0 ? kRows : 0; }
  double weight() const override { return static_cast<double>(rows()); }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double>) override {
    value = 0;
    for (std::size_t j = 0; j < columns_; ++j) {
      gradient[j] = weight() * curvature(j) * (w[j] - centre_);
      value += gradient[j] * (w[j] - centre_) / 2;
    }
    return work();
  }
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    for (std::size_t j = 0; j < columns_; ++j) product[j] = weight() * curvature(j) * v[j];
    return work();
  }

 private:
  static constexpr std::size_t kRows = 1000;
  double curvature(std::size_t j) const { return 0.01 + 0.99 * static_cast<double>(j) / static_cast<double>(columns_); }
  Work work() const {
    const double cells = static_cast<double>(kRows * columns_) * present_;
    return {.bytes = 8 * cells, .flops = 4 * cells};
  }

  std::size_t columns_;
  double present_, centre_;
};

// --- so many rounds of each model, as one rank ---

SessionOptions session(const Setting& setting, std::int64_t rounds) {
  SessionOptions options;
  options.penalty.assign(setting.columns, 0.0);
  options.sync.kind = Synchronisation::Kind::bsp;
  options.max_rounds = rounds;
  options.estimate.scale.assign(setting.columns, 1.0);
  options.estimate.met = [](double, double) { return false; };
  return options;
}

void star(Endpoint& e, const Setting& setting, std::int64_t rounds) {
  Bowl objective(setting, e.rank());
  ParameterServerOptions options;
  options.session = session(setting, rounds);
  options.solver = ServerSolver::sgd;
  train_parameter_server(objective, e, std::vector<double>(setting.columns, 0.0), options);
}

void ring(Endpoint& e, const Setting& setting, std::int64_t rounds) {
  Bowl objective(setting, e.rank());
  DecentralizedOptions options;
  options.session = session(setting, rounds);
  const Topology topology = make_topology("ring", setting.workers, MixingWeights::automatic, 0);
  train_decentralized(objective, e, topology, std::vector<double>(setting.columns, 0.0), options);
}

void allreduce(Endpoint& e, const Setting& setting, std::int64_t rounds) {
  Bowl objective(setting, e.rank());
  MapReduceOptions options;
  options.penalty.assign(setting.columns, 0.0);
  MapReduce trainer(objective, e, options);
  const std::vector<double> w(setting.columns, 0.0);
  std::vector<double> gradient(setting.columns);
  for (std::int64_t k = 0; k < rounds; ++k) trainer.value_and_gradient(w, gradient);
}

using Model = std::function<void(Endpoint&, const Setting&, std::int64_t)>;

// The difference of two runs, so that what comes before and after the rounds does not count.
double seconds_per_round(const Model& model, int ranks, const Network& network, const Setting& setting) {
  ClusterModel cluster;
  cluster.inter_host = {.latency_seconds = network.latency_seconds,
                        .jitter_seconds = 0,
                        .bandwidth = network.bandwidth,
                        .send_overhead_seconds = network.overhead_seconds,
                        .receive_overhead_seconds = network.overhead_seconds};
  cluster.silence_seconds = 1e6;
  const auto run = [&](std::int64_t rounds) {
    return run_simulated(ranks, cluster, {}, [&](Endpoint& e) { model(e, setting, rounds); }).seconds;
  };
  constexpr int kFew = 5, kMany = 25;
  return (run(kMany) - run(kFew)) / (kMany - kFew);
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, int otherwise) { return argc > i ? std::atoi(argv[i]) : otherwise; };
  const Setting setting{.workers = argument(1, 64), .columns = static_cast<std::size_t>(argument(2, 10'000))};
  const int n = setting.workers;
  const double bytes = 8 * static_cast<double>(setting.columns) + ClusterModel{}.header_bytes;
  const Network nothing{"costs nothing", 0, 1e18, 0};
  const double star_alone = seconds_per_round(star, n + 1, nothing, setting);
  const double ring_alone = seconds_per_round(ring, n, nothing, setting);
  fmt::print("{} workers, {} columns; ms of virtual time per round; c = {:.3f} (star), {:.3f} (ring)\n", n,
             setting.columns, 1e3 * star_alone, 1e3 * ring_alone);
  fmt::print("{:<22} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "network", "star", "by α-β", "ring", "by α-β",
             "star/ring", "by α-β", "allreduce");
  for (const Network& network : {Network{"100 Gbit/s, 2 us", 2e-6, 12.5e9}, Network{"10 Gbit/s, 25 us", 25e-6, 1.25e9},
                                 Network{"1 Gbit/s, 0.2 ms", 0.2e-3, 125e6}, Network{"100 Mbit/s, 5 ms", 5e-3, 12.5e6},
                                 Network{"10 Mbit/s, 50 ms", 50e-3, 1.25e6}}) {
    const double alpha = network.latency_seconds + 2 * network.overhead_seconds, beta = 1 / network.bandwidth;
    const double star_expected = star_alone + 2 * alpha + (n + 1) * bytes * beta;
    const double ring_expected = ring_alone + alpha + 2 * bytes * beta;
    const double star_seconds = seconds_per_round(star, n + 1, network, setting);
    const double ring_seconds = seconds_per_round(ring, n, network, setting);
    fmt::print("{:<22} {:>10.3f} {:>10.3f} {:>10.3f} {:>10.3f} {:>10.2f} {:>10.2f} {:>10.3f}\n", network.name,
               1e3 * star_seconds, 1e3 * star_expected, 1e3 * ring_seconds, 1e3 * ring_expected,
               star_seconds / ring_seconds, star_expected / ring_expected,
               1e3 * seconds_per_round(allreduce, n, network, setting));
  }
  return EXIT_SUCCESS;
}
