// What one worker read, read again by another; and fewer readers than workers.
#include <fmt/format.h>

#include <cstring>
#include <filesystem>

#include "arrow_files.h"
#include "shard_checks.h"

namespace muster {
namespace {

// Streamed, each worker's rows are those it would hold, in every pass; and so with the next one's below.
void expect_streams(const LoadRequest& request, const std::vector<Dataset>& all) {
  for (int k = 0; k < 3; ++k) {
    SCOPED_TRACE(fmt::format("stream {}", k));
    StreamedRows rows(request, all[0].encoding, 3, {.window_bytes = 3000});
    rows.add(k);
    Shard expected = all[static_cast<std::size_t>(k)].shard;
    for (const std::size_t align : {1, 7, 64, 10'000}) expect_same(windows_of(rows, align), expected);
    expect_shape(rows.shape(), shape_of(expected));
    const int next = (k + 1) % 3;
    rows.add(next);
    append_rows(expected, all[static_cast<std::size_t>(next)].shard);
    expect_same(windows_of(rows, 16), expected);
    expect_shape(rows.shape(), shape_of(expected));
    rows.clear();
    EXPECT_EQ(windows_of(rows, 16).rows(), 0u);
  }
}

// Loads on three workers; each one's rows, read again with what another knows, are the same; and put together in order
// they are those of one worker who has them all.
void expect_parts(const LoadRequest& request) {
  const std::vector<Dataset> all = datasets_on(3, request);
  Rows apart, together;
  Shard put_together;
  for (int k = 0; k < 3; ++k) {
    SCOPED_TRACE(fmt::format("part {}", k));
    const auto at = static_cast<std::size_t>(k);
    int ticks = 0;
    Shard again = load_part(request, all[(at + 1) % 3].encoding, k, 3, [&] { ++ticks; });
    expect_same(again, all[at].shard);
    EXPECT_TRUE(ticks > 0 || again.rows() == 0);
    append_shard(again, apart);
    if (k == 0) {
      put_together = std::move(again);
    } else {
      append_rows(put_together, std::move(again));
    }
  }
  expect_streams(request, all);
  append_shard(put_together, together);
  EXPECT_EQ(static_cast<std::int64_t>(put_together.rows()), all[0].summary.rows_read - all[0].summary.rows_dropped);
  EXPECT_EQ(together.x, apart.x);
  EXPECT_EQ(together.y, apart.y);
  EXPECT_EQ(together.weights, apart.weights);
  EXPECT_EQ(together.offsets, apart.offsets);
  EXPECT_EQ(together.folds, apart.folds);
}

// Quotes with line breaks wherever the cuts fall; the first rows fit floats and the last do not.
std::string mixed_csv(int rows) {
  std::string text = "x,place,u,w,o,y\n";
  for (int i = 0; i < rows; ++i) {
    text += fmt::format("{},\"{},\n\"\"{}\"\"\",{},{},{},{}\n", i, i % 4, i % 3,
                        i % 11 == 5        ? std::string("NA")
                        : 3 * i < 2 * rows ? fmt::format("{}", i % 8)
                                           : fmt::format("{}", 0.1 * i),
                        1 + i % 2, 0.25 * i, i % 5);
  }
  return text;
}

TEST(LoadPart, CsvWithEverything) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("a.csv", mixed_csv(400)), "y");
  request.options.weight = "w";
  request.options.offset = "o";
  request.options.missing = MissingPolicy::drop;
  expect_parts(request);
  const std::vector<Dataset> all = datasets_on(3, request);
  EXPECT_TRUE(is_single(all[0].shard));
  EXPECT_FALSE(is_single(all[2].shard));
  request.options.missing = MissingPolicy::mean;
  request.options.polynomials = {{"x", 3}};
  expect_parts(request);
  for (const StorageChoice storage : {StorageChoice::float32, StorageChoice::float64}) {
    request.options.storage = storage;
    expect_parts(request);
  }
  request.fold_column = "place";
  expect_parts(request);
}

TEST(LoadPart, ManyFilesAndEmptyParts) {
  const TemporaryDirectory dir;
  dir.file("a.csv", "x,g,y\n1,p,2\n");
  dir.file("b.csv", "g;y;x\n\"q\";5;1.5\nr;6;2\n");
  expect_parts(request_for(dir.path(), "y"));
  expect_parts(request_for(dir.path() + "/a.csv", "y"));
}

TEST(LoadPart, ABinaryTargetKeepsItsReading) {
  const TemporaryDirectory dir;
  std::string text = "x,y\n", spelled = "x,y\n";
  for (int i = 0; i < 90; ++i) {
    text += fmt::format("{},{}\n", i, i % 2 == 0 ? "yes" : "no");
    spelled += fmt::format("{},{}\n", i, i % 2);
  }
  spelled += "NA,unclear\n";  // makes a target of levels, and is dropped
  LoadRequest request = request_for(dir.file("a.csv", text), "y");
  request.target = TargetKind::binary;
  expect_parts(request);
  request.options.paths = {dir.file("b.csv", spelled)};
  request.options.missing = MissingPolicy::drop;
  expect_parts(request);
}

TEST(LoadPart, AndSoDoesATargetOfManyClasses) {
  const TemporaryDirectory dir;
  std::string numbers = "x,y\n", texts = "x,y\n", labels;
  for (int i = 0; i < 90; ++i) {
    numbers += fmt::format("{},{}\n", i, 7 * i % 13);
    texts += fmt::format("{},c{}\n", i, 7 * i % 13);
    labels += fmt::format("{} 1:{}\n", 7 * i % 13, i);
  }
  for (const std::string& file : {dir.file("n.csv", numbers), dir.file("t.csv", texts), dir.file("l.svm", labels)}) {
    LoadRequest request = request_for(file, file.ends_with("svm") ? "" : "y");
    request.target = TargetKind::classes;
    expect_parts(request);
  }
}

TEST(LoadPart, CategoricalColumnsAreSparse) {
  const TemporaryDirectory dir;
  std::string text = "g,x,y\n";
  for (int i = 0; i < 300; ++i) text += fmt::format("level {},{},{}\n", i % 40, i, i % 7);
  const LoadRequest request = request_for(dir.file("a.csv", text), "y");
  ASSERT_TRUE(std::holds_alternative<SparseMatrix>(datasets_on(1, request)[0].shard.matrix));
  expect_parts(request);
}

TEST(LoadPart, Parquet) {
  const TemporaryDirectory dir;
  write_parquet(dir.path() + "/a.parquet", *table(0, 50, true), 7);
  write_parquet(dir.path() + "/b.parquet", *table(50, 80, true), 100);
  LoadRequest request = request_for(dir.path(), "y");
  request.options.drop = {"t"};
  request.options.missing = MissingPolicy::mean;
  expect_parts(request);
  request.options.missing = MissingPolicy::drop;
  expect_parts(request);
}

TEST(LoadPart, LibsvmOfEitherBase) {
  const TemporaryDirectory dir;
  std::string one, zero = "1 0:2\n";
  for (int i = 0; i < 200; ++i) {
    one += fmt::format("{} {}:{} 90:1 # row\n\n", i % 2 == 0 ? 1 : -1, 1 + i % 50, i < 150 ? 1.5 * i : 0.1 * i);
    zero += fmt::format("{} {}:3\n", i, 1 + i % 9);
  }
  LoadRequest request = request_for(dir.file("a.svm", one), "");
  expect_parts(request);
  request.target = TargetKind::binary;
  expect_parts(request);
  expect_parts(request_for(dir.file("b.svm", zero), ""));
}

TEST(LoadPart, PackedFiles) {
  const TemporaryDirectory dir;
  for (int f = 0; f < 5; ++f) {
    const bool gzip = f % 2 == 0;
    packed(fmt::format("{}/{}.csv.{}", dir.path(), f, gzip ? "gz" : "zst"),
           gzip ? arrow::Compression::GZIP : arrow::Compression::ZSTD, mixed_csv(30 + 20 * f));
  }
  LoadRequest request = request_for(dir.path(), "y");
  request.options.missing = MissingPolicy::mean;
  expect_parts(request);
}

TEST(LoadPart, FilesThatChangedAreRefused) {
  const TemporaryDirectory dir;
  const auto after = [&](const std::string& name, const std::string& before, const std::string& now, bool binary) {
    LoadRequest request = request_for(dir.file(name, before), name.ends_with("svm") ? "" : "y");
    if (binary) request.target = TargetKind::binary;
    const Encoding encoding = datasets_on(1, request)[0].encoding;
    dir.file(name, now);
    return error_of([&] { load_part(request, encoding, 0, 1); });
  };
  const std::string at = dir.path() + "/a.csv", table = at + ": ", lines = dir.path() + "/a.svm";
  EXPECT_TRUE(says(after("a.csv", "x,y\n1,2\n", "x,y\n1,23\n", false), table, {"sizes", "changed after training"}));
  EXPECT_TRUE(says(after("a.csv", "x,y\n1,2\n", "z,y\n1,2\n", false), table, {"'z'", "changed"}));
  EXPECT_TRUE(says(after("a.csv", "x,y\na,2\n", "x,y\nb,2\n", false), at + ":2: ", {"level 'b'", "changed"}));
  EXPECT_TRUE(says(after("a.csv", "x,y\n1,2\n2,3\n", "x,y\n1,2\n2,4\n", true), at + ":3: ", {"level '4'", "changed"}));
  EXPECT_TRUE(says(after("a.svm", "1 2:1\n", "1 3:1\n", false), lines, {"index 3", "changed"}));
  EXPECT_TRUE(says(after("a.svm", "1 2:1\n2 2:1\n", "1 2:1\n3 2:1\n", true), lines + ":2", {"label 3", "changed"}));
}

// Not even where the size and all levels are the same.
TEST(StreamedRows, AFileThatChangesBetweenTwoPassesIsRefused) {
  const TemporaryDirectory dir;
  const std::string path = dir.file("a.csv", "x,y\n1,2\n3,4\n");
  const LoadRequest request = request_for(path, "y");
  const Encoding encoding = datasets_on(1, request)[0].encoding;
  StreamedRows rows(request, encoding, 1, {});
  rows.add(0);
  EXPECT_EQ(windows_of(rows, 1).rows(), 2u);
  const auto time = std::filesystem::last_write_time(path);
  const auto again = [&](const std::string& text, std::chrono::seconds later) {
    dir.file("a.csv", text);
    std::filesystem::last_write_time(path, time + later);
    return error_of([&] { windows_of(rows, 1); });
  };
  EXPECT_TRUE(says(again("x,y\n1,2\n3,5\n", std::chrono::seconds(1)), path, {"not what it was", "after training"}));
  EXPECT_TRUE(says(again("x,y\n1,2\n3,45\n", std::chrono::seconds(0)), path, {"not what it was"}));
  // What can not be read says where, as at first.
  EXPECT_TRUE(says(again("x,y\n1,2\n3,q\n", std::chrono::seconds(0)), path + ":3:", {"'y'", "'q'"}));
  EXPECT_TRUE(says(again("x,y\n1,2\n3 4\n", std::chrono::seconds(0)), path + ":3:", {"1 cell"}));
  std::filesystem::remove(path);
  EXPECT_TRUE(says(error_of([&] { windows_of(rows, 1); }), path, {"not what it was"}));
}

// A pass that is given up does not wait for its reader to come to the end.
TEST(StreamedRows, APassCanBeGivenUpAtAnyPlace) {
  const TemporaryDirectory dir;
  const LoadRequest request = request_for(dir.file("a.csv", mixed_csv(4000)), "y");
  LoadRequest dropping = request;
  dropping.options.missing = MissingPolicy::drop;
  const Dataset data = datasets_on(1, dropping)[0];
  StreamedRows rows(dropping, data.encoding, 1, {.window_bytes = 1000});
  rows.add(0);
  for (int windows = 0; windows < 6; ++windows) {
    const std::unique_ptr<RowPass> pass = rows.begin(3);
    for (int w = 0; w < windows; ++w) ASSERT_NE(pass->next(), nullptr);
  }
  expect_same(windows_of(rows, 5), data.shard);
}

std::vector<Dataset> datasets_within(LoadRequest request, double bytes) {
  RowBudget budget(bytes);
  request.budget = &budget;
  return datasets_on(3, request);
}

// One budget for three workers: all hold their rows, or none.
void expect_streamed_below(const LoadRequest& request, double bytes) {
  const std::vector<Dataset> held = datasets_within(request, 1.02 * bytes), free = datasets_on(3, request);
  const std::vector<Dataset> streamed = datasets_within(request, 0.98 * bytes);
  for (std::size_t r = 0; r < 3; ++r) {
    EXPECT_FALSE(held[r].streamed);
    expect_same(held[r].shard, free[r].shard);
    EXPECT_TRUE(streamed[r].streamed);
    expect_same(streamed[r].shard, slice_rows(streamed[r].shard, 0, 0));
    EXPECT_EQ(streamed[r].shard.cols(), free[r].shard.cols());
    EXPECT_EQ(streamed[r].summary.rows_read, free[r].summary.rows_read);
    EXPECT_EQ(streamed[r].encoding.fill, free[r].encoding.fill);
    ASSERT_EQ(streamed[r].summary.notes.size(), free[r].summary.notes.size() + 1);
    EXPECT_NE(streamed[r].summary.notes.back().find("--memory"), std::string::npos);
  }
}

TEST(RowBudget, RowsThatExceedItAreStreamedByAll) {
  const TemporaryDirectory dir;
  std::string dense = "a,b,c,y\n", sparse;
  for (int i = 0; i < 20'000; ++i) {
    dense += fmt::format("{},{},{},{}\n", i + 0.1, i, 2 * i, i % 7);
    sparse += fmt::format("{} 1:{} 5:1 9:1\n", i % 2, i);
  }
  const double target = sizeof(double), wide = sizeof(double), index = sizeof(std::uint32_t);
  expect_streamed_below(request_for(dir.file("a.csv", dense), "y"), 20'000 * (3 * wide + target));
  // Besides entries and label, where a row begins.
  expect_streamed_below(request_for(dir.file("a.svm", sparse), ""),
                        20'000 * (3 * (sizeof(float) + index) + target + sizeof(std::uint64_t)));
}

TEST(AppendRows, FloatAndDoubleBecomeDouble) {
  const auto shard = [](auto one) {
    using T = decltype(one);
    Shard made;
    made.matrix = DenseMatrix{1, 2, AlignedVector<T>{one, T{2}}};
    made.targets = {3};
    return made;
  };
  for (const bool wide_first : {false, true}) {
    Shard into = wide_first ? shard(0.1) : shard(0.5f);
    into.weights = {4};
    append_rows(into, wide_first ? shard(0.5f) : shard(0.1));
    const auto& matrix = std::get<DenseMatrix>(into.matrix);
    EXPECT_EQ(matrix.rows, 2u);
    EXPECT_EQ(std::get<RowArray<double>>(matrix.values),
              wide_first ? (AlignedVector<double>{0.1, 2, 0.5, 2}) : (AlignedVector<double>{0.5, 2, 0.1, 2}));
    EXPECT_EQ(into.targets, (AlignedVector<double>{3, 3}));
    EXPECT_EQ(into.weights, (AlignedVector<double>{4, 1}));
    EXPECT_TRUE(into.offsets.empty());
  }
}

void expect_two_readers(LoadRequest request) {
  const std::vector<Dataset> two = datasets_on(2, request);
  request.readers = 2;
  const std::vector<Dataset> four = datasets_on(4, request);
  for (std::size_t r = 0; r < 4; ++r) {
    SCOPED_TRACE(r);
    EXPECT_EQ(four[r].summary.notes, two[0].summary.notes);
    EXPECT_EQ(four[r].summary.rows_read, two[0].summary.rows_read);
    ASSERT_EQ(four[r].encoding.feature_count(), two[0].encoding.feature_count());
    EXPECT_EQ(four[r].encoding.fill, two[0].encoding.fill);
    if (r < 2) {
      expect_same(four[r].shard, two[r].shard);
      expect_same(load_part(request, four[3].encoding, static_cast<int>(r), 2), two[r].shard);
    } else {
      EXPECT_EQ(four[r].shard.rows(), 0u);
      EXPECT_EQ(four[r].shard.cols(), two[0].shard.cols());
      EXPECT_EQ(four[r].shard.matrix.index(), two[0].shard.matrix.index());
    }
  }
  Shard taken_over = four[3].shard;
  append_rows(taken_over, two[1].shard);
  expect_same(taken_over, two[1].shard);
}

TEST(Readers, TheOthersAgreeAndHaveNoRows) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("a.csv", mixed_csv(200)), "y");
  request.options.missing = MissingPolicy::mean;
  request.options.weight = "w";
  request.fold_column = "place";
  expect_two_readers(request);
  expect_two_readers(request_for(dir.file("a.svm", "1 1:2 4:0.1\n2 3:1\n1 2:5\n7 1:1\n"), ""));
  write_parquet(dir.path() + "/a.parquet", *table(0, 50, false), 7);
  request = request_for(dir.path() + "/a.parquet", "y");
  request.options.drop = {"t"};
  expect_two_readers(request);
  packed(dir.path() + "/a.csv.gz", arrow::Compression::GZIP, "x,y\n1,2\n3,4\n");
  expect_two_readers(request_for(dir.path() + "/a.csv.gz", "y"));
}

TEST(Readers, AnErrorIsThrownByAll) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("a.csv", "x,y\n1,2\n3,\n"), "y");
  request.readers = 1;
  EXPECT_TRUE(says(load_error(3, request), dir.path() + "/a.csv:3: column 'y' has a missing value", {}));
}

}  // namespace
}  // namespace muster
