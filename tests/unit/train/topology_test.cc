#include "train/topology.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "muster/error.h"

namespace muster {
namespace {

Topology make(const std::string& spec, int nodes, MixingWeights weights = MixingWeights::automatic) {
  return make_topology(spec, nodes, weights, 0);
}

std::vector<double> mixed(const Topology& topology, const std::vector<double>& x, std::int64_t round) {
  std::vector<double> result(x.size());
  for (int k = 0; k < topology.nodes(); ++k) {
    const MixingRow& row = topology.row(k, round);
    double sum = row.self * x[static_cast<std::size_t>(k)];
    for (const WeightedNeighbour& neighbour : row.in)
      sum += neighbour.weight * x[static_cast<std::size_t>(neighbour.node)];
    result[static_cast<std::size_t>(k)] = sum;
  }
  return result;
}

std::vector<double> values(int nodes) {
  const RandomStream random(3, 0, RandomPurpose::start_vector);
  std::vector<double> x(static_cast<std::size_t>(nodes));
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = random.uniform(k);
  return x;
}

double spread(const std::vector<double>& x) {
  double mean = 0, square = 0;
  for (double value : x) mean += value / static_cast<double>(x.size());
  for (double value : x) square += (value - mean) * (value - mean);
  return std::sqrt(square);
}

TEST(Topology, SecondEigenvaluesInClosedForm) {
  // The ring with equal weights is circulant: (1 + 2 cos(2π/n))/3.
  EXPECT_NEAR(spectrum(make("ring", 16, MixingWeights::uniform)).lambda2_modulus, 0.949253, 5e-7);
  EXPECT_NEAR(spectrum(make("ring", 999, MixingWeights::uniform)).spectral_gap,
              2 * (1 - std::cos(2 * std::numbers::pi / 999)) / 3, 1e-10);
  for (const int dimension : {2, 4, 6}) {
    const double expected = (dimension - 1.0) / (dimension + 1.0);
    EXPECT_NEAR(spectrum(make("hypercube", 1 << dimension, MixingWeights::uniform)).lambda2_modulus, expected, 1e-9);
    EXPECT_NEAR(spectrum(make("exponential", 1 << dimension)).lambda2_modulus, expected, 1e-9);
  }
  EXPECT_NEAR(spectrum(make("complete", 7, MixingWeights::uniform)).lambda2_modulus, 0, 1e-9);
}

TEST(Topology, OnePeerAveragesExactlyInLogRoundsForPowersOfTwoOnly) {
  for (const int nodes : {8, 16, 12}) {
    const Topology topology = make("one-peer-exponential", nodes);
    std::vector<double> x = values(nodes);
    for (int round = 0; round < topology.period(); ++round) x = mixed(topology, x, round);
    if (nodes == 12) {
      EXPECT_GT(spread(x), 1e-3);
    } else {
      EXPECT_EQ(1 << topology.period(), nodes);
      EXPECT_LT(spread(x), 1e-15 * nodes);
    }
  }
}

TEST(Topology, RowsAndColumnsSumToOneAndTheDistanceShrinksByTheSecondEigenvalue) {
  for (const std::string spec :
       {"ring", "line", "star", "torus", "complete", "symmetric-exponential", "random-regular:3"}) {
    const Topology topology = make(spec, 12);
    EXPECT_TRUE(topology.symmetric() && topology.doubly_stochastic()) << spec;
    std::vector<double> x = values(12);
    double sum = 0;
    for (double value : x) sum += value;
    const double lambda = spectrum(topology).lambda2_modulus;
    double before = 0;
    for (int round = 0; round < 60; ++round) {
      before = spread(x);
      x = mixed(topology, x, round);
      EXPECT_LE(spread(x), lambda * before + 1e-14) << spec;
    }
    for (double value : x) sum -= value;
    EXPECT_NEAR(sum, 0, 1e-13) << spec;
  }
}

TEST(Topology, ADeadNodeLeavesTheLivingDoublyStochasticAndACutIsFound) {
  const Topology ring = make("ring", 8).without(std::array{3});
  EXPECT_TRUE(ring.doubly_stochastic());
  EXPECT_EQ(ring.components().size(), 1U);
  for (const WeightedNeighbour& neighbour : ring.row(2).in) EXPECT_NE(neighbour.node, 3);
  const Topology line = make("line", 6).without(std::array{2});
  const std::vector<std::vector<int>> parts{{3, 4, 5}, {0, 1}};
  EXPECT_EQ(line.components(), parts);
  EXPECT_THROW(check_connected(line), InputError);
}

TEST(Topology, ADeadNodeLeavesADirectedGraphsColumnsSummingToOne) {
  const Topology exponential = make("exponential", 8).without(std::array{3});
  EXPECT_TRUE(exponential.column_stochastic() && !exponential.row_stochastic());
  EXPECT_NEAR(exponential.row(2).self, 1.0 / 3, 1e-15);  // one of its three neighbours is gone
  EXPECT_EQ(exponential.row(3).self, 1);
  const std::vector<std::vector<int>> parts{{0, 1, 2, 4, 5, 6, 7}};
  EXPECT_EQ(exponential.components(), parts);
}

TEST(Topology, NodesLeftOutTogetherAreAsThoseLeftOutInTurn) {
  for (const char* spec : {"torus:4x4", "exponential", "one-peer-exponential"}) {
    const Topology together = make(spec, 16).without(std::array{3, 7, 11});
    const Topology in_turn = make(spec, 16).without(std::array{11}).without(std::array{3}).without(std::array{7});
    for (int k = 0; k < 16; ++k)
      for (int round = 0; round < together.period(); ++round) {
        const MixingRow &one = together.row(k, round), &other = in_turn.row(k, round);
        EXPECT_NEAR(one.self, other.self, 1e-15) << spec;
        ASSERT_EQ(one.in.size(), other.in.size()) << spec;
        for (std::size_t i = 0; i < one.in.size(); ++i) {
          EXPECT_EQ(one.in[i].node, other.in[i].node) << spec;
          EXPECT_NEAR(one.in[i].weight, other.in[i].weight, 1e-15) << spec;
        }
      }
  }
}

TEST(Topology, RandomRegularGraphsAreSimpleRegularConnectedAndOfTheirSeed) {
  for (const auto& [degree, nodes] : std::vector<std::pair<int, int>>{{2, 9}, {3, 10}, {4, 30}, {7, 10}, {9, 10}}) {
    const std::string spec = "random-regular:" + std::to_string(degree);
    for (const std::uint64_t seed : {1, 2, 3}) {
      const Topology topology = make_topology(spec, nodes, MixingWeights::automatic, seed);
      for (int k = 0; k < nodes; ++k) {
        std::set<int> neighbours;
        for (const WeightedNeighbour& n : topology.row(k).in) neighbours.insert(n.node);
        EXPECT_EQ(static_cast<int>(neighbours.size()), degree) << spec;
        EXPECT_EQ(topology.row(k).in.size(), neighbours.size()) << spec;
        EXPECT_FALSE(neighbours.contains(k)) << spec;
      }
      EXPECT_EQ(topology.components().size(), 1U) << spec;
    }
  }
  const auto first_row = [](std::uint64_t seed) {
    const Topology topology = make_topology("random-regular:4", 60, MixingWeights::automatic, seed);
    std::vector<int> nodes;
    for (const WeightedNeighbour& n : topology.row(0).in) nodes.push_back(n.node);
    return nodes;
  };
  EXPECT_EQ(first_row(1), first_row(1));
  EXPECT_NE(first_row(1), first_row(2));
}

TEST(Topology, DiametersByHand) {
  EXPECT_EQ(diameter(make("ring", 9)), 4);
  EXPECT_EQ(diameter(make("line", 9)), 8);
  EXPECT_EQ(diameter(make("star", 9)), 2);
  EXPECT_EQ(diameter(make("hypercube", 32)), 5);
  EXPECT_EQ(diameter(make("torus:4x6", 24)), 5);
}

TEST(Topology, OneAndTwoNodes) {
  for (const std::string spec : {"ring", "line", "star", "complete", "exponential", "one-peer-exponential"}) {
    for (const int nodes : {1, 2}) {
      const Topology topology = make(spec, nodes);
      EXPECT_EQ(topology.nodes(), nodes) << spec;
      EXPECT_EQ(topology.components().size(), 1U) << spec;
    }
  }
}

TEST(Topology, BadNamesAndSizesAreRefused) {
  EXPECT_THROW(make("rnig", 4), InputError);
  EXPECT_THROW(make("hypercube", 6), InputError);
  EXPECT_THROW(make("torus:2x3", 7), InputError);
  EXPECT_THROW(make("random-regular:3", 5), InputError);
  EXPECT_THROW(make("file:/nowhere/graph.txt", 4), InputError);
}

}  // namespace
}  // namespace muster
