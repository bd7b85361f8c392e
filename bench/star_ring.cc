// Does a network without a server train faster than one with it? Seconds of virtual time per synchronous round on a
// simulated cluster, of the star (every worker sends its gradient to one server and gets w back) and of the ring
// (every node exchanges w with its two neighbours), beside the α-β arithmetic of the same:
//
//     star   c + 2α + (n+1)bβ    (n models go out while n gradients come in: who is answered first, answers first)
//     ring   c +  α + 2bβ        (two models go out while two come in)
//
//     c: computing a gradient, n: workers, b: bytes of a message, α: latency, 1/β: bandwidth.
//
// The claim is X. Lian et al., "Can decentralized algorithms outperform centralized algorithms?", NIPS 2017: per round,
// the busiest node of the star talks to n others, of the ring to 2; so the ring wins where messages cost more than
// gradients, and only there. What a round achieves is another matter: the last columns say how many rounds the ring may
// take for one of the star before it loses.
//
//     star_ring [NODES [COLUMNS]]      defaults 64 10000
#include <fmt/core.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "cluster/sim/sim_launch.h"

namespace {

using namespace muster;

struct Network {
  std::string name;
  double latency_seconds = 0;
  double bandwidth = 0;  // bytes/s
};

struct Setting {
  int workers = 0;
  std::size_t columns = 0;
  Work gradient;  // of one worker in a round
};

ClusterModel cluster(const Network& network) {
  ClusterModel model;
  model.inter_host = {.latency_seconds = network.latency_seconds, .jitter_seconds = 0, .bandwidth = network.bandwidth};
  return model;
}

using Round = std::function<void(Endpoint&, const Setting&)>;

void star_round(Endpoint& e, const Setting& setting) {
  const int server = setting.workers;
  if (e.rank() == server) {
    for (int k = 0; k < setting.workers; ++k) e.receive({{k}, {1}}, Deadline::never());
    for (int k = 0; k < setting.workers; ++k) e.send(k, 1, Buffer(setting.columns * sizeof(double)));
    return;
  }
  e.charge(setting.gradient);
  e.send(server, 1, Buffer(setting.columns * sizeof(double)));
  e.receive({{server}, {1}}, Deadline::never());
}

void ring_round(Endpoint& e, const Setting& setting) {
  e.charge(setting.gradient);
  const int before = (e.rank() + setting.workers - 1) % setting.workers, after = (e.rank() + 1) % setting.workers;
  for (const int neighbour : {before, after}) e.send(neighbour, 1, Buffer(setting.columns * sizeof(double)));
  for (const int neighbour : {before, after}) e.receive({{neighbour}, {1}}, Deadline::never());
}

double seconds_of(int rounds, int ranks, const Network& network, const Setting& setting, const Round& round) {
  return run_simulated(ranks, cluster(network), {},
                       [&](Endpoint& e) {
                         for (int k = 0; k < rounds; ++k) round(e, setting);
                       })
      .seconds;
}

// The difference of two runs, so that what comes before and after the rounds does not count.
double seconds_per_round(int ranks, const Network& network, const Setting& setting, const Round& round) {
  constexpr int kFew = 5, kMany = 25;
  return (seconds_of(kMany, ranks, network, setting, round) - seconds_of(kFew, ranks, network, setting, round)) /
         (kMany - kFew);
}

void print_row(const Network& network, const Setting& setting) {
  const ClusterModel model = cluster(network);
  const double compute = std::max(setting.gradient.flops / model.default_node.flops_per_second,
                                  setting.gradient.bytes / model.default_node.bytes_per_second);
  const double bytes = static_cast<double>(setting.columns) * sizeof(double) + model.header_bytes;
  const double alpha = network.latency_seconds, beta = 1 / network.bandwidth;
  const double star_expected = compute + 2 * alpha + (setting.workers + 1) * bytes * beta;
  const double ring_expected = compute + alpha + 2 * bytes * beta;
  const double star = seconds_per_round(setting.workers + 1, network, setting, star_round);
  const double ring = seconds_per_round(setting.workers, network, setting, ring_round);
  fmt::print("{:<34} {:>10.3f} {:>10.3f} {:>10.3f} {:>10.3f} {:>9.2f} {:>9.2f}\n", network.name, 1e3 * star,
             1e3 * star_expected, 1e3 * ring, 1e3 * ring_expected, star / ring, star_expected / ring_expected);
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, int otherwise) { return argc > i ? std::atoi(argv[i]) : otherwise; };
  Setting setting;
  setting.workers = argument(1, 64);
  setting.columns = static_cast<std::size_t>(argument(2, 10'000));
  const double rows = 1000;
  setting.gradient = {.bytes = 8 * rows * static_cast<double>(setting.columns),
                      .flops = 4 * rows * static_cast<double>(setting.columns)};
  fmt::print("{} workers, {} columns, {} rows each; milliseconds of virtual time per round\n", setting.workers,
             setting.columns, rows);
  fmt::print("{:<34} {:>10} {:>10} {:>10} {:>10} {:>9} {:>9}\n", "network", "star", "α-β", "ring", "α-β", "star/ring",
             "α-β");
  for (const Network& network : {Network{"100 Gbit/s, 2 us", 2e-6, 12.5e9}, Network{"10 Gbit/s, 25 us", 25e-6, 1.25e9},
                                 Network{"1 Gbit/s, 0.2 ms", 0.2e-3, 125e6}, Network{"100 Mbit/s, 5 ms", 5e-3, 12.5e6},
                                 Network{"10 Mbit/s, 50 ms", 50e-3, 1.25e6}}) {
    print_row(network, setting);
  }
  return EXIT_SUCCESS;
}
