#include "train/sgd.h"

#include <gtest/gtest.h>

#include <cmath>

#include "batch_cluster.h"

namespace muster {
namespace {

using testing::as_two_classes;
using testing::batch_problem;
using testing::BatchProblem;
using testing::BatchRun;
using testing::difference_of_classes;
using testing::distance;
using testing::minimiser;
using testing::objective_at;
using testing::train_batches;

ParameterServerOptions sgd_options(std::int64_t batch, double epochs) {
  ParameterServerOptions options;
  options.solver = ServerSolver::sgd;
  options.server.batch = batch;
  options.session.max_epochs = epochs;
  return options;
}

// Three keys, k = (0.5, 0, 0), P = (½, 1, 1), p = (1, 0, 0), α = 0.1. Push of keys 0 and 2, g = (2, 3), R = 1:
//   v_0: 1 − 0.1 (2 − 0.5) = 0.85, /(1 + 0.2·1) ; v_1 untouched, no centre: 2 ; v_2: 3 − 0.3 = 2.7
// then of keys 1 and 2, g = (1, 0), R = −2: v_0 moves by −0.1 (0 − 0.5·(−2)) = −0.1, without being touched; v_1: 1.9.
TEST(Sgd, TwoPushesByHand) {
  RunFacts facts;
  facts.weights = {10};
  facts.weight = 10;
  facts.lipschitz = 1;
  facts.penalty = {1, 0, 0};
  facts.l1 = {0, 0, 0};
  RowFacts rows;
  rows.touched = {0.5, 1, 1};
  rows.centre = {0.5, 0, 0};
  rows.sums = 1;
  rows.keyed = true;
  rows.epoch_pushes = 2;
  rows.smoothness = 1;
  SgdServer server(facts, rows, {0, 3}, {{1, 2, 3}}, {.step = 0.1});
  EXPECT_DOUBLE_EQ(server.extras()[0], 0.5);
  const auto push = [&](std::vector<std::uint32_t> keys, std::vector<double> values, double residual) {
    Push message;
    message.dense = false;
    message.keys = keys;
    message.values = values;
    message.residuals = {&residual, 1};
    message.rows_weight = 5;
    server.apply(message);
    std::vector<double> v(3);
    server.read(v);
    return v;
  };
  std::vector<double> v = push({0, 2}, {2, 3}, 1);
  EXPECT_DOUBLE_EQ(v[0], 0.85 / 1.2);
  EXPECT_DOUBLE_EQ(v[1], 2);
  EXPECT_DOUBLE_EQ(v[2], 2.7);
  EXPECT_DOUBLE_EQ(server.extras()[0], 0.5 * v[0]);
  const double before = v[0];
  v = push({1, 2}, {1, 0}, -2);
  EXPECT_DOUBLE_EQ(v[0], before - 0.1);
  EXPECT_DOUBLE_EQ(v[1], 1.9);
  EXPECT_DOUBLE_EQ(v[2], 2.7);
  EXPECT_DOUBLE_EQ(server.extras()[0], 0.5 * v[0]);
  // One epoch of two pushes is done: the gradient is their mean, (2 − 0.5·1 + 0.5·2)/2 and so on, with p v.
  const std::vector<double> scale(3, 1.0);
  const RangeEstimate estimate = server.estimate(scale);
  EXPECT_TRUE(estimate.known);
  const double g0 = 1.25 + v[0];
  EXPECT_NEAR(estimate.square, g0 * g0 + 0.25 + 2.25, 1e-12);
  // A server made of another's columns goes on where that was.
  SgdServer again(facts, rows, {0, 3}, server.columns(), {.step = 0.1});
  std::vector<double> same(3);
  again.read(same);
  EXPECT_EQ(same, v);
}

// The same rows stored dense (centred one by one, all keys) and sparse (centred at the servers, touched keys): with one
// worker and no penalty both make the same steps.
TEST(Sgd, KeyedAndDensePathsAreOneTrajectory) {
  for (const bool classes : {false, true}) {
    const BatchProblem problem = batch_problem({.rows = 120, .cols = 9, .density = 0.15, .classes = classes}, 0);
    const ParameterServerOptions options = sgd_options(3, 4);
    const auto dense = train_batches(problem, {.rows_of = {120}}, options).session.w;
    for (const int servers : {1, 3}) {
      const BatchRun run{.rows_of = {120}, .servers = servers, .sparse = true};
      EXPECT_GT(distance(dense, std::vector<double>(10)), 0.1);
      EXPECT_LT(distance(dense, train_batches(problem, run, options).session.w), 1e-11) << classes << servers;
    }
  }
}

// Both classes move by half the step of their difference, so half the step makes the same steps of w as the logistic
// loss, on every path; a wrong centring of either class would show.
TEST(Sgd, TwoClassesOfSoftmaxMakeTheStepsOfTheLogisticLoss) {
  const BatchProblem logistic = batch_problem({.rows = 120, .cols = 9, .density = 0.15, .classes = true}, 0.05);
  const BatchProblem softmax = as_two_classes(logistic);
  for (const bool sparse : {false, true}) {
    for (const int servers : {1, 3}) {
      const BatchRun run{.rows_of = {70, 50}, .servers = servers, .sparse = sparse, .sync = Synchronisation::Kind::bsp};
      ParameterServerOptions one = sgd_options(3, 4), two = one;
      one.step = 0.2;
      two.step = 0.1;
      one.server.decay = two.server.decay = true;
      const auto w = train_batches(logistic, run, one).session.w;
      const auto v = train_batches(softmax, run, two).session.w;
      EXPECT_GT(distance(w, std::vector<double>(10)), 0.1);
      EXPECT_LT(distance(difference_of_classes(v), w), 1e-12) << sparse << servers;
    }
  }
}

// A constant step α stops at a mean square distance of about α times a constant.
TEST(Sgd, NeighbourhoodShrinksWithTheStep) {
  const BatchProblem problem = batch_problem({.rows = 300, .cols = 6}, 0.05);
  const std::vector<double> best = minimiser(problem);
  const auto mean_square = [&](double step) {
    double sum = 0;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      ParameterServerOptions options = sgd_options(2, 60);
      options.step = step;
      options.session.seed = seed;
      sum += std::pow(distance(train_batches(problem, {.rows_of = {300}}, options).session.w, best), 2);
    }
    return sum / 8;
  };
  const double at_large = mean_square(0.04), at_small = mean_square(0.01);
  EXPECT_LT(at_small, at_large / 2);
  EXPECT_GT(at_small, at_large / 20);
}

// Workers with shards of different sizes, equally fast, sparse rows with a penalty on touched keys alone, and l1: with
// a step that decays, it arrives at F's minimiser; so nothing of it is biased.
TEST(Sgd, DecayArrivesAtTheMinimiser) {
  for (const bool classes : {false, true}) {
    const BatchProblem problem = batch_problem({.rows = 480, .cols = 8, .density = 0.3, .classes = classes}, 0.1);
    const std::vector<double> best = minimiser(problem);
    ParameterServerOptions options = sgd_options(4, 150);
    options.server.decay = true;
    options.step = classes ? 0.4 : 0.1;
    const BatchRun run{.rows_of = {240, 160, 80}, .servers = 2, .sparse = true};
    const double decayed = distance(train_batches(problem, run, options).session.w, best);
    options.server.decay = false;
    const double constant = distance(train_batches(problem, run, options).session.w, best);
    const double scale = distance(best, std::vector<double>(best.size()));
    EXPECT_LT(decayed, 0.03 * scale) << classes;
    EXPECT_LT(decayed, 0.5 * constant) << classes;
  }
}

// No step was chosen: it is safe for every batch size, number of workers and loss, and gets most of the way.
TEST(Sgd, OwnStepsNeedNoTuning) {
  for (const bool classes : {false, true}) {
    for (const bool sparse : {false, true}) {
      const BatchProblem problem =
          batch_problem({.rows = 600, .cols = 10, .density = sparse ? 0.2 : 1, .classes = classes}, 0.01);
      const double start = objective_at(problem, std::vector<double>(11)),
                   best = objective_at(problem, minimiser(problem));
      for (const std::int64_t batch : {1, 20, 1000}) {
        for (const bool adagrad : {false, true}) {
          ParameterServerOptions options = sgd_options(batch, batch == 1000 ? 200 : 40);
          options.server.adagrad = adagrad;
          options.server.decay = !adagrad && batch < 1000;
          const auto result =
              train_batches(problem, {.rows_of = {150, 150, 150, 150}, .servers = 1, .sparse = sparse}, options);
          const double left = (objective_at(problem, result.session.w) - best) / (start - best);
          EXPECT_LT(left, 0.1) << classes << sparse << batch << adagrad;
        }
      }
    }
  }
}

// Bulk synchronous: the pushes of a clock were all computed at one model. Each with the step for a staleness of 0 would
// add up to m/2 of a stable step, and diverge from m = 4 on where batches are large.
TEST(Sgd, TheStepsOfOneClockAddUpToAStableOne) {
  for (const std::size_t workers : {2, 8, 16}) {
    const BatchProblem problem = batch_problem({.rows = 50 * workers, .cols = 8}, 0.01);
    const double start = objective_at(problem, std::vector<double>(9)),
                 best = objective_at(problem, minimiser(problem));
    const BatchRun run{.rows_of = std::vector<std::size_t>(workers, 50), .sync = Synchronisation::Kind::bsp};
    for (const bool damping : {false, true}) {
      ParameterServerOptions options = sgd_options(1000, 300);
      options.server.staleness_damping = damping;
      const auto result = train_batches(problem, run, options);
      EXPECT_LT(objective_at(problem, result.session.w) - best, 1e-3 * (start - best)) << workers << damping;
    }
  }
}

// What compression keeps back of a key waits for the key's next push.
TEST(Sgd, CompressedPushesOfTouchedKeysArriveWhereWholeOnesDo) {
  const BatchProblem problem = batch_problem({.rows = 400, .cols = 12, .density = 0.2}, 0.1);
  const std::vector<double> best = minimiser(problem);
  const BatchRun run{.rows_of = {200, 200}, .servers = 2, .sparse = true};
  const auto away = [&](MessageCompression compression) {
    ParameterServerOptions options = sgd_options(4, 150);
    options.server.decay = true;
    options.step = 0.1;
    options.session.compression = compression;
    return distance(train_batches(problem, run, options).session.w, best);
  };
  using Kind = MessageCompression::Kind;
  const double scale = distance(best, std::vector<double>(best.size())), whole = away({});
  EXPECT_LT(whole, 0.03 * scale);
  for (const MessageCompression& compression : {MessageCompression{Kind::float32}, MessageCompression{Kind::float16},
                                                MessageCompression{Kind::int8}, MessageCompression{Kind::top_k, 2}})
    EXPECT_LT(away(compression), 2 * whole + 0.01 * scale) << static_cast<int>(compression.kind);
}

// One worker of four thirty times slower: its gradients come a hundred updates late. All hold the same rows, so that it
// has nothing to say that the others do not: what it pushes throws the model back to where it was.
TEST(Sgd, DampingHelpsAgainstOneSlowWorker) {
  BatchProblem problem = batch_problem({.rows = 100, .cols = 6}, 0.01);
  auto& values = std::get<0>(std::get<DenseMatrix>(problem.all.matrix).values);
  for (std::size_t i = 0; i < 1800; ++i) values.push_back(values[i]);
  for (std::size_t i = 0; i < 300; ++i) problem.all.targets.push_back(problem.all.targets[i]);
  std::get<DenseMatrix>(problem.all.matrix).rows = 400;
  const double best = objective_at(problem, minimiser(problem));
  BatchRun run{.rows_of = {100, 100, 100, 100}};
  run.cluster.nodes.resize(5);
  for (NodeModel& node : run.cluster.nodes) node.flops_per_second = 1e5;
  run.cluster.nodes[3].flops_per_second = 1e5 / 30;
  run.cluster.nodes[4].flops_per_second = 4e9;
  const auto gap = [&](bool damping, double step, double epochs) {
    ParameterServerOptions options = sgd_options(1000, epochs);
    options.server.staleness_damping = damping;
    options.step = step;
    const auto result = train_batches(problem, run, options);
    return objective_at(problem, result.session.w) - best;
  };
  const double plain = gap(false, 0.2, 100), damped = gap(true, 0.2, 100);
  EXPECT_GT(plain, 1e-8);
  EXPECT_LT(damped, 1e-3 * plain);
  EXPECT_LE(gap(true, 0, 50), gap(false, 0, 50));
}

}  // namespace
}  // namespace muster
