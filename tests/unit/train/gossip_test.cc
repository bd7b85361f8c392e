// Laws of one round of talk: the mean stays, whatever the graph, the compression or the acceleration; the distance from
// it shrinks as the topology says; maxima spread to all within the diameter.
#include "train/gossip.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "base/random.h"
#include "cluster/sim/sim_launch.h"
#include "decentralized_shards.h"

namespace muster {
namespace {

constexpr std::size_t kNumbers = 7;

using Copies = std::vector<std::vector<double>>;  // by node

Copies random_copies(int nodes) {
  const RandomStream random(11, 0, RandomPurpose::start_vector);
  Copies copies;
  for (std::uint64_t k = 0; k < static_cast<std::uint64_t>(nodes); ++k) {
    copies.emplace_back();
    for (std::uint64_t j = 0; j < kNumbers; ++j)
      copies.back().push_back(static_cast<double>(k + 1) * (2 * random.uniform(k * kNumbers + j) - 1));
  }
  return copies;
}

std::vector<double> mean(const Copies& copies) {
  std::vector<double> sum(kNumbers, 0.0);
  for (const auto& copy : copies)
    for (std::size_t j = 0; j < kNumbers; ++j) sum[j] += copy[j] / static_cast<double>(copies.size());
  return sum;
}

double distance_from_mean(const Copies& copies) {
  const std::vector<double> centre = mean(copies);
  double square = 0;
  for (const auto& copy : copies)
    for (std::size_t j = 0; j < kNumbers; ++j) square += (copy[j] - centre[j]) * (copy[j] - centre[j]);
  return std::sqrt(square);
}

struct Talk {
  std::vector<Copies> rounds;                         // [0]: before the first
  std::vector<std::vector<StopAgreement>> agreement;  // by round, by node
};

// Nothing but averaging: each round's result is the next one's message.
Talk talk(const Topology& topology, GossipOptions options, int rounds) {
  const auto n = static_cast<std::size_t>(topology.nodes());
  Talk talk{std::vector<Copies>(static_cast<std::size_t>(rounds) + 1, random_copies(topology.nodes())),
            std::vector<std::vector<StopAgreement>>(static_cast<std::size_t>(rounds), std::vector<StopAgreement>(n))};
  options.copy = options.message = kNumbers;
  options.scale.assign(kNumbers, 1.0);
  run_simulated(topology.nodes(), {}, {}, [&](Endpoint& endpoint) {
    Gossip gossip(endpoint, topology, options);
    const auto k = static_cast<std::size_t>(endpoint.rank());
    StopAgreement agreement;
    agreement.maxima[StopAgreement::kGradient] = endpoint.rank();
    agreement.means[StopAgreement::kValue] = endpoint.rank();
    for (std::size_t round = 0; round < talk.agreement.size(); ++round) {
      gossip.mix(talk.rounds[round][k], talk.rounds[round + 1][k], agreement);
      talk.agreement[round][k] = agreement;
    }
  });
  return talk;
}

void expect_mean_kept(const Talk& talk, const std::string& what) {
  const std::vector<double> expected = mean(talk.rounds[0]);
  for (std::size_t round = 1; round < talk.rounds.size(); ++round) {
    const std::vector<double> now = mean(talk.rounds[round]);
    for (std::size_t j = 0; j < kNumbers; ++j) EXPECT_NEAR(now[j], expected[j], 1e-12) << what << ", round " << round;
  }
}

TEST(Gossip, EveryRoundKeepsTheMean) {
  for (const auto& [name, nodes] : std::vector<std::pair<std::string, int>>{{"ring", 9},
                                                                            {"line", 6},
                                                                            {"star", 7},
                                                                            {"complete", 5},
                                                                            {"torus", 12},
                                                                            {"hypercube", 8},
                                                                            {"symmetric-exponential", 10},
                                                                            {"exponential", 10},
                                                                            {"one-peer-exponential", 12},
                                                                            {"random-regular:3", 10}}) {
    const Talk plain = talk(graph(name, nodes), {}, 30);
    expect_mean_kept(plain, name);
    EXPECT_LT(distance_from_mean(plain.rounds.back()), distance_from_mean(plain.rounds.front())) << name;
  }
  expect_mean_kept(talk(unequal_directed_ring(6), {}, 30), "directed ring");
  expect_mean_kept(talk(graph("torus", 12), {.chebyshev = spectrum(graph("torus", 12)).lambda2_modulus}, 30),
                   "accelerated");
}

TEST(Gossip, CompressedRoundsKeepTheMeanAndStillAgree) {
  using Kind = MessageCompression::Kind;
  for (const auto& [compression, step, rounds, left] :
       std::vector<std::tuple<MessageCompression, double, int, double>>{{{Kind::float32, 0}, 1, 200, 1e-9},
                                                                        {{Kind::float16, 0}, 1, 200, 1e-9},
                                                                        {{Kind::int8, 0}, 1, 200, 1e-9},
                                                                        {{Kind::top_k, 2}, 0.08, 1500, 1e-6}}) {
    const Talk compressed = talk(graph("ring", 6), {.compression = compression, .consensus_step = step}, rounds);
    const std::string what = std::to_string(static_cast<int>(compression.kind));
    expect_mean_kept(compressed, what);
    EXPECT_LT(distance_from_mean(compressed.rounds.back()), left * distance_from_mean(compressed.rounds[0])) << what;
  }
}

TEST(Gossip, TheDistanceFromTheMeanShrinksByTheSecondEigenvalue) {
  for (const std::string name : {"ring", "torus", "line", "random-regular:3"}) {
    const Topology topology = graph(name, 8);
    const Talk plain = talk(topology, {}, 120);
    const double lambda = spectrum(topology).lambda2_modulus;
    double before = distance_from_mean(plain.rounds[0]);
    for (std::size_t round = 1; round < 40; ++round) {
      const double now = distance_from_mean(plain.rounds[round]);
      EXPECT_LE(now, lambda * before * (1 + 1e-12)) << name;
      before = now;
    }
    // Slower directions are gone; what is left shrinks by |λ₂| exactly, until rounding.
    const double start = distance_from_mean(plain.rounds[0]);
    std::size_t last = 119;
    while (distance_from_mean(plain.rounds[last]) < 1e-9 * start) --last;
    EXPECT_NEAR(distance_from_mean(plain.rounds[last]) / distance_from_mean(plain.rounds[last - 1]), lambda, 2e-3)
        << name;
  }
}

TEST(Gossip, ChebyshevsPolynomialShrinksItByItsOwnBound) {
  // K exchanges: at most 1/T_K(1/λ), T_K(x) = cosh(K arccosh x); K = ⌈1/√(1 − λ)⌉.
  const Topology topology = graph("ring", 16);
  const double lambda = spectrum(topology).lambda2_modulus;
  const double exchanges = std::ceil(1 / std::sqrt(1 - lambda));
  const double bound = 1 / std::cosh(exchanges * std::acosh(1 / lambda));
  const Talk fast = talk(topology, {.chebyshev = lambda}, 8);
  for (std::size_t round = 1; round < fast.rounds.size(); ++round)
    EXPECT_LE(distance_from_mean(fast.rounds[round]), bound * distance_from_mean(fast.rounds[round - 1]) * (1 + 1e-9));
  EXPECT_LT(bound, std::pow(lambda, exchanges));
}

TEST(Gossip, MaximaReachAllWithinTheDiameterAndMeansTendToTheMean) {
  for (const std::string name : {"line", "ring", "exponential", "one-peer-exponential", "star"}) {
    const Topology topology = graph(name, 8);
    const int window = diameter(topology) * topology.period();
    const Talk plain = talk(topology, {}, std::max(window, 900));
    for (const StopAgreement& agreed : plain.agreement[static_cast<std::size_t>(window - 1)])
      EXPECT_EQ(agreed.maxima[StopAgreement::kGradient], 7) << name;
    for (const StopAgreement& agreed : plain.agreement.back())
      EXPECT_NEAR(agreed.means[StopAgreement::kValue], 3.5, 1e-9) << name;
  }
}

}  // namespace
}  // namespace muster
