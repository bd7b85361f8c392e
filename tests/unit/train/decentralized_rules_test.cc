// The update rules against their textbook forms, worked by hand and written as matrices, and the laws of dgd's fixed
// point. All nodes are in one program here: a mixing matrix takes the place of messages.
#include "train/decentralized_rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "train/topology.h"

namespace muster {
namespace {

using Vector = std::vector<double>;  // a value for each node
using Matrix = std::vector<Vector>;

Vector times(const Matrix& w, const Vector& x) {
  Vector y(x.size(), 0.0);
  for (std::size_t k = 0; k < x.size(); ++k)
    for (std::size_t j = 0; j < x.size(); ++j) y[k] += w[k][j] * x[j];
  return y;
}

Matrix matrix(const Topology& topology) {
  const auto n = static_cast<std::size_t>(topology.nodes());
  Matrix w(n, Vector(n, 0.0));
  for (std::size_t k = 0; k < n; ++k) {
    const MixingRow& row = topology.row(static_cast<int>(k));
    w[k][k] = row.self;
    for (const WeightedNeighbour& from : row.in) w[k][static_cast<std::size_t>(from.node)] = from.weight;
  }
  return w;
}

// φ_k(w) = ½ curvature_k (w − centre_k)², one dimension.
struct Parabolas {
  Vector curvature, centre;
  double gradient(std::size_t k, double w) const { return curvature[k] * (w - centre[k]); }
  Vector gradients(const Vector& w) const {
    Vector g(w.size());
    for (std::size_t k = 0; k < w.size(); ++k) g[k] = gradient(k, w[k]);
    return g;
  }
  double minimiser() const {
    return std::inner_product(curvature.begin(), curvature.end(), centre.begin(), 0.0) /
           std::accumulate(curvature.begin(), curvature.end(), 0.0);
  }
};

// A rule at every node.
class Nodes {
 public:
  Nodes(const Parabolas& problem, NetworkSolver solver, double step, std::int64_t local_steps = 1, Vector l1 = {})
      : problem_(problem) {
    for (std::size_t k = 0; k < problem.centre.size(); ++k) {
      RuleOptions options{solver, step, local_steps, l1, {}};
      options.gradient = [this, k](std::span<const double> w, std::span<double> g) {
        g[0] = problem_.gradient(k, w[0]);
      };
      rules_.push_back(make_rule(Vector{0.0}, std::move(options)));
    }
  }
  void round(const Matrix& w) {
    const std::size_t n = rules_.size(), size = rules_[0]->message_size();
    Matrix said(size, Vector(n)), heard(size);  // by place in the message, by node
    for (std::size_t k = 0; k < n; ++k) {
      const double g[] = {problem_.gradient(k, rules_[k]->w()[0])};
      Vector message(size);
      rules_[k]->say(g, message);
      for (std::size_t i = 0; i < size; ++i) said[i][k] = message[i];
    }
    for (std::size_t i = 0; i < size; ++i) heard[i] = times(w, said[i]);
    for (std::size_t k = 0; k < n; ++k) {
      Vector message(size), mixed(size);
      for (std::size_t i = 0; i < size; ++i) message[i] = said[i][k], mixed[i] = heard[i][k];
      rules_[k]->hear(message, mixed);
    }
  }
  Vector w() const {
    Vector all;
    for (const auto& rule : rules_) all.push_back(rule->w()[0]);
    return all;
  }
  Vector direction() const {
    Vector all;
    for (const auto& rule : rules_) all.push_back(rule->direction()[0]);
    return all;
  }

 private:
  const Parabolas& problem_;
  std::vector<std::unique_ptr<Rule>> rules_;
};

void expect_near(const Vector& a, const Vector& b, double error, const char* what) {
  for (std::size_t k = 0; k < a.size(); ++k) EXPECT_NEAR(a[k], b[k], error) << what << ", node " << k;
}

const Parabolas kFive{{1, 0.5, 2, 0.25, 1.5}, {3, -1, 0.5, 4, -2}};

Topology five(const std::string& name) {
  return make_topology(name, 5, MixingWeights::automatic, 1);
}

TEST(DecentralizedRules, NidsByHand) {
  // g at 0: −2 and 8; α = 1/4: w¹ = (0.5, −2). g there: −1.5 and 4. In the bracket: 1 − 0 − 0.125 and −4 − 0 + 1.
  // W̃ = (I + W)/2 = (3/4 1/4; 1/4 3/4): w² = (−0.09375, −2.03125).
  const Parabolas two{{1, 2}, {2, -4}};
  const Matrix w{{0.5, 0.5}, {0.5, 0.5}};
  Nodes nodes(two, NetworkSolver::nids, 0.25);
  nodes.round(w);
  EXPECT_EQ(nodes.w(), (Vector{0.5, -2}));
  nodes.round(w);
  EXPECT_EQ(nodes.w(), (Vector{-0.09375, -2.03125}));
}

TEST(DecentralizedRules, NidsIsItsTextbookRecursion) {
  const Matrix w = matrix(five("star"));
  Nodes nodes(kFive, NetworkSolver::nids, 0.3);
  Vector before(5, 0.0), now(5);
  for (std::size_t k = 0; k < 5; ++k) now[k] = -0.3 * kFive.gradient(k, 0);
  nodes.round(w);
  for (int t = 0; t < 30; ++t) {
    expect_near(nodes.w(), now, 1e-13, "w");
    const Vector g = kFive.gradients(now), g_before = kFive.gradients(before);
    Vector inner(5), next(5);
    for (std::size_t k = 0; k < 5; ++k) inner[k] = 2 * now[k] - before[k] - 0.3 * (g[k] - g_before[k]);
    const Vector mixed = times(w, inner);
    for (std::size_t k = 0; k < 5; ++k) next[k] = 0.5 * (inner[k] + mixed[k]);
    before = now, now = next;
    nodes.round(w);
  }
}

TEST(DecentralizedRules, NidsWithL1IsItsTextbookRecursion) {
  // z ← z − w + W̃(2w − w_before − α(g − g_before)), w ← soft threshold of z at αq.
  const Matrix w = matrix(five("star"));
  const double step = 0.3, q = 0.4;
  Nodes nodes(kFive, NetworkSolver::nids, step, 1, Vector{q});
  const auto soft = [&](double z) { return std::copysign(std::max(std::abs(z) - step * q, 0.0), z); };
  Vector before(5, 0.0), now(5), z(5);
  for (std::size_t k = 0; k < 5; ++k) now[k] = soft(z[k] = -step * kFive.gradient(k, 0));
  nodes.round(w);
  for (int t = 0; t < 30; ++t) {
    expect_near(nodes.w(), now, 1e-13, "w");
    const Vector g = kFive.gradients(now), g_before = kFive.gradients(before);
    Vector inner(5);
    for (std::size_t k = 0; k < 5; ++k) inner[k] = 2 * now[k] - before[k] - step * (g[k] - g_before[k]);
    const Vector mixed = times(w, inner);
    before = now;
    for (std::size_t k = 0; k < 5; ++k) now[k] = soft(z[k] += 0.5 * (inner[k] + mixed[k]) - now[k]);
    nodes.round(w);
  }
}

TEST(DecentralizedRules, NidsWithLocalStepsByHand) {
  // Two steps of α = 1/4 from 0 for φ = ½(w − 2)² and (w + 4)²: 0.5, then 0.875; −2, then −3. The second round begins
  // as the first, without averaging yet, at (0.875, −3): 1.15625, 1.3671875; −3.5, −3.75. Half of v − Wv is ±1.2792…,
  // which goes from v, and, divided by αH = 1/2, into d.
  const Parabolas two{{1, 2}, {2, -4}};
  const Matrix w{{0.5, 0.5}, {0.5, 0.5}};
  Nodes nodes(two, NetworkSolver::nids, 0.25, 2);
  nodes.round(w);
  EXPECT_EQ(nodes.w(), (Vector{0.875, -3}));
  nodes.round(w);
  const double half = (1.3671875 + 3.75) / 4;
  EXPECT_EQ(nodes.w(), (Vector{1.3671875 - half, -3.75 + half}));
  EXPECT_EQ(nodes.direction(), (Vector{(1.15625 - 2) + 2 * half, 2 * (-3.5 + 4) - 2 * half}));
}

TEST(DecentralizedRules, DgdByHand) {
  // α = 1/2, W = 1/2 everywhere. w¹ = −αg⁰ = (1, −4). Averaged: −1.5; g at the own copies: −1 and 0.
  const Parabolas two{{1, 2}, {2, -4}};
  const Matrix w{{0.5, 0.5}, {0.5, 0.5}};
  Nodes nodes(two, NetworkSolver::dgd, 0.5);
  nodes.round(w);
  EXPECT_EQ(nodes.w(), (Vector{1, -4}));
  nodes.round(w);
  EXPECT_EQ(nodes.w(), (Vector{-1, -1.5}));
  EXPECT_EQ(nodes.direction(), (Vector{4, -5}));  // what moved w, by α
}

TEST(DecentralizedRules, DgdOnTheCompleteGraphIsNotGradientDescent) {
  Matrix w(5, Vector(5, 0.2));
  Nodes nodes(kFive, NetworkSolver::dgd, 0.2);
  double descent = 0;
  for (int t = 0; t < 200; ++t) {
    const Vector g = kFive.gradients(nodes.w());
    nodes.round(w);
    const Vector all = nodes.w();
    for (std::size_t k = 1; k < 5; ++k) EXPECT_NEAR(all[0] - all[k], -0.2 * (g[0] - g[k]), 1e-14);
    const Vector slopes = kFive.gradients(Vector(5, descent));
    descent -= 0.2 * std::accumulate(slopes.begin(), slopes.end(), 0.0) / 5;
  }
  EXPECT_NEAR(descent, kFive.minimiser(), 1e-9);
  for (const double copy : nodes.w()) EXPECT_GT(std::abs(copy - kFive.minimiser()), 0.05);
}

// Where the rule ends, with α|g| and the distance of all copies from their mean as vectors over all nodes.
struct FixedPoint {
  Vector w;
  double gradient_sum = 0, alpha_g = 0, disagreement = 0;
};

FixedPoint fixed_point(const Topology& topology, double step) {
  const Matrix w = matrix(topology);
  Nodes nodes(kFive, NetworkSolver::dgd, step);
  for (int t = 0; t < static_cast<int>(60 / step); ++t) nodes.round(w);
  FixedPoint end{nodes.w()};
  const double mean = std::accumulate(end.w.begin(), end.w.end(), 0.0) / 5;
  for (std::size_t k = 0; k < 5; ++k) {
    const double g = kFive.gradient(k, end.w[k]);
    end.gradient_sum += g;
    end.alpha_g += step * step * g * g;
    end.disagreement += (end.w[k] - mean) * (end.w[k] - mean);
  }
  end.alpha_g = std::sqrt(end.alpha_g);
  end.disagreement = std::sqrt(end.disagreement);
  return end;
}

TEST(DecentralizedRules, TheFixedPointOfDgd) {
  for (const char* name : {"ring", "line", "star", "complete"}) {
    const Topology topology = five(name);
    const double gap = spectrum(topology).spectral_gap;
    const FixedPoint coarse = fixed_point(topology, 0.004), fine = fixed_point(topology, 0.002);
    for (const FixedPoint& end : {coarse, fine}) {
      EXPECT_NEAR(end.gradient_sum, 0, 1e-10) << name;
      EXPECT_LE(end.disagreement, end.alpha_g / gap * (1 + 1e-9)) << name;  // with equality on the complete graph
      EXPECT_GT(end.disagreement, 1e-3) << name;
    }
    EXPECT_NEAR(coarse.disagreement / fine.disagreement, 2, 0.1) << name;
    EXPECT_NEAR(std::abs(coarse.w[2] - kFive.minimiser()) / std::abs(fine.w[2] - kFive.minimiser()), 2, 0.1) << name;
  }
}

// y, the tracked mean of gradients, as its papers write it: y ← Wy + gᵗ⁺¹ − gᵗ.
TEST(DecentralizedRules, TrackingAndPushSumAreTheirTextbookRecursions) {
  const Matrix symmetric = matrix(five("ring")), directed = matrix(five("exponential"));
  for (const bool push : {false, true}) {
    Matrix w = push ? directed : symmetric;
    if (push) {  // columns sum to 1, rows do not
      w[1][0] += 0.1, w[0][0] -= 0.1;
    }
    Nodes nodes(kFive, push ? NetworkSolver::push_sum : NetworkSolver::gradient_tracking, 0.1);
    Vector u(5, 0.0), v(5, 1.0), x(5, 0.0), g = kFive.gradients(x), y = g;
    for (int t = 0; t < 30; ++t) {
      Vector direction(5);
      for (std::size_t k = 0; k < 5; ++k) direction[k] = y[k] / v[k];
      for (std::size_t k = 0; k < 5; ++k) u[k] -= 0.1 * y[k];
      u = times(w, u), v = times(w, v), y = times(w, y);
      for (std::size_t k = 0; k < 5; ++k) x[k] = u[k] / v[k];
      const Vector g_before = g;
      g = kFive.gradients(x);
      for (std::size_t k = 0; k < 5; ++k) y[k] += g[k] - g_before[k];
      nodes.round(w);
      expect_near(nodes.w(), x, 1e-12, push ? "push-sum" : "tracking");
      expect_near(nodes.direction(), direction, 1e-12, push ? "push-sum's direction" : "tracking's direction");
    }
    EXPECT_EQ(std::abs(v[1] - 1) > 0.05, push);
  }
}

TEST(DecentralizedRules, ExactOnesEndAtTheMinimiser) {
  for (const auto& [solver, steps] : std::vector<std::pair<NetworkSolver, std::int64_t>>{
           {NetworkSolver::nids, 1}, {NetworkSolver::nids, 3}, {NetworkSolver::gradient_tracking, 3}}) {
    Nodes nodes(kFive, solver, 0.3, steps);
    for (int t = 0; t < 2000; ++t) nodes.round(matrix(five("complete")));
    expect_near(nodes.w(), Vector(5, kFive.minimiser()), 1e-12, "w");
    expect_near(nodes.direction(), Vector(5, 0.0), 1e-12, "direction");
  }
}

TEST(DecentralizedRules, SoftThresholdsEndAtTheMinimiserWithL1) {
  // F = mean φ + q|w|: with q above |mean φ'(0)| the minimiser is 0; with q below, the zero of mean φ' + q sign(w).
  const double slope =
      std::abs(std::inner_product(kFive.curvature.begin(), kFive.curvature.end(), kFive.centre.begin(), 0.0)) / 5;
  const double curvature = std::accumulate(kFive.curvature.begin(), kFive.curvature.end(), 0.0) / 5;
  const double sign = kFive.minimiser() > 0 ? 1 : -1;
  for (const auto solver : {NetworkSolver::nids, NetworkSolver::gradient_tracking, NetworkSolver::push_sum}) {
    for (const double q : {1.5 * slope, 0.5 * slope}) {
      Nodes nodes(kFive, solver, solver == NetworkSolver::nids ? 0.3 : 0.1, 1, Vector{q});
      for (int t = 0; t < 4000; ++t) nodes.round(matrix(five("ring")));
      const double expected = q > slope ? 0 : sign * (slope - q) / curvature;
      expect_near(nodes.w(), Vector(5, expected), q > slope ? 1e-15 : 1e-12, "w");
    }
  }
}

}  // namespace
}  // namespace muster
