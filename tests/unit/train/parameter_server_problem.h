// Small objectives with closed forms, an independent Newton's method for their minimisers, and clusters on which time
// is computing alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "cluster/sim/sim_launch.h"
#include "train/parameter_server.h"

namespace muster::testing {

using Vector = std::vector<double>;

// Solves A x = b by elimination with pivots; A row by row.
inline Vector solve(std::vector<Vector> a, Vector b) {
  const std::size_t n = b.size();
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t best = i;
    for (std::size_t r = i; r < n; ++r)
      if (std::abs(a[r][i]) > std::abs(a[best][i])) best = r;
    std::swap(a[i], a[best]);
    std::swap(b[i], b[best]);
    for (std::size_t r = i + 1; r < n; ++r) {
      const double factor = a[r][i] / a[i][i];
      for (std::size_t c = i; c < n; ++c) a[r][c] -= factor * a[i][c];
      b[r] -= factor * b[i];
    }
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t c = i + 1; c < n; ++c) b[i] -= a[i][c] * b[c];
    b[i] /= a[i][i];
  }
  return b;
}

// log(1 + exp(−y x·w)) over rows that differ from worker to worker in number, place and slope.
struct LogisticRows {
  std::vector<Vector> x;
  Vector y;

  static LogisticRows of_worker(int worker, int rows, std::size_t dimension) {
    LogisticRows data;
    for (int i = 0; i < rows; ++i) {
      Vector x(dimension, 1.0);
      for (std::size_t j = 1; j < dimension; ++j)
        x[j] = std::sin(1.0 + 37 * worker + 3.1 * i + 1.7 * static_cast<double>(j) * (i + 1)) + 0.04 * worker;
      const double score = x[1] - 0.5 * x[dimension - 1] + 0.8 * std::cos(5.0 * i + worker) - 0.1 * worker;
      data.y.push_back(score > 0 ? 1 : -1);
      data.x.push_back(std::move(x));
    }
    return data;
  }
  void append(const LogisticRows& other) {
    x.insert(x.end(), other.x.begin(), other.x.end());
    y.insert(y.end(), other.y.begin(), other.y.end());
  }
};

class LogisticShard final : public Objective {
 public:
  LogisticShard(LogisticRows data, std::size_t dimension) : data_(std::move(data)), dimension_(dimension) {}
  void append(const LogisticRows& more) { data_.append(more); }

  std::size_t dimension() const override { return dimension_; }
  std::size_t rows() const override { return data_.y.size(); }
  double weight() const override { return static_cast<double>(rows()); }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double>) override {
    value = 0;
    std::fill(gradient.begin(), gradient.end(), 0.0);
    for (std::size_t i = 0; i < rows(); ++i) {
      double margin = 0;
      for (std::size_t j = 0; j < dimension_; ++j) margin += data_.x[i][j] * w[j];
      margin *= data_.y[i];
      value += std::log1p(std::exp(-margin));
      const double slope = -data_.y[i] / (1 + std::exp(margin));
      for (std::size_t j = 0; j < dimension_; ++j) gradient[j] += slope * data_.x[i][j];
    }
    return {.bytes = 0, .flops = 1};  // the cluster's nodes say how fast
  }
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    std::fill(product.begin(), product.end(), 0.0);
    for (std::size_t i = 0; i < rows(); ++i) {
      double along = 0;
      for (std::size_t j = 0; j < dimension_; ++j) along += data_.x[i][j] * v[j];
      for (std::size_t j = 0; j < dimension_; ++j) product[j] += 0.25 * along * data_.x[i][j];
    }
    return {.bytes = 0, .flops = 1};
  }
  const LogisticRows& data() const { return data_; }

 private:
  LogisticRows data_;
  std::size_t dimension_;
};

struct Minimum {
  Vector w;
  double value = 0;
};

// min_w Σ_k factor_k Σ_{rows of k} log(1 + exp(−y x·w)) + ½ Σ p w², by Newton's method until nothing changes.
inline Minimum minimum_of(const std::vector<LogisticRows>& shards, const Vector& factor, const Vector& penalty) {
  const std::size_t n = penalty.size();
  Minimum result{Vector(n, 0.0), 0};
  for (int pass = 0; pass < 60; ++pass) {
    std::vector<Vector> hessian(n, Vector(n, 0.0));
    Vector gradient(n, 0.0);
    result.value = 0;
    for (std::size_t j = 0; j < n; ++j) {
      gradient[j] = penalty[j] * result.w[j];
      hessian[j][j] = penalty[j];
      result.value += 0.5 * penalty[j] * result.w[j] * result.w[j];
    }
    for (std::size_t k = 0; k < shards.size(); ++k)
      for (std::size_t i = 0; i < shards[k].y.size(); ++i) {
        const Vector& x = shards[k].x[i];
        double margin = 0;
        for (std::size_t j = 0; j < n; ++j) margin += x[j] * result.w[j];
        const double p = 1 / (1 + std::exp(shards[k].y[i] * margin));
        result.value += factor[k] * std::log1p(std::exp(-shards[k].y[i] * margin));
        for (std::size_t j = 0; j < n; ++j) {
          gradient[j] -= factor[k] * shards[k].y[i] * p * x[j];
          for (std::size_t c = 0; c < n; ++c) hessian[j][c] += factor[k] * p * (1 - p) * x[j] * x[c];
        }
      }
    const Vector step = solve(hessian, gradient);
    double largest = 0;
    for (std::size_t j = 0; j < n; ++j) {
      result.w[j] -= step[j];
      largest = std::max(largest, std::abs(step[j]));
    }
    if (largest < 1e-14) break;
  }
  return result;
}

// Σ_j ½ S a (w_j − c_j)²
class QuadraticShard final : public Objective {
 public:
  QuadraticShard(double weight, double curvature, Vector centre)
      : weight_(weight), curvature_(curvature), centre_(std::move(centre)) {}
  std::size_t dimension() const override { return centre_.size(); }
  std::size_t rows() const override { return weight_ > 0 ? 1 : 0; }
  double weight() const override { return weight_; }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double>) override {
    value = 0;
    for (std::size_t j = 0; j < centre_.size(); ++j) {
      const double away = w[j] - centre_[j];
      value += 0.5 * weight_ * curvature_ * away * away;
      gradient[j] = weight_ * curvature_ * away;
    }
    return {.bytes = 0, .flops = 1};
  }
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    for (std::size_t j = 0; j < v.size(); ++j) product[j] = weight_ * curvature_ * v[j];
    return {.bytes = 0, .flops = 1};
  }

 private:
  double weight_, curvature_;
  Vector centre_;
};

// Worker k does flops_per_second[k] gradients a second; servers compute at no cost, and nothing is lost on messages.
inline ClusterModel cluster_of(const Vector& speeds, int servers) {
  ClusterModel model;
  for (const double speed : speeds) {
    NodeModel node;
    node.flops_per_second = speed;
    node.bytes_per_second = 1e18;
    model.nodes.push_back(node);
  }
  NodeModel server;
  server.flops_per_second = server.bytes_per_second = 1e18;
  for (int s = 0; s < servers; ++s) model.nodes.push_back(server);
  model.inter_host = {.latency_seconds = 1e-6,
                      .jitter_seconds = 0,
                      .bandwidth = 1e12,
                      .send_overhead_seconds = 0,
                      .receive_overhead_seconds = 0};
  return model;
}

inline ParameterServerOptions options_of(std::size_t dimension, double penalty, ServerSolver solver, int servers = 1) {
  ParameterServerOptions options;
  options.session.penalty.assign(dimension, penalty);
  options.session.sync.kind = Synchronisation::Kind::async;
  options.session.estimate.scale.assign(dimension, 1.0);
  options.solver = solver;
  options.server.servers = servers;
  return options;
}

struct Outcome {
  ParameterServerResult result;  // of the lowest rank that returned
  std::vector<Vector> w;         // by rank
  SimReport report;
};

using MakeObjective = std::function<std::unique_ptr<Objective>(int rank)>;

inline Outcome train(const MakeObjective& make, const ParameterServerOptions& options, const ClusterModel& model,
                     Vector start, const EndpointOptions& endpoint_options = {}) {
  const int ranks = static_cast<int>(model.nodes.size());
  Outcome outcome;
  outcome.w.resize(model.nodes.size());
  int lowest = ranks;
  outcome.report = run_simulated(ranks, model, endpoint_options, [&](Endpoint& endpoint) {
    const bool works = endpoint.rank() < ranks - options.server.servers;
    const std::unique_ptr<Objective> objective =
        works ? make(endpoint.rank()) : std::make_unique<QuadraticShard>(0.0, 1.0, Vector(start.size(), 0.0));
    ParameterServerResult result = train_parameter_server(*objective, endpoint, start, options);
    outcome.w[static_cast<std::size_t>(endpoint.rank())] = result.session.w;
    if (endpoint.rank() > lowest) return;
    lowest = endpoint.rank();
    result.session.survivors.reset();  // it lives no longer than the run
    outcome.result = std::move(result);
  });
  return outcome;
}

}  // namespace muster::testing
