#include <fmt/format.h>

#include "data/csv_slices.h"
#include "load_helpers.h"

namespace muster {
namespace {

// Quotes, doubled quotes, quoted line breaks and delimiters, CR LF, blank lines, no line break at the end.
const std::string kTricky =
    "x,\"na\"\"me\",y\r\n"
    "1,\"plain\",10\r\n"
    "\r\n"
    "2,\"a,\"\"b\"\"\r\nc\",20\n"
    "3,\"\n\n\",30\r\n"
    "\n"
    "4,plain,40\n"
    "5,\"\"\"\",50\r\n"
    "6,\",,\n7,z,70\n\",60";
const std::vector<std::string> kTrickyLevels = {"\n\n", "\"", ",,\n7,z,70\n", "a,\"b\"\r\nc", "plain"};

Rows load_cut(const LoadRequest& request, const std::vector<std::uint64_t>& cuts) {
  const Catalog catalog = discover(request.options.paths, request.options.format);
  Parts parts;
  for (std::size_t w = 0; w + 1 < cuts.size(); ++w) {
    parts.emplace_back();
    if (cuts[w] < cuts[w + 1]) parts.back().push_back({0, cuts[w], cuts[w + 1]});
  }
  return join(on_workers<Dataset>(static_cast<int>(parts.size()),
                                  [&](Peers& peers) { return load_table(request, catalog, parts, {}, peers, {}); }));
}

void expect_tricky(const Rows& rows) {
  ASSERT_EQ(rows.x.size(), 6u);
  EXPECT_EQ(rows.y, (std::vector<double>{10, 20, 30, 40, 50, 60}));
  ASSERT_EQ(rows.encoding.categoricals.size(), 1u);
  EXPECT_EQ(rows.encoding.categoricals[0].levels, kTrickyLevels);
  const std::vector<std::size_t> level = {4, 3, 0, 4, 1, 2};
  for (std::size_t i = 0; i < 6; ++i) {
    ASSERT_EQ(rows.x[i].size(), 5u);
    EXPECT_EQ(rows.x[i][0], static_cast<double>(i + 1));
    for (std::size_t k = 1; k < 5; ++k) EXPECT_EQ(rows.x[i][k], k == level[i] ? 1.0 : 0.0);
  }
  EXPECT_EQ(rows.summary.rows_in_files, 6);
  EXPECT_EQ(rows.summary.rows_read, 6);
}

TEST(LoadCsv, CutAtEveryByteForTwoWorkers) {
  const TemporaryDirectory dir;
  const LoadRequest request = request_for(dir.file("t.csv", kTricky), "y");
  expect_tricky(load_on(1, request));
  for (std::uint64_t cut = 0; cut <= kTricky.size(); ++cut) {
    SCOPED_TRACE(cut);
    expect_tricky(load_cut(request, {0, cut, kTricky.size()}));
  }
}

TEST(LoadCsv, LinesInACellThatLookLikeRowsAreNone) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("a.csv", rows_in_a_cell()), "y");
  request.options.drop = {"note"};
  const Rows alone = load_on(1, request);
  ASSERT_EQ(alone.y.size(), 20'001u);
  for (const int n : {2, 3, 4, 7}) {
    const Rows rows = load_on(n, request);
    EXPECT_EQ(rows.x, alone.x);
    EXPECT_EQ(rows.y, alone.y);
    EXPECT_EQ(rows.summary.rows_in_files, 20'001);
  }
}

TEST(LoadCsv, CutAtEveryPairOfBytesWithoutQuotes) {
  const std::string text = "\n x,y\r\n\r\n\n1,10\r\n\n\n2,20\n33333333333,30\r\n\r\n";
  const TemporaryDirectory dir;
  const LoadRequest request = request_for(dir.file("t.csv", text), "y");
  for (std::uint64_t a = 0; a <= text.size(); ++a) {
    for (std::uint64_t b = a; b <= text.size(); ++b) {
      SCOPED_TRACE(fmt::format("{} {}", a, b));
      const Rows rows = load_cut(request, {0, a, b, text.size()});
      ASSERT_EQ(rows.x, (std::vector<std::vector<double>>{{1}, {2}, {33333333333}}));
      ASSERT_EQ(rows.y, (std::vector<double>{10, 20, 30}));
      ASSERT_EQ(rows.summary.rows_in_files, 3);
    }
  }
}

TEST(LoadCsv, ReadersOfAFileMustMeet) {
  const ReadStretch first{"a", 5, 20}, second{"a", 20, kNowhere}, other{"b", 7, kNowhere};
  EXPECT_TRUE(stretches_meet({}));
  EXPECT_TRUE(stretches_meet({second, other, first}));
  EXPECT_FALSE(stretches_meet({first, other})) << "nobody has read on";
  EXPECT_FALSE(stretches_meet({{"a", 5, 21}, second})) << "a row was passed over";
  EXPECT_FALSE(stretches_meet({{"a", 5, 19}, second})) << "what was no row was read";
  EXPECT_FALSE(stretches_meet({{"a", 5, kNowhere}, second}));
}

TEST(LoadCsv, CutAtEveryPairOfBytesForThreeWorkers) {
  const std::string text = "x,\"n\",y\r\n1,\"a\n\"\"\",10\n\r\n2,b,20\r\n3,\",\n\",30";
  const TemporaryDirectory dir;
  const LoadRequest request = request_for(dir.file("t.csv", text), "y");
  for (std::uint64_t a = 0; a <= text.size(); ++a) {
    for (std::uint64_t b = a; b <= text.size(); ++b) {
      SCOPED_TRACE(fmt::format("{} {}", a, b));
      const Rows rows = load_cut(request, {0, a, b, text.size()});
      ASSERT_EQ(rows.encoding.categoricals.at(0).levels, (std::vector<std::string>{",\n", "a\n\"", "b"}));
      ASSERT_EQ(rows.x, (std::vector<std::vector<double>>{{1, 1, 0}, {2, 0, 1}, {3, 0, 0}}));
      ASSERT_EQ(rows.y, (std::vector<double>{10, 20, 30}));
      ASSERT_EQ(rows.summary.rows_in_files, 3);
    }
  }
}

// Workers meet the labels in any order, and none of them need have all; the places are those of the sorted labels.
TEST(LoadCsv, FoldsAreThePlacesOfTheirLabelsWhoeverReadsThem) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("t.csv", kTricky), "y");
  request.fold_column = "na\"me";
  for (std::uint64_t cut = 0; cut <= kTricky.size(); cut += 3) {
    SCOPED_TRACE(cut);
    const Rows rows = load_cut(request, {0, cut, kTricky.size()});
    EXPECT_EQ(rows.encoding.loaded_from.folds, kTrickyLevels);
    EXPECT_EQ(rows.folds, (std::vector<double>{4, 3, 0, 4, 1, 2}));
    EXPECT_EQ(rows.feature_names(), std::vector<std::string>{"x"});
    EXPECT_TRUE(rows.encoding.categoricals.empty());
  }
}

TEST(LoadCsv, MoreWorkersThanRows) {
  const TemporaryDirectory dir;
  expect_tricky(load_on(9, request_for(dir.file("t.csv", kTricky), "y")));
}

TEST(LoadCsv, EncodesColumnsInInputOrder) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("d.csv",
                                             "a,size,w,y,b,code,o\n"
                                             "1,small,1,5,0.5,10,0\n"
                                             "2,large,2,6,0.25,20,1\n"
                                             "3,medium,0,7,2,10,0\n"),
                                    "y");
  request.options.weight = "w";
  request.options.offset = "o";
  request.options.categorical = {"co*"};
  request.options.polynomials = {{"a", 3}};
  for (const int n : {1, 2, 4}) {
    const Rows rows = load_on(n, request);
    EXPECT_EQ(rows.feature_names(),
              (std::vector<std::string>{"a", "a^2", "a^3", "size=medium", "size=small", "b", "code=20"}));
    EXPECT_EQ(rows.x, (std::vector<std::vector<double>>{
                          {1, 1, 1, 0, 1, 0.5, 0}, {2, 4, 8, 0, 0, 0.25, 1}, {3, 9, 27, 1, 0, 2, 0}}));
    EXPECT_EQ(rows.y, (std::vector<double>{5, 6, 7}));
    EXPECT_EQ(rows.weights, (std::vector<double>{1, 2, 0}));
    EXPECT_EQ(rows.offsets, (std::vector<double>{0, 1, 0}));
  }
  Alone alone;
  const Dataset data = load(request, alone);
  ASSERT_EQ(data.shard.powers.size(), 2u);
  EXPECT_EQ(data.shard.powers[1].feature, 2u);
  EXPECT_EQ(data.shard.powers[1].base, 0u);
  EXPECT_EQ(data.shard.powers[1].degree, 3);
}

TEST(LoadCsv, ChoosesColumns) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("d.csv", "x1,x2,z,y\n1,2,3,4\n5,6,7,8\n"), "y");
  request.options.features = {"x*"};
  request.options.drop = {"x2"};
  EXPECT_EQ(load_on(2, request).feature_names(), (std::vector<std::string>{"x1"}));
  request.options.features = {"*"};
  request.options.drop = {};
  EXPECT_EQ(load_on(2, request).feature_names(), (std::vector<std::string>{"x1", "x2", "z"}));
}

TEST(LoadCsv, StoresFloatsOnlyWhereExact) {
  const TemporaryDirectory dir;
  const auto is_float = [](const LoadRequest& request) {
    Alone alone;
    return std::holds_alternative<RowArray<float>>(std::get<DenseMatrix>(load(request, alone).shard.matrix).values);
  };
  LoadRequest exact = request_for(dir.file("exact.csv", "x,y\n0.5,0.1\n-3,0.2\n"), "y");
  EXPECT_TRUE(is_float(exact));
  exact.options.polynomials = {{"x", 2}};
  EXPECT_TRUE(is_float(exact));
  LoadRequest powers = request_for(dir.file("powers.csv", "x,y\n16777215,0.1\n-3,0.2\n"), "y");
  EXPECT_TRUE(is_float(powers));
  powers.options.polynomials = {{"x", 2}};
  EXPECT_FALSE(is_float(powers));
  LoadRequest inexact = request_for(dir.file("inexact.csv", "x,y\n0.1,1\n-3,2\n"), "y");
  EXPECT_FALSE(is_float(inexact));
  inexact.options.storage = StorageChoice::float32;
  EXPECT_TRUE(is_float(inexact));
  exact.options.storage = StorageChoice::float64;
  EXPECT_FALSE(is_float(exact));
}

TEST(LoadCsv, ManyLevelsAreKeptSparse) {
  const TemporaryDirectory dir;
  std::string text = "g,x,y\n";
  for (int i = 0; i < 60; ++i) text += fmt::format("g{:02},{},{}\n", i % 20, i % 3, i);
  const LoadRequest request = request_for(dir.file("s.csv", text), "y");
  for (const int n : {1, 3}) {
    const auto parts = on_workers<Dataset>(n, [&](Peers& peers) { return load(request, peers); });
    for (const Dataset& part : parts) EXPECT_TRUE(std::holds_alternative<SparseMatrix>(part.shard.matrix));
    const Rows rows = join(parts);
    ASSERT_EQ(rows.x.size(), 60u);
    for (int i = 0; i < 60; ++i) {
      const auto& x = rows.x[static_cast<std::size_t>(i)];
      for (int k = 1; k < 20; ++k) EXPECT_EQ(x[static_cast<std::size_t>(k - 1)], i % 20 == k ? 1 : 0);
      EXPECT_EQ(x[19], i % 3);
    }
  }
}

TEST(LoadCsv, MissingValues) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("m.csv", "a,b,y\n1,,1\n2,4,2\nNA,6,3\n4,8,4\n"), "y");
  for (const int n : {1, 2, 3}) {
    request.options.missing = MissingPolicy::error;
    EXPECT_TRUE(says(load_error(n, request), dir.path() + "/m.csv:2: column 'b'", {"drop", "mean"}));
    request.options.missing = MissingPolicy::drop;
    const Rows dropped = load_on(n, request);
    EXPECT_EQ(dropped.x, (std::vector<std::vector<double>>{{2, 4}, {4, 8}}));
    EXPECT_EQ(dropped.summary.rows_dropped, 2);
    EXPECT_EQ(dropped.summary.rows_read, 4);
    request.options.missing = MissingPolicy::mean;
    const Rows filled = load_on(n, request);
    EXPECT_EQ(filled.x, (std::vector<std::vector<double>>{{1, 6}, {2, 4}, {7.0 / 3, 6}, {4, 8}}));
    EXPECT_EQ(filled.summary.cells_filled, 2);
    EXPECT_EQ(filled.encoding.fill.at("b"), 6);
  }
}

TEST(LoadCsv, ColumnMissingInEverySampleIsLookedForByAll) {
  const TemporaryDirectory dir;
  std::string text = "late,y\n";
  for (int i = 0; i < 400'000; ++i) text += ",1\n";  // more than a sample
  LoadRequest request = request_for(dir.file("l.csv", text + "word,2\nother,3\n"), "y");
  request.options.missing = MissingPolicy::drop;
  for (const int n : {1, 3}) {
    const Rows rows = load_on(n, request);
    EXPECT_EQ(rows.feature_names(), (std::vector<std::string>{"late=word"}));
    EXPECT_EQ(rows.y, (std::vector<double>{2, 3}));
  }
  request.options.paths = {dir.file("none.csv", "never,y\n,1\nNA,2\n")};
  request.options.missing = MissingPolicy::mean;
  EXPECT_TRUE(says(load_error(2, request), "column 'never' has no value", {}));
  request.options.missing = MissingPolicy::drop;
  EXPECT_TRUE(says(load_error(2, request), dir.path(), {"every row has a missing value"}));
}

TEST(LoadCsv, BinaryTargets) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("b.csv", "x,y\n1,yes\n2,no\n3,yes\n"), "y");
  request.target = TargetKind::binary;
  for (const int n : {1, 2}) {
    const Rows rows = load_on(n, request);
    EXPECT_EQ(rows.y, (std::vector<double>{1, 0, 1}));
    EXPECT_EQ(rows.encoding.classes, (std::vector<std::string>{"no", "yes"}));
    ASSERT_EQ(rows.summary.notes.size(), 1u);
    EXPECT_TRUE(says(rows.summary.notes[0], "the target 'y': 'yes' is positive", {}));
  }
  request.positive = "no";
  EXPECT_EQ(load_on(2, request).y, (std::vector<double>{0, 1, 0}));
  request.positive = "maybe";
  EXPECT_TRUE(says(load_error(2, request), "--positive maybe", {"'no', 'yes'"}));
  request.positive = "";
  request.options.paths = {dir.file("n.csv", "x,y\n1,-1\n2,1\n3,1\n")};
  EXPECT_EQ(load_on(2, request).y, (std::vector<double>{0, 1, 1}));
  request.options.paths = {dir.file("many.csv", "x,y\n1,-1\n2,1\n3,7\n")};
  EXPECT_TRUE(says(load_error(2, request), "the target 'y' has more than two levels", {"'-1', '1', '7'"}));
  request.options.paths = {dir.file("one.csv", "x,y\n1,a\n2,a\n")};
  EXPECT_TRUE(says(load_error(2, request), "the target 'y' has only one level", {"'a'"}));
}

// Numbers in their order and texts bytewise, whoever reads which; a target is the place of its level.
TEST(LoadCsv, TargetsOfManyClasses) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("n.csv", "x,y\n1,10\n2,9\n3,-1\n4,10\n5,100\n"), "y");
  request.target = TargetKind::classes;
  for (const int n : {1, 2, 4}) {
    const Rows rows = load_on(n, request);
    EXPECT_EQ(rows.encoding.classes, (std::vector<std::string>{"-1", "9", "10", "100"}));
    EXPECT_EQ(rows.y, (std::vector<double>{2, 1, 0, 2, 3}));
    EXPECT_TRUE(says(rows.summary.notes.at(0), "the target 'y': 4 classes", {"'-1', '9', '10', '100'"}));
  }
  request.options.paths = {dir.file("t.csv", "x,y\n1,pear\n2,Fig\n3,apple\n4,pear\n5,10\n6,9\n")};
  for (const int n : {1, 3}) {
    const Rows rows = load_on(n, request);
    EXPECT_EQ(rows.encoding.classes, (std::vector<std::string>{"10", "9", "Fig", "apple", "pear"}));
    EXPECT_EQ(rows.y, (std::vector<double>{4, 2, 3, 4, 0, 1}));
  }
  request.options.paths = {dir.file("one.csv", "x,y\n1,a\n2,a\n")};
  EXPECT_TRUE(says(load_error(2, request), "the target 'y' has only one level", {"'a'", "softmax"}));
  std::string many = "x,y\n";
  for (int i = 0; i < 1500; ++i) many += fmt::format("1,{}.5\n", i);
  request.options.paths = {dir.file("many.csv", many)};
  EXPECT_TRUE(says(load_error(2, request), "the target 'y' has more than 1000 levels", {"--loss squared"}));
  request.target = TargetKind::binary;
  EXPECT_TRUE(says(load_error(2, request), "the target 'y' has more than two levels", {"--loss softmax"}));
}

TEST(LoadCsv, SeveralFilesInOneSequence) {
  const TemporaryDirectory dir;
  dir.file("data/b.csv", "y,x\n3,30\n4,40\n");  // columns in another order
  dir.file("data/a.csv", "x,y\n10,1\n20,2\n");
  dir.file("data/deep/c.csv", "x,y\n50,5");
  dir.file("data/.hidden.csv", "nonsense");
  dir.file("data/README.md", "not data");
  for (const int n : {1, 2, 3, 5, 8}) {
    const Rows rows = load_on(n, request_for(dir.path() + "/data", "y"));
    EXPECT_EQ(rows.y, (std::vector<double>{1, 2, 3, 4, 5}));
    EXPECT_EQ(rows.x, (std::vector<std::vector<double>>{{10}, {20}, {30}, {40}, {50}}));
  }
  EXPECT_EQ(load_on(2, request_for(dir.path() + "/data/?.csv", "y")).y, (std::vector<double>{1, 2, 3, 4}));
  LoadRequest twice = request_for(dir.path() + "/data/a.csv", "y");
  twice.options.paths.push_back(dir.path() + "/./data/a.csv");
  EXPECT_EQ(load_on(2, twice).y, (std::vector<double>{1, 2}));
}

TEST(LoadCsv, OtherDelimitersAndAByteOrderMark) {
  const TemporaryDirectory dir;
  EXPECT_EQ(load_on(2, request_for(dir.file("s.csv", "\xef\xbb\xbfx;y\n1;2\n3;4\n"), "y")).feature_names(),
            (std::vector<std::string>{"x"}));
  EXPECT_EQ(load_on(2, request_for(dir.file("t.tsv", "x\ty\n1\t2\n3\t4\n"), "y")).y, (std::vector<double>{2, 4}));
  EXPECT_EQ(load_on(2, request_for(dir.file("p.data", "x|y\r1|2\r3|4\r"), "y")).y, (std::vector<double>{2, 4}));
}

}  // namespace
}  // namespace muster
