// Online steps against a step worked by hand, and against a plain loop written from the formulas of the header.
#include "kernels/online_steps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <thread>
#include <vector>

namespace muster {
namespace {

struct OnlineRows {
  std::vector<std::uint64_t> row_begin{0};
  std::vector<std::uint32_t> columns;
  std::vector<double> values, targets, weights, offsets;

  void add(const std::map<std::uint32_t, double>& row, double target, double weight = 1, double offset = 0) {
    for (const auto& [column, value] : row) {
      columns.push_back(column);
      values.push_back(value);
    }
    row_begin.push_back(columns.size());
    targets.push_back(target);
    weights.push_back(weight);
    offsets.push_back(offset);
  }
  std::size_t count() const { return targets.size(); }
  SparseRows<double> rows() const {
    return {row_begin.data(), columns.data(), values.data(), count(), std::size_t{1} << 32};
  }
  RowData data() const { return {targets.data(), weights.data(), offsets.data()}; }
};

OnlineTotals learn_all(OnlineModel& model, const OnlineRows& rows) {
  OnlineTotals totals;
  OnlineSteps(model).take(rows.rows(), rows.data(), 0, rows.count(), totals);
  return totals;
}

// x = 2, y = 1: scale 2, x̃ 1, margin 0, r = −½, α = 1, G = ¼, β + √G = 1; so ũ = ½ and w = ¼.
TEST(OnlineSteps, FirstStepByHand) {
  for (const OnlineRule rule : {OnlineRule::adagrad, OnlineRule::ftrl}) {
    OnlineModel model;
    model.problem = {.rule = rule, .intercept = false};
    OnlineRows rows;
    rows.add({{7, 2.0}}, 1);
    const OnlineTotals totals = learn_all(model, rows);
    EXPECT_DOUBLE_EQ(model.coefficient(7, totals.weight), 0.25);
    EXPECT_EQ(model.coefficient(8, totals.weight), 0);
    EXPECT_EQ(model.intercept_at(totals.weight), 0);
    EXPECT_NEAR(totals.loss, std::log(2.0), 1e-15);
  }
}

// One more row counts, however many had the column before.
TEST(OnlineSteps, RowsOfAColumnAreCountedBeyondWhatAFloatHolds) {
  OnlineModel model;
  model.problem = {.intercept = false};
  constexpr std::uint32_t kMany = 1U << 24;
  model.columns.at(0).seen = kMany;
  OnlineRows rows;
  rows.add({{0, 1.0}}, 1);
  learn_all(model, rows);
  EXPECT_EQ(static_cast<double>(model.columns.at(0).seen.load()), kMany + 1.0);
}

// The same step with l1 = 0.4, l2 = 0.8: of ftrl z = −½, threshold 0.4/2, rate 1 + 0.8/4; of adagrad η = c = 1.
TEST(OnlineSteps, FirstStepWithPenaltiesByHand) {
  for (const OnlineRule rule : {OnlineRule::adagrad, OnlineRule::ftrl}) {
    OnlineModel model;
    model.problem = {.rule = rule, .intercept = false, .l2 = 0.8, .l1 = 0.4};
    OnlineRows rows;
    rows.add({{7, 2.0}}, 1);
    const OnlineTotals totals = learn_all(model, rows);
    EXPECT_NEAR(model.coefficient(7, totals.weight), (0.5 - 0.2) / 1.2 / 2, 1e-15);
  }
}

// Neither learned from nor counted.
TEST(OnlineSteps, RowsOfNoWeightAreNotThere) {
  OnlineRows without, with;
  for (int i = 0; i < 9; ++i) {
    without.add({{0, 1.0 + i}, {1, -2.0}}, i % 2);
    with.add({{0, 50.0}, {2, 1.0}}, 1, 0);
    with.add({{0, 1.0 + i}, {1, -2.0}}, i % 2);
  }
  OnlineModel one, other;
  one.problem = other.problem = {.rule = OnlineRule::ftrl, .l2 = 0.01};
  const OnlineTotals totals = learn_all(one, without), same = learn_all(other, with);
  EXPECT_EQ(same.rows, 9);
  EXPECT_EQ(same.loss, totals.loss);
  for (const std::uint32_t j : {0U, 1U, 2U})
    EXPECT_EQ(other.coefficient(j, same.weight), one.coefficient(j, totals.weight)) << j;
}

// What margins are measured in is not known while all targets are 0; nothing is to be learned from them either.
TEST(OnlineSteps, TargetsThatAreAllZeroLeaveAModelOfZeros) {
  for (const OnlineRule rule : {OnlineRule::adagrad, OnlineRule::ftrl}) {
    OnlineModel model;
    model.problem = {.rule = rule, .function = RowFunction::squared};
    OnlineRows rows;
    for (int i = 0; i < 3; ++i) rows.add({{0, 2.0}}, 0);
    const OnlineTotals totals = learn_all(model, rows);
    EXPECT_EQ(model.coefficient(0, totals.weight), 0);
    EXPECT_EQ(model.intercept_at(totals.weight), 0);
    EXPECT_EQ(totals.loss, 0);
  }
}

// Columns by number; −1 is the intercept.
class PlainLoop {
 public:
  PlainLoop(const OnlineProblem& problem) : problem_(problem) {}

  void learn(std::map<std::int64_t, double> row, double y, double s, double offset) {
    if (problem_.intercept) row[-1] = 1;
    double margin = offset;
    ++n_;
    for (auto& [j, x] : row) {
      seen_[j] += 1;
      square_[j] += x * x;
      x /= scale(j);
      size_ += x * x;
      margin += u(j) * x;
    }
    const bool squared = problem_.function == RowFunction::squared;
    const double r = squared ? margin - y : 1 / (1 + std::exp(-margin)) - y;
    loss_ += s * (squared ? r * r / 2 : std::log1p(std::exp(margin)) - y * margin);
    weight_ += s;
    targets_ += s * y * y;
    const double rho = squared ? std::sqrt(targets_ / weight_) : 1;
    const double alpha = rho * std::sqrt(n_ / size_), beta = 0.5 * rho * weight_ / n_;
    for (const auto& [j, x] : row) {
      const double g = s * r * x, p = j < 0 ? 0 : problem_.l2, q = j < 0 ? 0 : problem_.l1;
      grown_[j] += g * g;
      if (problem_.rule == OnlineRule::adagrad) {
        const double eta = alpha / (beta + std::sqrt(grown_[j])), c = weight_ / seen_[j];
        const double v = z_[j] - eta * g, threshold = eta * c * q / scale(j);
        const double kept = std::abs(v) > threshold ? v - std::copysign(threshold, v) : 0;
        z_[j] = kept / (1 + eta * c * p / (scale(j) * scale(j)));
      } else {
        const double kappa = std::max(kappa_[j], (beta + std::sqrt(grown_[j])) / alpha);
        z_[j] += g - (kappa - kappa_[j]) * before_[j];
        kappa_[j] = kappa;
      }
    }
  }
  double w(std::int64_t j) { return seen_[j] == 0 ? 0 : u(j) / scale(j); }
  double loss() const { return loss_; }

 private:
  double scale(std::int64_t j) { return std::sqrt(square_[j] / seen_[j]); }
  double u(std::int64_t j) {
    if (problem_.rule == OnlineRule::adagrad) return z_[j];
    const double p = j < 0 ? 0 : problem_.l2, q = j < 0 ? 0 : problem_.l1, threshold = weight_ * q / scale(j);
    if (kappa_[j] == 0 || std::abs(z_[j]) <= threshold) return before_[j] = 0;
    return before_[j] = -(z_[j] - std::copysign(threshold, z_[j])) / (kappa_[j] + weight_ * p / (scale(j) * scale(j)));
  }

  OnlineProblem problem_;
  std::map<std::int64_t, double> seen_, square_, grown_, z_, kappa_, before_;
  double n_ = 0, size_ = 0, weight_ = 0, targets_ = 0, loss_ = 0;
};

OnlineRows random_online_rows(RowFunction function, std::size_t count, double scale_of_last = 1) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  std::uniform_int_distribution<std::uint32_t> column(0, 19);
  OnlineRows rows;
  for (std::size_t i = 0; i < count; ++i) {
    std::map<std::uint32_t, double> row;
    double margin = 0.3;
    for (int k = 0; k < 5; ++k) {
      const std::uint32_t j = column(random);
      row[j] = normal(random) * (j == 19 ? scale_of_last : 1 + j);
    }
    for (const auto& [j, x] : row) margin += x / (j == 19 ? scale_of_last : 1 + j) * (j % 3 - 0.8);
    const double target = function == RowFunction::squared ? 5 * margin + normal(random) : margin + normal(random) > 0;
    rows.add(row, target, 0.5 + (i % 4) * 0.5, (i % 3) * 0.1);
  }
  return rows;
}

TEST(OnlineSteps, PassIsThatOfAPlainLoop) {
  for (const OnlineRule rule : {OnlineRule::adagrad, OnlineRule::ftrl})
    for (const RowFunction function : {RowFunction::logistic, RowFunction::squared})
      for (const double penalty : {0.0, 0.02})
        for (const bool intercept : {true, false}) {
          OnlineModel model;
          model.problem = {rule, function, intercept, penalty, penalty / 2};
          const OnlineRows rows = random_online_rows(function, 500);
          const OnlineTotals totals = learn_all(model, rows);
          PlainLoop loop(model.problem);
          for (std::size_t i = 0; i < rows.count(); ++i) {
            std::map<std::int64_t, double> row;
            for (std::uint64_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k)
              row[rows.columns[k]] = rows.values[k];
            loop.learn(row, rows.targets[i], rows.weights[i], rows.offsets[i]);
          }
          // Scales are kept as floats.
          EXPECT_NEAR(totals.loss, loop.loss(), 1e-5 * loop.loss());
          const double largest = std::abs(loop.w(0)) + 1e-3;
          for (std::uint32_t j = 0; j < 20; ++j)
            EXPECT_NEAR(model.coefficient(j, totals.weight), loop.w(j), 1e-4 * largest) << j;
          EXPECT_NEAR(model.intercept_at(totals.weight), intercept ? loop.w(-1) : 0, 1e-4 * (1 + largest));
        }
}

TEST(OnlineSteps, UnitsOfAColumnDoNotMatter) {
  OnlineModel one, other;
  one.problem = other.problem = {.rule = OnlineRule::ftrl};
  const OnlineTotals of_one = learn_all(one, random_online_rows(RowFunction::logistic, 500));
  const OnlineTotals of_other = learn_all(other, random_online_rows(RowFunction::logistic, 500, 1e6));
  EXPECT_NEAR(of_other.loss, of_one.loss, 1e-5 * of_one.loss);
  EXPECT_NEAR(other.coefficient(19, 1), one.coefficient(19, 1) / 1e6, 1e-10);
}

TEST(OnlineSteps, DenseRowsAreSparseRowsWithZeros) {
  OnlineModel sparse, dense;
  sparse.problem = dense.problem = {.rule = OnlineRule::adagrad, .l2 = 0.01};
  const OnlineRows rows = random_online_rows(RowFunction::logistic, 100);
  std::vector<float> table(rows.count() * 20, 0.0F);
  std::vector<double> rounded(rows.values);
  for (std::size_t i = 0; i < rows.count(); ++i)
    for (std::uint64_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k)
      rounded[k] = table[i * 20 + rows.columns[k]] = static_cast<float>(rows.values[k]);
  OnlineTotals of_sparse, of_dense;
  SparseRows<double> entries = rows.rows();
  entries.values = rounded.data();
  OnlineSteps(sparse).take(entries, rows.data(), 0, rows.count(), of_sparse);
  OnlineSteps(dense).take(DenseRows<float>{table.data(), rows.count(), 20}, rows.data(), 0, rows.count(), of_dense);
  EXPECT_EQ(of_dense.loss, of_sparse.loss);
  for (std::uint32_t j = 0; j < 20; ++j) EXPECT_EQ(dense.coefficient(j, 1), sparse.coefficient(j, 1));
}

TEST(OnlineSteps, ValuesAtTheEndsOfTheRangeStayFinite) {
  OnlineModel model;
  model.problem = {.rule = OnlineRule::ftrl};
  OnlineRows rows;
  for (int i = 0; i < 20; ++i) rows.add({{0, 1e-300}, {1, 1e300}, {4'000'000'000U, i % 2 ? 1e-310 : 1.0}}, i % 2);
  const OnlineTotals totals = learn_all(model, rows);
  EXPECT_TRUE(std::isfinite(totals.loss));
  for (const std::uint32_t j : {0U, 1U, 4'000'000'000U})
    EXPECT_TRUE(std::isfinite(model.coefficient(j, totals.weight))) << j;
}

// What one thread loses to another is little. Under the thread sanitizer: no race but those of relaxed numbers.
TEST(OnlineSteps, ThreadsShareAModel) {
  const OnlineRows rows = random_online_rows(RowFunction::logistic, 4000);
  OnlineModel alone, shared;
  alone.problem = shared.problem = {.rule = OnlineRule::ftrl};
  const double loss = learn_all(alone, rows).loss;
  OnlineTotals totals[2];
  const auto half = [&](std::size_t part) {
    OnlineSteps(shared).take(rows.rows(), rows.data(), part * 2000, (part + 1) * 2000, totals[part]);
  };
  std::thread other([&] { half(1); });
  half(0);
  other.join();
  EXPECT_NEAR(totals[0].loss + totals[1].loss, loss, 0.2 * loss);
  EXPECT_NEAR(shared.coefficient(0, 1), alone.coefficient(0, 1), 0.5 * std::abs(alone.coefficient(0, 1)) + 0.1);
}

}  // namespace
}  // namespace muster
