#include <fmt/format.h>

#include "arrow_files.h"
#include "data/parquet_reader.h"
#include "load_helpers.h"

namespace muster {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(LoadParquet, RowGroupsAreShared) {
  const TemporaryDirectory dir;
  write_parquet(dir.path() + "/a.parquet", *table(0, 50, false), 7);
  write_parquet(dir.path() + "/b.parquet", *table(50, 60, false), 100);
  LoadRequest request = request_for(dir.path(), "y");
  request.options.drop = {"t"};
  for (const int n : {1, 2, 5, 12}) {
    const Rows rows = load_on(n, request);
    EXPECT_EQ(rows.feature_names(), (std::vector<std::string>{"x", "s=b", "s=c", "b=true"}));
    ASSERT_EQ(rows.x.size(), 60u);
    EXPECT_EQ(rows.summary.rows_in_files, 60);
    for (int i = 0; i < 60; ++i) {
      const auto r = static_cast<std::size_t>(i);
      EXPECT_EQ(rows.x[r],
                (std::vector<double>{1.0 * i, i % 3 == 1 ? 1.0 : 0.0, i % 3 == 2 ? 1.0 : 0.0, i % 2 ? 1.0 : 0.0}));
      EXPECT_EQ(rows.y[r], i / 4.0);
    }
    if (n == 2) {
      EXPECT_GT(*std::min_element(rows.rows_by_worker.begin(), rows.rows_by_worker.end()), 20u);
    }
  }
}

// Arrow's own stream of pages wrote past its buffer, or came to an end too soon, where what is left of a column is
// about as long as that: as with few values in many rows, in pages of some 20,000 rows as new versions of Arrow write
// them.
TEST(LoadParquet, ColumnsOfAFewValuesAreReadWhole) {
  const TemporaryDirectory dir;
  const std::string path = dir.path() + "/few.parquet";
  for (const std::size_t rows : {70'000, 128'000, 196'000, 349'000}) {
    std::vector<std::optional<float>> x, y;
    std::uint64_t state = rows;
    for (std::size_t i = 0; i < rows; ++i) {
      state = state * 6364136223846793005 + 1442695040888963407;
      x.push_back(static_cast<float>(i));
      y.push_back(static_cast<float>(state >> 63));
    }
    const auto written =
        arrow::Table::Make(arrow::schema({arrow::field("x", arrow::float32()), arrow::field("y", arrow::float32())}),
                           {array_of<arrow::FloatBuilder>(x), array_of<arrow::FloatBuilder>(y)});
    const auto pages = parquet::WriterProperties::Builder().data_pagesize(2500)->build();
    auto out = *arrow::io::FileOutputStream::Open(path);
    ASSERT_TRUE(parquet::arrow::WriteTable(*written, arrow::default_memory_pool(), out, 1'000'000, pages).ok());
    ASSERT_TRUE(out->Close().ok());
    const Rows read = load_on(1, request_for(path, "y"));
    ASSERT_EQ(read.y.size(), rows);
    for (std::size_t i = 0; i < rows; ++i) {
      ASSERT_EQ(read.x[i][0], *x[i]) << i;
      ASSERT_EQ(read.y[i], *y[i]) << i;
    }
  }
}

TEST(LoadParquet, MissingOtherTypesAndDamage) {
  const TemporaryDirectory dir;
  const std::string path = dir.path() + "/m.parquet";
  write_parquet(path, *table(0, 20, true), 5);
  LoadRequest request = request_for(path, "y");
  EXPECT_TRUE(says(load_error(2, request), path + ": column 't' is of type date32", {"--drop t"}));
  request.options.drop = {"t"};
  for (const int n : {1, 3}) {
    EXPECT_TRUE(says(load_error(n, request), path + ", row 4: column 'x' has a missing value", {}));
  }
  request.options.missing = MissingPolicy::drop;
  EXPECT_EQ(load_on(3, request).summary.rows_dropped, 2);
  request.options.missing = MissingPolicy::mean;
  EXPECT_EQ(load_on(3, request).x[3][0], (190.0 - 3 - 13) / 18);
  const std::string good = read_file(path);
  dir.file("cut.parquet", good.substr(0, good.size() / 2));
  request.options.paths = {dir.path() + "/cut.parquet"};
  EXPECT_TRUE(says(load_error(2, request), dir.path() + "/cut.parquet: cannot be read as Parquet", {}));
  std::string broken = good;
  for (std::size_t i = 8; i < 200; ++i) broken[i] = static_cast<char>(broken[i] ^ 0x5a);
  dir.file("broken.parquet", broken);
  request.options.paths = {dir.path() + "/broken.parquet"};
  EXPECT_TRUE(says(load_error(2, request), dir.path() + "/broken.parquet: ", {}));
}

TEST(ParquetPages, OfAColumnNothingAsLongAsItsDictionaryIsHeldBesideIt) {
  constexpr int kColumns = 20, kRows = 60'000;
  const auto number = [](int c, std::int64_t i) { return static_cast<double>(i) * 1.1 + c; };  // all of a column differ
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<std::shared_ptr<arrow::Array>> columns;
  std::vector<WantedColumn> wanted;
  for (int c = 0; c < kColumns; ++c) {
    std::vector<std::optional<double>> numbers;
    for (int i = 0; i < kRows; ++i) numbers.emplace_back(number(c, i));
    columns.push_back(array_of<arrow::DoubleBuilder>(numbers));
    wanted.push_back({fmt::format("x{}", c), false, ""});
    fields.push_back(arrow::field(wanted.back().name, arrow::float64()));
  }
  const TemporaryDirectory dir;
  const std::string path = dir.path() + "/a.parquet";
  auto out = *arrow::io::FileOutputStream::Open(path);
  const auto compressed = parquet::WriterProperties::Builder().compression(arrow::Compression::SNAPPY)->build();
  ASSERT_TRUE(parquet::arrow::WriteTable(*arrow::Table::Make(arrow::schema(fields), columns),
                                         arrow::default_memory_pool(), out, kRows, compressed)
                  .ok());
  ASSERT_TRUE(out->Close().ok());

  const auto reader = read_parquet(discover({path}, Format::parquet).files, {{0, 0, 1}}, wanted);
  const std::int64_t before = arrow::system_memory_pool()->bytes_allocated();
  constexpr std::int64_t kDictionaries = std::int64_t{kColumns} * kRows * static_cast<std::int64_t>(sizeof(double));
  TableBatch batch;
  std::int64_t row = 0;
  while (reader->next(batch)) {
    const std::int64_t held = arrow::system_memory_pool()->bytes_allocated() - before;
    EXPECT_LT(held, kDictionaries * 7 / 4);
    EXPECT_TRUE(held > kDictionaries || row + batch.rows == kRows);
    for (int c = 0; c < kColumns; ++c)
      for (std::int64_t i = 0; i < batch.rows; ++i)
        ASSERT_EQ(batch.columns[static_cast<std::size_t>(c)].numbers[static_cast<std::size_t>(i)], number(c, row + i));
    row += batch.rows;
  }
  EXPECT_EQ(row, kRows);
}

TEST(LoadPacked, EveryCompressionIsReadWhole) {
  const TemporaryDirectory dir;
  std::string text = "x,y\n";
  for (int i = 0; i < 3000; ++i) text += fmt::format("{},{}\n", i, 2 * i);
  const std::vector<std::pair<std::string, arrow::Compression::type>> kinds = {{".gz", arrow::Compression::GZIP},
                                                                               {".zst", arrow::Compression::ZSTD},
                                                                               {".bz2", arrow::Compression::BZ2},
                                                                               {".lz4", arrow::Compression::LZ4_FRAME}};
  for (const auto& [end, type] : kinds) {
    for (const int n : {1, 3}) {
      const Rows rows = load_on(n, request_for(packed(dir.path() + "/p.csv" + end, type, text), "y"));
      ASSERT_EQ(rows.y.size(), 3000u);
      EXPECT_EQ(rows.y[2999], 5998);
      EXPECT_EQ(rows.summary.notes.size(), n == 1 ? 0u : 1u);
      if (n > 1) {
        EXPECT_TRUE(says(rows.summary.notes[0], "not splittable: ", {end}));
      }
    }
  }
  const Rows svm =
      load_on(2, request_for(packed(dir.path() + "/p.svm.gz", arrow::Compression::GZIP, "1 1:2\n3 2:4\n"), ""));
  EXPECT_EQ(svm.y, (std::vector<double>{1, 3}));
  // Line numbers are those of the text.
  EXPECT_TRUE(
      says(load_error(2, request_for(packed(dir.path() + "/e.csv.gz", arrow::Compression::GZIP, text + "1,b\n"), "y")),
           dir.path() + "/e.csv.gz:3002: ", {"'b'"}));
  const std::string whole = read_file(dir.path() + "/p.csv.gz");
  EXPECT_TRUE(says(load_error(2, request_for(dir.file("t.csv.gz", whole.substr(0, whole.size() - 700)), "y")),
                   dir.path() + "/t.csv.gz: the packed data end too early", {}));
  EXPECT_TRUE(says(load_error(2, request_for(dir.file("n.csv.gz", "x,y\n1,2\n"), "y")),
                   dir.path() + "/n.csv.gz: the packed data are damaged", {}));
}

}  // namespace
}  // namespace muster
