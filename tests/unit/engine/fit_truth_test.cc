// Fits against outside truth: NIST's certified coefficients, and the figures of other software over real sets.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fit_on.h"

namespace muster {
namespace {

std::vector<std::vector<double>> read_csv(std::istream& in) {
  std::string line;
  std::getline(in, line);
  std::vector<std::vector<double>> rows;
  while (std::getline(in, line)) {
    std::stringstream cells(line);
    rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, ',');) rows.back().push_back(std::stod(cell));
  }
  return rows;
}

class FitNist : public testing::TestWithParam<std::string> {};

TEST_P(FitNist, ThirteenDigitsForAnyRanks) {
  const std::string folder = MUSTER_SOURCE_DIR "/tests/data/nist/";
  std::ifstream json(folder + "certified.json"), csv(folder + GetParam() + ".csv");
  const nlohmann::json certified = nlohmann::json::parse(json).at(GetParam());
  Table t;
  for (auto& row : read_csv(csv)) {
    t.y.push_back(row[0]);
    row.erase(row.begin());
    const int degree = certified.at("degree").is_null() ? 1 : certified.at("degree").get<int>();
    for (int k = 2; k <= degree; ++k) row.push_back(std::pow(row[0], k));
    t.x.push_back(row);
  }
  if (!certified.at("degree").is_null())
    for (std::size_t j = 1; j < t.x[0].size(); ++j) t.powers.push_back({j, 0, static_cast<int>(j) + 1});
  TrainOptions options = with(Loss::squared, SolverChoice::automatic);
  options.problem.intercept = certified.at("intercept");
  const std::vector<double> expected = certified.at("coef");
  for (const int ranks : {1, 2, 5}) {
    const FitResult r = fit_on(t, options, {.ranks = ranks});
    std::vector<double> found = r.model.w;
    if (options.problem.intercept) found.insert(found.begin(), r.model.intercepts[0]);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t j = 0; j < found.size(); ++j)
      EXPECT_NEAR(found[j] / expected[j], 1, 1e-13) << "coefficient " << j << " of " << ranks << " ranks";
    EXPECT_GE(*r.report.certificate.digits, 13);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, FitNist,
                         testing::Values("Norris", "Pontius", "NoInt1", "NoInt2", "Filip", "Longley", "Wampler1",
                                         "Wampler2", "Wampler3", "Wampler4", "Wampler5"),
                         [](const auto& set) { return set.param; });

const std::string kShared = MUSTER_SOURCE_DIR "/../shared/data/";

nlohmann::json reference(const std::string& name) {
  std::ifstream in(kShared + "reference.jsonl");
  for (std::string line; std::getline(in, line);) {
    nlohmann::json entry = nlohmann::json::parse(line);
    if (entry.at("name") == name) return entry;
  }
  return {};
}

std::istringstream unpacked(const std::string& file) {
  const std::string command = "zstd -d --long=27 -c '" + kShared + file + "'";
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  char block[1 << 16];
  for (std::size_t got; (got = fread(block, 1, sizeof block, pipe)) > 0;) text.append(block, got);
  pclose(pipe);
  return std::istringstream(text);
}

// Rows 0, 1, 2, 3 of every five; the target is the last column.
Table training_rows(const std::string& name) {
  std::istringstream in = unpacked("dense/" + name + ".csv.zst");
  Table t;
  std::size_t i = 0;
  for (auto& row : read_csv(in)) {
    if (i++ % 5 == 4) continue;
    t.y.push_back(row.back());
    row.pop_back();
    t.x.push_back(row);
  }
  return t;
}

// LIBSVM lines, features from 1, labels -1 or 0 and 1. skip_fifth: as above.
Table sparse_training_rows(const std::string& file, std::size_t columns, bool skip_fifth) {
  std::istringstream in = unpacked(file);
  Table t;
  std::size_t i = 0;
  for (std::string line; std::getline(in, line);) {
    if (i++ % 5 == 4 && skip_fifth) continue;
    std::istringstream fields(line);
    double label = 0, value = 0;
    std::size_t feature = 0;
    char colon = 0;
    fields >> label;
    std::vector<double> row(columns, 0.0);
    while (fields >> feature >> colon >> value) row.at(feature - 1) = value;
    t.y.push_back(label > 0 ? 1 : 0);
    t.x.push_back(std::move(row));
  }
  return t;
}

#define NEEDS_SHARED_DATA() \
  if (!std::filesystem::exists(kShared + "reference.jsonl")) GTEST_SKIP() << "no data beside the project: " << kShared

TEST(FitReference, OrdinaryAndRidgeRegressionOfOtherSoftware) {
  NEEDS_SHARED_DATA();
  for (const std::string name : {"uci_concrete", "skl_diabetes", "uci_yacht", "uci_wine"}) {
    const nlohmann::json entry = reference(name);
    const Table t = training_rows(name);
    const auto n = static_cast<double>(t.y.size());
    const FitResult ols = fit_on(t, with(Loss::squared, SolverChoice::automatic), {.ranks = 2});
    EXPECT_NEAR(*ols.report.certificate.training_rmse / entry.at("ols_tr").at(0).get<double>(), 1, 1e-6) << name;
    TrainOptions options = with(Loss::squared, SolverChoice::automatic, 1 / n);
    options.problem.standardize = true;
    const FitResult ridge = fit_on(t, options, {.ranks = 2});
    EXPECT_NEAR(*ridge.report.certificate.training_rmse / entry.at("ridge1_tr").at(0).get<double>(), 1, 1e-6) << name;
  }
}

TEST(FitReference, LassoOfOtherSoftware) {
  NEEDS_SHARED_DATA();
  for (const std::string name : {"uci_concrete", "skl_diabetes", "uci_yacht", "uci_housing", "pmlb_tecator"}) {
    const nlohmann::json entry = reference(name);
    const Table t = training_rows(name);
    TrainOptions options = with(Loss::squared, SolverChoice::automatic);
    options.problem.l1 = entry.at("lasso_alpha");
    options.problem.standardize = true;
    options.stop.tolerance = 1e-7;
    const FitResult r = fit_on(t, options, {.ranks = 2});
    const Certificate& c = r.report.certificate;
    const double truth = entry.at("lasso_obj"), bound = *c.suboptimality_bound;
    EXPECT_EQ(r.report.stop_reason, StopReason::converged) << name << r.report.rounds_done;
    EXPECT_LE(bound, 1e-7 * c.relative_target) << name;
    EXPECT_LE(c.objective, truth * (1 + 1e-6)) << name;  // coordinate descent stops by a tolerance too
    EXPECT_GE(c.objective, truth - bound - 1e-6 * truth) << name;
    EXPECT_NEAR(static_cast<double>(r.model.w.size()) - std::count(r.model.w.begin(), r.model.w.end(), 0.0),
                entry.at("lasso_nnz").get<double>(), 1)
        << name;
  }
}

struct LogisticSet {
  std::string name, sparse_file;  // no file: dense, standardised
  bool skip_fifth = true;
  friend void PrintTo(const LogisticSet& set, std::ostream* out) { *out << set.name; }
};

class FitLogisticReference : public testing::TestWithParam<LogisticSet> {};

TEST_P(FitLogisticReference, ObjectiveOfOtherSoftware) {
  NEEDS_SHARED_DATA();
  const auto& [name, sparse_file, skip_fifth] = GetParam();
  const nlohmann::json entry = reference(name);
  const bool sparse = !sparse_file.empty();
  const Table t = sparse ? sparse_training_rows(sparse_file, entry.at("cols"), skip_fifth) : training_rows(name);
  for (const double tolerance : {1e-6, 1e-10, 1e-12}) {
    TrainOptions options = with(Loss::logistic, SolverChoice::automatic, entry.at("lam"));
    options.problem.standardize = !sparse;
    options.stop.tolerance = tolerance;
    const FitResult r = fit_on(t, options, {.ranks = 2, .sparse = sparse});
    EXPECT_EQ(r.report.stop_reason, StopReason::converged) << r.report.stop_detail;
    EXPECT_EQ(r.report.solver, r.report.rounds_done <= 150 ? "lbfgs" : "lbfgs, newton-cg");
    EXPECT_LT(r.report.rounds_done, 1000);
    const double truth = entry.at("obj");
    EXPECT_NEAR(r.report.certificate.objective, truth, 1.01 * tolerance * r.report.certificate.relative_target + 1e-13);
    if (tolerance == 1e-12) {
      EXPECT_NEAR(r.report.certificate.objective / truth, 1, 1e-10);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, FitLogisticReference,
                         testing::Values(LogisticSet{"fertility_pums", ""}, LogisticSet{"magic04", ""},
                                         LogisticSet{"spambase", ""}, LogisticSet{"skl_breast_cancer", ""},
                                         LogisticSet{"a9a", "sparse/a9a.zst", false},
                                         LogisticSet{"mushroom", "sparse/mushroom.libsvm.zst"}),
                         [](const auto& set) { return set.param.name; });

}  // namespace
}  // namespace muster
