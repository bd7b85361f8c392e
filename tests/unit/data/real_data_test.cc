// Real files against sums computed once with pyarrow and awk. Skips where the files are not there.
#include <filesystem>
#include <map>

#include "load_helpers.h"

namespace muster {
namespace {

std::string real(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path(MUSTER_SOURCE_DIR) / "../shared/data" / name;
  return std::filesystem::exists(path) ? path.string() : "";
}

std::map<std::string, double> column_sums(const Rows& rows) {
  std::map<std::string, double> sums;
  for (const auto& row : rows.x) {
    for (std::size_t c = 0; c < row.size(); ++c) sums[rows.encoding.feature_name(c)] += row[c];
  }
  return sums;
}

TEST(RealData, Diamonds) {
  const std::string path = real("raw/diamonds.csv.zst");
  if (path.empty()) GTEST_SKIP() << "no ../shared/data";
  const Rows rows = load_on(2, request_for(path, "price"));
  ASSERT_EQ(rows.x.size(), 53940u);
  EXPECT_EQ(rows.x[0].size(), 23u);
  auto sums = column_sums(rows);
  EXPECT_NEAR(sums["carat"], 43040.87, 1e-6);
  EXPECT_NEAR(sums["depth"], 3330762.9, 1e-4);
  EXPECT_NEAR(sums["z"], 190879.3, 1e-5);
  EXPECT_EQ(sums["cut=Ideal"], 21551);
  EXPECT_EQ(sums["cut=Very Good"], 12082);
  EXPECT_EQ(sums["color=J"], 2808);
  EXPECT_EQ(sums["clarity=VVS2"], 5066);
  EXPECT_FALSE(sums.contains("cut=Fair"));
  double price = 0;
  for (const double y : rows.y) price += y;
  EXPECT_EQ(price, 212135217.0);
}

TEST(RealData, FlightsInParquet) {
  const std::string path = real("raw/flights-3m.parquet");
  if (path.empty()) GTEST_SKIP() << "no ../shared/data";
  LoadRequest request = request_for(path, "delay");
  request.options.drop = {"date", "origin", "destination"};
  double delay = 0, distance = 0;
  std::int64_t rows = 0;
  for (const Dataset& part : on_workers<Dataset>(2, [&](Peers& peers) { return load(request, peers); })) {
    EXPECT_GT(part.shard.rows(), 1'000'000u);
    rows += static_cast<std::int64_t>(part.shard.rows());
    for (const double y : part.shard.targets) delay += y;
    for (const float x : std::get<RowArray<float>>(std::get<DenseMatrix>(part.shard.matrix).values)) distance += x;
  }
  EXPECT_EQ(rows, 3'000'000);
  EXPECT_EQ(delay, 20003603.0);
  EXPECT_EQ(distance, 2194861208.0);
}

TEST(RealData, A9aInLibsvm) {
  const std::string path = real("sparse/a9a.zst");
  if (path.empty()) GTEST_SKIP() << "no ../shared/data";
  Alone alone;
  const Dataset data = load(request_for(path, ""), alone);
  const auto& matrix = std::get<SparseMatrix>(data.shard.matrix);
  EXPECT_EQ(matrix.rows, 32561u);
  EXPECT_EQ(matrix.cols, 123u);
  EXPECT_EQ(matrix.columns.size(), 451592u);
  double labels = 0, weighted = 0;
  for (const double y : data.shard.targets) labels += y;
  const auto& values = std::get<RowArray<float>>(matrix.values);
  for (std::size_t k = 0; k < values.size(); ++k) weighted += static_cast<double>(values[k]) * (matrix.columns[k] + 1);
  EXPECT_EQ(labels, -16879);
  EXPECT_EQ(weighted, 22513357);
}

}  // namespace
}  // namespace muster
