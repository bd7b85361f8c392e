#include "objective/renumbered_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "objective/linear_rows.h"

namespace muster {
namespace {

// So many that blocks of rows would be shorter if only the columns in use were counted.
constexpr std::size_t kColumns = 40'000, kEntries = 9;

// Rows whose columns are the more frequent the smaller a drawn rank is, scattered over kColumns.
Shard rows_of_many_columns(std::size_t rows, bool classes, std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  std::normal_distribution<double> normal;
  Shard shard;
  SparseMatrix matrix{rows, kColumns, {0}, {}, {}};
  AlignedVector<double> values;
  for (std::size_t i = 0; i < rows; ++i) {
    std::set<std::uint32_t> columns;
    while (columns.size() < kEntries) {
      const auto rank = static_cast<std::size_t>(std::expm1(uniform(random) * std::log(9000.0)));
      columns.insert(static_cast<std::uint32_t>(rank * 7919 % kColumns));
    }
    for (const std::uint32_t column : columns) {
      matrix.columns.push_back(column);
      values.push_back(normal(random));
    }
    matrix.row_begin.push_back(values.size());
    shard.targets.push_back(classes ? static_cast<double>(i % 3) : static_cast<double>(i % 2));
    shard.weights.push_back(uniform(random) < 0.1 ? 0 : 2 * uniform(random));
    shard.offsets.push_back(normal(random));
  }
  matrix.values = std::move(values);
  shard.matrix = std::move(matrix);
  return shard;
}

std::map<std::uint32_t, std::size_t> entries_by_column(const SparseMatrix& matrix) {
  std::map<std::uint32_t, std::size_t> entries;
  for (const std::uint32_t column : matrix.columns) ++entries[column];
  return entries;
}

class RenumberedShard : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(renumbered, nullptr); }

  const Shard shard = rows_of_many_columns(3000, false);
  const SparseMatrix& matrix = std::get<SparseMatrix>(shard.matrix);
  Executor executor{3};
  const std::unique_ptr<RenumberedRows> renumbered = RenumberedRows::of(shard, executor, nullptr);
};

TEST_F(RenumberedShard, EveryColumnThatOccursHasANumberOfItsOwn) {
  const auto entries = entries_by_column(matrix);
  std::set<std::uint32_t> used;
  for (std::uint32_t j = 0; j < kColumns; ++j) {
    const std::uint32_t number = renumbered->numbers()[j];
    EXPECT_EQ(number == RenumberedRows::kNone, entries.count(j) == 0) << j;
    if (number == RenumberedRows::kNone) continue;
    EXPECT_TRUE(used.insert(number).second) << j;
  }
  EXPECT_EQ(*used.rbegin(), entries.size() - 1);
  EXPECT_EQ(renumbered->source().shape().cols, entries.size());
}

TEST_F(RenumberedShard, FrequentColumnsComeFirst) {
  // Of the columns in the order of their numbers, the first hundred should have about as many entries as any hundred.
  std::vector<std::size_t> by_number(renumbered->source().shape().cols), most;
  for (const auto& [column, count] : entries_by_column(matrix)) {
    by_number[renumbered->numbers()[column]] = count;
    most.push_back(count);
  }
  std::sort(most.rbegin(), most.rend());
  const auto of_hundred = [](const std::vector<std::size_t>& all) {
    return static_cast<double>(std::accumulate(all.begin(), all.begin() + 100, std::size_t{0}));
  };
  EXPECT_GE(of_hundred(by_number), 0.9 * of_hundred(most));
}

TEST_F(RenumberedShard, RowsAreWhatTheyWere) {
  const Shard& held = *renumbered->source().held();
  const auto& own = std::get<SparseMatrix>(held.matrix);
  ASSERT_EQ(own.rows, matrix.rows);
  ASSERT_EQ(own.columns.size(), matrix.columns.size());
  for (std::size_t k = 0; k < matrix.columns.size(); ++k)
    EXPECT_EQ(own.columns[k], renumbered->numbers()[matrix.columns[k]]);
  EXPECT_EQ(std::get<0>(own.values).data(), std::get<0>(matrix.values).data());
  EXPECT_EQ(own.row_begin.data(), matrix.row_begin.data());
  EXPECT_EQ(held.targets.data(), shard.targets.data());
  EXPECT_EQ(held.weights.data(), shard.weights.data());
  EXPECT_EQ(held.offsets.data(), shard.offsets.data());
}

TEST(RenumberedRows, TakesWhatItKeepsFromTheBudgetAndGivesItBack) {
  const Shard shard = rows_of_many_columns(500, false);
  const double bytes = 4.0 * (500 * kEntries + kColumns);
  Executor executor(1);
  RowBudget enough(bytes), too_little(bytes - 1);
  auto renumbered = RenumberedRows::of(shard, executor, &enough);
  EXPECT_NE(renumbered, nullptr);
  EXPECT_FALSE(enough.take(1));
  renumbered.reset();
  EXPECT_TRUE(enough.take(bytes));
  EXPECT_EQ(RenumberedRows::of(shard, executor, &too_little), nullptr);
  EXPECT_TRUE(too_little.take(bytes - 1)) << "something was kept of what was not enough";
}

TEST(RenumberedRows, WhereNothingIsGainedThereAreNone) {
  Executor executor(1);
  Shard few = rows_of_many_columns(10, false), none = without_rows(few), dense;
  std::get<SparseMatrix>(none.matrix).cols = kColumns;
  for (std::uint32_t& column : std::get<SparseMatrix>(few.matrix).columns) column %= 1000;
  std::get<SparseMatrix>(few.matrix).cols = 1000;
  dense.matrix = DenseMatrix{1, kColumns, AlignedVector<double>(kColumns, 1.0)};
  for (const Shard* shard : {&few, &none, &dense}) EXPECT_EQ(RenumberedRows::of(*shard, executor, nullptr), nullptr);
}

// Everything a pass gives, at one point or along a line.
struct Passes {
  double value = 0;
  std::vector<double> gradient, tallies, bound, hessian, margins, on_line, certificate;

  bool operator==(const Passes&) const = default;
};

std::vector<double> waves(std::size_t count, double pace) {
  std::vector<double> all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = std::sin(pace * static_cast<double>(i));
  return all;
}

Passes passes_of(LinearRows& rows, Loss loss, bool intercept) {
  const std::size_t outputs = loss == Loss::softmax ? 3 : 1;
  Scaling scaling;
  for (std::size_t j = 0; j < kColumns; ++j) {
    scaling.centre.push_back(intercept && j % 3 == 0 ? 0.125 * static_cast<double>(j % 5) : 0);
    scaling.scale.push_back(j % 11 == 4 ? 0 : 0.5 + 0.25 * static_cast<double>(j % 4));
  }
  LinearObjective objective(rows, loss, scaling, intercept, outputs);
  const std::size_t n = objective.dimension();
  const std::vector<double> v = waves(n, 1), w = waves(n, 2);
  Passes all;
  for (std::vector<double>* vector : {&all.gradient, &all.bound, &all.hessian, &all.on_line}) vector->resize(n);
  all.tallies.resize(objective.tallies());
  all.margins.resize(objective.margin_count());
  objective.value_and_gradient(v, all.value, all.gradient, all.tallies);
  objective.curvature_product(w, all.bound);
  objective.hessian_product(v, w, all.hessian);
  objective.margins(w, all.margins);
  objective.look_along(v, w);
  double value = 0, slope = 0;
  objective.value_on_line(0.25, value, slope);
  std::vector<double> between(n);
  for (std::size_t i = 0; i < n; ++i) between[i] = v[i] + 0.25 * (w[i] - v[i]);
  objective.value_and_gradient_on_line(0.25, between, value, all.on_line, all.tallies);
  all.on_line.insert(all.on_line.end(), {value, slope});
  all.certificate.resize(2 * (1 + outputs * (1 + kColumns)));
  rows.certify(loss, std::span(v).first(kColumns * outputs), std::vector<double>(outputs, 0.5), scaling.centre,
               all.certificate);
  return all;
}

TEST(RenumberedRows, PassesHaveTheSameBits) {
  for (const auto& [loss, intercept] : {std::pair(Loss::squared, true), std::pair(Loss::logistic, true),
                                        std::pair(Loss::logistic, false), std::pair(Loss::softmax, true)}) {
    const Shard shard = rows_of_many_columns(loss == Loss::squared ? 20'000 : 700, loss == Loss::softmax);
    for (const InstructionSet set : available_instruction_sets()) {
      Executor one(1), three(3);
      RowBudget none(0);
      HeldRows held(shard);
      LinearRows as_they_are(held, one, set, &none), renumbered(held, three, set);
      ASSERT_TRUE(as_they_are.pass_rows().numbers.empty());
      ASSERT_FALSE(renumbered.pass_rows().numbers.empty());
      EXPECT_EQ(passes_of(as_they_are, loss, intercept), passes_of(renumbered, loss, intercept));
    }
  }
}

TEST(RenumberedRows, RowsThatAreGainedAreRenumberedToo) {
  Shard shard = rows_of_many_columns(300, false);
  Executor executor(1);
  HeldRows held(shard);
  LinearRows grown(held, executor, InstructionSet::scalar);
  LinearObjective objective(grown, Loss::logistic,
                            {AlignedVector<double>(kColumns, 0.0), std::vector<double>(kColumns, 1.0)}, false);
  const std::vector<double> v = waves(kColumns, 1);
  const auto evaluate = [&](LinearObjective& of) {
    double value = 0;
    std::vector<double> gradient(kColumns), tallies(2);
    of.value_and_gradient(v, value, gradient, tallies);
    gradient.push_back(value);
    return gradient;
  };
  evaluate(objective);
  append_rows(shard, rows_of_many_columns(200, false, 2));
  LinearRows anew(shard, executor, InstructionSet::scalar);
  LinearObjective of_all(anew, Loss::logistic, objective.scaling(), false);
  EXPECT_EQ(evaluate(objective), evaluate(of_all));
}

}  // namespace
}  // namespace muster
