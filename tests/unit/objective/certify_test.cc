#include <gtest/gtest.h>

#include "objective/linear_rows.h"
#include "shards.h"

namespace muster {
namespace {

using testing::as_float32;
using testing::as_sparse;
using testing::dense_shard;
using testing::offset_at;
using testing::value_at;
using testing::weight_at;
using Quad = __float128;

std::vector<double> certificate(const Shard& shard, Loss loss, const std::vector<double>& w, double intercept,
                                const std::vector<double>& centre, InstructionSet set = best_instruction_set(),
                                int threads = 1) {
  Executor executor(threads);
  LinearRows rows(shard, executor, set);
  std::vector<double> sums(2 * (shard.cols() + 2));
  rows.certify(loss, w, {&intercept, 1}, centre, sums);
  return sums;
}

struct Truth {
  std::vector<Quad> sums, sizes;

  void add(std::size_t k, Quad term) {
    sums[k] += term;
    sizes[k] += term < 0 ? -term : term;
  }
};

// In quadruple precision but for the logistic loss itself.
Truth truth_of(const Shard& shard, Loss loss, const std::vector<double>& w, double intercept,
               const std::vector<double>& centre) {
  const std::size_t d = shard.cols();
  Truth truth{std::vector<Quad>(d + 2, 0), std::vector<Quad>(d + 2, 0)};
  for (std::size_t i = 0; i < shard.rows(); ++i) {
    std::vector<Quad> x(d);
    for (std::size_t j = 0; j < d; ++j) x[j] = value_at(shard, i, j);
    for (const PowerFeature& power : shard.powers) {
      x[power.feature] = 1;
      for (int k = 0; k < power.degree; ++k) x[power.feature] *= x[power.base];
    }
    Quad margin = static_cast<Quad>(intercept) + offset_at(shard, i);
    for (std::size_t j = 0; j < d; ++j) margin += w[j] * x[j];
    Quad residual = margin - shard.targets[i], value = residual * residual / 2;
    if (loss == Loss::logistic) {
      const auto z = (2 * shard.targets[i] - 1) * static_cast<long double>(margin);
      value = std::max(-z, 0.0L) + std::log1p(std::exp(-std::fabs(z)));
      residual = -(2 * shard.targets[i] - 1) / (1 + std::exp(z));
    }
    const Quad weight = weight_at(shard, i);
    truth.add(0, weight * value);
    truth.add(1, weight * residual);
    for (std::size_t j = 0; j < d; ++j) truth.add(2 + j, weight * residual * (x[j] - centre[j]));
  }
  return truth;
}

void expect_within(const std::vector<double>& got, const Truth& truth, double tolerance) {
  for (std::size_t k = 0; k < truth.sums.size(); ++k) {
    const Quad difference = static_cast<Quad>(got[2 * k]) + got[2 * k + 1] - truth.sums[k];
    EXPECT_LE(std::fabs(static_cast<double>(difference)), tolerance * static_cast<double>(truth.sizes[k])) << k;
  }
}

TEST(Certify, SquaredIsExactToTwentyEightDigitsAndLogisticToDouble) {
  const std::vector<double> w{0.3, -1.1, 0.01, 2, 0.5}, centre{0.1, 0, -0.2, 0, 7};
  for (Loss loss : {Loss::squared, Loss::logistic}) {
    const Shard dense = dense_shard(
        {.rows = 3000, .cols = 5, .density = 0.7, .weights = true, .offsets = true, .classes = loss == Loss::logistic});
    const Truth truth = truth_of(dense, loss, w, 0.25, centre);
    for (const Shard& shard : {dense, as_float32(dense), as_sparse(dense), as_sparse(dense, true)}) {
      for (InstructionSet set : available_instruction_sets()) {
        const auto one = certificate(shard, loss, w, 0.25, centre, set);
        // Sparse: the centre's share is taken off at the end, which cancels some.
        expect_within(one, truth, loss == Loss::squared ? 1e-28 : 1e-14);
        for (int threads : {2, 3, 7}) EXPECT_EQ(certificate(shard, loss, w, 0.25, centre, set, threads), one);
      }
    }
  }
}

// A polynomial whose terms are 1e10 times its values, as Filip's are: powers rounded to double would show.
TEST(Certify, PowersAreRecomputed) {
  Shard shard = dense_shard({.rows = 82, .cols = 10});
  auto& values = std::get<0>(std::get<DenseMatrix>(shard.matrix).values);
  std::vector<double> w(10), centre(10, 0.0);
  for (std::size_t i = 0; i < 82; ++i) {
    values[i * 10] = -3.1 - 0.071 * static_cast<double>(i);
    for (int degree = 2; degree <= 10; ++degree) {
      values[i * 10 + static_cast<std::size_t>(degree) - 1] = std::pow(values[i * 10], degree);
    }
  }
  for (int degree = 2; degree <= 10; ++degree) {
    shard.powers.push_back({static_cast<std::size_t>(degree) - 1, 0, degree});
    w[static_cast<std::size_t>(degree) - 1] = degree % 2 ? 1.5 : -0.7;
  }
  const Truth truth = truth_of(shard, Loss::squared, w, 1, centre);
  expect_within(certificate(shard, Loss::squared, w, 1, centre), truth, 1e-28);
}

TEST(Certify, AgreesWithTheObjectiveThatIsMinimised) {
  for (Loss loss : {Loss::squared, Loss::logistic}) {
    const Shard shard = dense_shard({.rows = 400, .cols = 3, .weights = true, .classes = loss == Loss::logistic});
    const std::vector<double> w{0.5, -1, 2}, centre{0.25, 0.5, 0};
    const auto sums = certificate(shard, loss, w, 0.5, centre);
    Executor executor(1);
    LinearRows rows(shard, executor, best_instruction_set());
    LinearObjective objective(rows, loss, {{centre.begin(), centre.end()}, {2, 4, 8}}, true);
    // In scaled coordinates v_j = w_j scale_j, and the intercept takes in Σ w_j c_j.
    const std::vector<double> v{1, -4, 16, 0.5 + 0.5 * 0.25 - 0.5};
    std::vector<double> gradient(4), tallies(objective.tallies());
    double value = 0;
    objective.value_and_gradient(v, value, gradient, tallies);
    EXPECT_NEAR(sums[0], value, 1e-12 * value);
    EXPECT_NEAR(sums[2], gradient[3], 1e-10);
    for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(sums[4 + 2 * j] / std::exp2(j + 1), gradient[j], 1e-10);
  }
}

TEST(Certify, NothingToReadIsZero) {
  const Shard empty = dense_shard({.rows = 0, .cols = 3});
  const std::vector<double> three(3, 1.0);
  for (const Shard& shard : {empty, as_sparse(empty)}) {
    EXPECT_EQ(certificate(shard, Loss::logistic, three, 1, three), std::vector<double>(10, 0.0));
  }
}

}  // namespace
}  // namespace muster
