// Rows for the tests of the decentralized network, with the minimiser of all of them found by other means.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "muster/objective.h"
#include "train/decentralized.h"

namespace muster {

// Σ s loss(x·w, y) over rows, squared or logistic (y: 0 or 1): an own objective, not a linear model of ours.
class OwnShard : public Objective {
 public:
  struct Row {
    std::vector<double> x;
    double y = 0, s = 1;
  };
  OwnShard(std::vector<Row> rows, bool logistic, std::size_t dimension)
      : rows_(std::move(rows)), logistic_(logistic), dimension_(dimension) {}

  std::size_t dimension() const override { return dimension_; }
  std::size_t rows() const override { return rows_.size(); }
  double weight() const override {
    double sum = 0;
    for (const Row& row : rows_) sum += row.s;
    return sum;
  }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double>) override {
    value = 0;
    std::fill(gradient.begin(), gradient.end(), 0.0);
    for (const Row& row : rows_) {
      double z = 0;
      for (std::size_t j = 0; j < w.size(); ++j) z += row.x[j] * w[j];
      const double slope = logistic_ ? 1 / (1 + std::exp(-z)) - row.y : z - row.y;
      value +=
          row.s * (logistic_ ? std::log1p(std::exp(-std::abs(z))) + std::max(z, 0.0) - row.y * z : 0.5 * slope * slope);
      for (std::size_t j = 0; j < w.size(); ++j) gradient[j] += row.s * slope * row.x[j];
    }
    return work();
  }
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    std::fill(product.begin(), product.end(), 0.0);
    for (const Row& row : rows_) {
      double z = 0;
      for (std::size_t j = 0; j < v.size(); ++j) z += row.x[j] * v[j];
      for (std::size_t j = 0; j < v.size(); ++j) product[j] += row.s * (logistic_ ? 0.25 : 1) * z * row.x[j];
    }
    return work();
  }
  // Σ s loss'' x xᵀ at w.
  std::vector<double> hessian(std::span<const double> w) const {
    std::vector<double> h(dimension_ * dimension_, 0.0);
    for (const Row& row : rows_) {
      double z = 0;
      for (std::size_t j = 0; j < w.size(); ++j) z += row.x[j] * w[j];
      const double p = 1 / (1 + std::exp(-z)), curvature = logistic_ ? p * (1 - p) : 1;
      for (std::size_t i = 0; i < dimension_; ++i)
        for (std::size_t j = 0; j < dimension_; ++j) h[i * dimension_ + j] += row.s * curvature * row.x[i] * row.x[j];
    }
    return h;
  }
  void take_over(const OwnShard& other) { rows_.insert(rows_.end(), other.rows_.begin(), other.rows_.end()); }

 private:
  Work work() const {
    const double n = static_cast<double>(rows_.size() * dimension_);
    return {8 * n, 4 * n};
  }
  std::vector<Row> rows_;
  bool logistic_;
  std::size_t dimension_;
};

// What every node of a test holds: shards of unequal size and weight whose own minimisers differ widely. sorted:
// logistic, dealt by label, so that each node sees one class.
struct Problem5 {
  static constexpr std::size_t kDimension = 5;
  bool logistic = false;
  double l2 = 1e-3;
  std::vector<std::vector<OwnShard::Row>> shards;

  static Problem5 squared(int nodes, bool equal = false) {
    Problem5 problem;
    const RandomStream random(7, 0, RandomPurpose::start_vector);
    std::uint64_t at = 0;
    const auto draw = [&] { return 2 * random.uniform(at++) - 1; };
    for (int node = 0; node < nodes; ++node) {
      std::vector<OwnShard::Row> rows;
      std::vector<double> own(kDimension);
      for (double& value : own) value = 2 * draw();
      const int count = equal ? 12 : 4 + 5 * (node % 4);
      for (int i = 0; i < count; ++i) {
        OwnShard::Row row;
        row.s = equal ? 1 : 1 + i % 3;
        for (std::size_t j = 0; j < kDimension; ++j) row.x.push_back(draw() * (1 + 0.2 * static_cast<double>(j)));
        for (std::size_t j = 0; j < kDimension; ++j) row.y += row.x[j] * own[j];
        row.y += 0.3 * draw();
        rows.push_back(row);
      }
      problem.shards.push_back(rows);
    }
    return problem;
  }
  static Problem5 sorted(int nodes) {
    Problem5 problem = squared(nodes, true);
    problem.logistic = true;
    std::vector<OwnShard::Row> all;
    for (const auto& shard : problem.shards) all.insert(all.end(), shard.begin(), shard.end());
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.y < b.y; });
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].y = i < all.size() / 2 ? 0 : 1;
      problem.shards[i * static_cast<std::size_t>(nodes) / all.size()].clear();
    }
    for (auto& shard : problem.shards) shard.clear();
    for (std::size_t i = 0; i < all.size(); ++i)
      problem.shards[i * static_cast<std::size_t>(nodes) / all.size()].push_back(all[i]);
    return problem;
  }
  OwnShard shard(int node) const { return {shards[static_cast<std::size_t>(node)], logistic, kDimension}; }
  OwnShard whole(const std::vector<int>& without = {}) const {
    std::vector<OwnShard::Row> rows;
    for (int node = 0; node < static_cast<int>(shards.size()); ++node) {
      if (std::find(without.begin(), without.end(), node) != without.end()) continue;
      const auto& shard = shards[static_cast<std::size_t>(node)];
      rows.insert(rows.end(), shard.begin(), shard.end());
    }
    return {rows, logistic, kDimension};
  }
  std::vector<double> penalty() const { return std::vector<double>(kDimension, l2); }

  // By Newton's method and Gaussian elimination.
  std::vector<double> minimiser(const std::vector<int>& without = {}) const {
    OwnShard all = whole(without);
    const double weight = all.weight();
    std::vector<double> w(kDimension, 0.0), g(kDimension);
    for (int step = 0; step < 30; ++step) {
      double value = 0;
      all.value_and_gradient(w, value, g, {});
      std::vector<double> h = all.hessian(w);
      for (std::size_t i = 0; i < kDimension; ++i) {
        for (std::size_t j = 0; j < kDimension; ++j) h[i * kDimension + j] /= weight;
        h[i * kDimension + i] += l2;
        g[i] = g[i] / weight + l2 * w[i];
      }
      solve(h, g);
      for (std::size_t i = 0; i < kDimension; ++i) w[i] -= g[i];
    }
    return w;
  }
  double objective(std::span<const double> w) const {
    OwnShard all = whole();
    std::vector<double> g(kDimension);
    double value = 0;
    all.value_and_gradient(w, value, g, {});
    value /= all.weight();
    for (const double x : w) value += 0.5 * l2 * x * x;
    return value;
  }

 private:
  static void solve(std::vector<double> a, std::vector<double>& b) {
    const std::size_t n = b.size();
    for (std::size_t k = 0; k < n; ++k)
      for (std::size_t i = k + 1; i < n; ++i) {
        const double factor = a[i * n + k] / a[k * n + k];
        for (std::size_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
        b[i] -= factor * b[k];
      }
    for (std::size_t i = n; i-- > 0;) {
      for (std::size_t j = i + 1; j < n; ++j) b[i] -= a[i * n + j] * b[j];
      b[i] /= a[i * n + i];
    }
  }
};

inline double distance(std::span<const double> a, std::span<const double> b) {
  double square = 0;
  for (std::size_t j = 0; j < a.size(); ++j) square += (a[j] - b[j]) * (a[j] - b[j]);
  return std::sqrt(square);
}

// By name, with the weights that are the default on it.
inline Topology graph(const std::string& name, int nodes) {
  return make_topology(name, nodes, MixingWeights::automatic, 1);
}

// Node k keeps another share for itself than every other node; columns sum to 1, rows do not.
inline Topology unequal_directed_ring(int nodes) {
  const std::string path = testing::TempDir() + "muster_unequal_ring.txt";
  std::ofstream file(path);
  file << "directed columns\n";
  for (int k = 0; k < nodes; ++k) file << k << ' ' << (k + 1) % nodes << ' ' << 0.3 + 0.5 * k / nodes << '\n';
  file.close();
  const Topology topology = graph("file:" + path, 0);
  std::filesystem::remove(path);
  return topology;
}

// Stops where |∇F| <= tolerance, by estimate and by judge alike.
inline DecentralizedOptions network_options(const Problem5& problem, NetworkSolver solver, double tolerance = 1e-11) {
  DecentralizedOptions options;
  options.solver = solver;
  options.session.penalty = problem.penalty();
  options.session.estimate.scale.assign(Problem5::kDimension, 1.0);
  options.session.estimate.met = [tolerance](double, double square) { return square <= tolerance * tolerance; };
  options.session.judge = [tolerance](const RoundState& state) -> Problem::Verdict {
    return {state.gradient_norm <= tolerance, StopReason::converged, "the gradient is small"};
  };
  return options;
}

inline const std::vector<MessageCompression> kLossy = {{MessageCompression::Kind::float32, 0},
                                                       {MessageCompression::Kind::float16, 0},
                                                       {MessageCompression::Kind::int8, 0},
                                                       {MessageCompression::Kind::top_k, 2}};

}  // namespace muster
