#include <fmt/format.h>

#include <random>

#include "data/libsvm_text.h"
#include "load_helpers.h"

namespace muster {
namespace {

Rows load_cut(const LoadRequest& request, std::uint64_t cut, std::uint64_t size) {
  const Catalog catalog = discover(request.options.paths, request.options.format);
  Parts parts(2);
  if (cut > 0) parts[0] = {{0, 0, cut}};
  if (cut < size) parts[1] = {{0, cut, size}};
  return join(on_workers<Dataset>(2, [&](Peers& peers) { return load_libsvm(request, catalog, parts, peers, {}); }));
}

const std::string kText =
    "# a comment\n"
    "+1 qid:7 1:0.5 3:-2e1 # tail\r\n"
    "\n"
    "  -1 2:1\n"
    "+1\n"
    "   \n"
    "-1 1:4 2:5 4:0.25";

void expect_text(const Rows& rows) {
  EXPECT_EQ(rows.feature_names(), (std::vector<std::string>{"1", "2", "3", "4"}));
  EXPECT_EQ(rows.x, (std::vector<std::vector<double>>{{0.5, 0, -20, 0}, {0, 1, 0, 0}, {0, 0, 0, 0}, {4, 5, 0, 0.25}}));
  EXPECT_EQ(rows.y, (std::vector<double>{1, -1, 1, -1}));
  EXPECT_EQ(rows.summary.rows_in_files, 4);
  EXPECT_EQ(rows.summary.rows_read, 4);
}

TEST(LoadLibsvm, CutAtEveryByte) {
  const TemporaryDirectory dir;
  const LoadRequest request = request_for(dir.file("t.svm", kText), "");
  expect_text(load_on(1, request));
  expect_text(load_on(7, request));
  for (std::uint64_t cut = 0; cut <= kText.size(); ++cut) {
    SCOPED_TRACE(cut);
    expect_text(load_cut(request, cut, kText.size()));
  }
}

TEST(LoadLibsvm, BaseIsDetectedOverAllWorkers) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("t.svm", "1 1:1\n2 2:1\n3 0:1 2:5\n"), "");
  for (const int n : {1, 3}) {
    const Rows rows = load_on(n, request);
    EXPECT_EQ(rows.feature_names(), (std::vector<std::string>{"0", "1", "2"}));
    EXPECT_EQ(rows.encoding.libsvm_base, 0);
    EXPECT_EQ(rows.x[2], (std::vector<double>{1, 0, 5}));
    EXPECT_TRUE(says(rows.summary.notes.at(0), "LIBSVM indices start at 0", {}));
  }
  request.options.libsvm_base = LibsvmBase::one;
  EXPECT_TRUE(says(load_error(2, request), dir.path() + "/t.svm:3:3: index 0", {}));
  request.options.paths = {dir.file("u.svm", "1 1:1\n2 3:1\n")};
  request.options.libsvm_base = LibsvmBase::zero;
  EXPECT_EQ(load_on(2, request).feature_names().size(), 4u);
}

TEST(LoadLibsvm, FormatByContentAndBinaryLabels) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("noname", kText), "");
  request.target = TargetKind::binary;
  const Rows rows = load_on(2, request);
  EXPECT_EQ(rows.y, (std::vector<double>{1, 0, 1, 0}));
  EXPECT_EQ(rows.encoding.classes, (std::vector<std::string>{"-1", "1"}));
}

TEST(LoadLibsvm, LabelsOfManyClasses) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("t.svm", "3 1:1\n1 1:2\n12 1:3\n2 1:4\n3 1:5\n4 1:1\n5 1:1\n6 1:1\n"), "");
  request.target = TargetKind::classes;
  for (const int n : {1, 3}) {
    const Rows rows = load_on(n, request);
    EXPECT_EQ(rows.encoding.classes, (std::vector<std::string>{"1", "2", "3", "4", "5", "6", "12"}));
    EXPECT_EQ(rows.y, (std::vector<double>{2, 0, 6, 1, 2, 3, 4, 5}));
  }
}

TEST(LoadLibsvm, Errors) {
  const TemporaryDirectory dir;
  const auto error = [&](const std::string& line) {
    const LoadRequest request = request_for(dir.file("t.svm", "1 1:1\n\n# c\n" + line + "\n2 1:1\n"), "");
    const std::string alone = load_error(1, request);
    EXPECT_EQ(load_error(3, request), alone);
    return alone;
  };
  const std::string at = dir.path() + "/t.svm:4:";
  EXPECT_TRUE(says(error("1 3:1 2:1"), at + "7: index 2 after 3", {"ascend"}));
  EXPECT_TRUE(says(error("1 3:1 3:1"), at + "7: index 3 stands twice", {}));
  EXPECT_TRUE(says(error("1 3:x"), at + "3: '3:x'", {"index:value"}));
  EXPECT_TRUE(says(error("1 3"), at + "3: '3'", {"index:value"}));
  EXPECT_TRUE(says(error("1 3: 4"), at + "3: '3:'", {}));
  EXPECT_TRUE(says(error("1 -3:1"), at + "3: '-3:1'", {}));
  EXPECT_TRUE(says(error("1 3:inf"), at + "3: ", {"not finite"}));
  EXPECT_TRUE(says(error("1 3:nan"), at + "3: ", {"not finite"}));
  EXPECT_TRUE(says(error("1 3:-1e400"), at + "3: '3:-1e400'", {"too large for a number"}));
  EXPECT_TRUE(says(error("1e400 3:1"), at + "1: '1e400'", {"too large for a number"}));
  EXPECT_EQ(error("1e-400 3:-1e-400"), "") << "closer to 0 than the smallest double";
  EXPECT_TRUE(says(error("1 99999999999:1"), at + "3: the index", {"beyond"}));
  EXPECT_TRUE(says(error("1,2 3:1"), at + "1: '1,2'", {"label"}));
  EXPECT_TRUE(says(error("cat 3:1"), at + "1: 'cat'", {"label"}));
  LoadRequest request = request_for(dir.file("t.svm", "1 1:1\n"), "y");
  EXPECT_TRUE(says(load_error(2, request), "--target y: LIBSVM", {}));
  request.options.target = "";
  request.options.drop = {"1"};
  EXPECT_TRUE(says(load_error(2, request), "--drop names columns", {}));
}

TEST(LibsvmText, NeverCrashesOnMutations) {
  const std::string seed = kText + "\n1 1:1e300 7:-0 8:1e-999\n";
  constexpr std::string_view letters = "0123456789:-+.eE #\n\rqidnaf,\t";
  std::mt19937 random(4);
  LibsvmRows rows;
  std::size_t good = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = seed.substr(0, random() % (seed.size() + 1));
    for (int edits = static_cast<int>(random() % 4); edits > 0 && !text.empty(); --edits) {
      text[random() % text.size()] =
          random() % 10 == 0 ? static_cast<char>(random()) : letters[random() % letters.size()];
    }
    try {
      parse_libsvm(text, 0, 100, rows);
      ++good;
      ASSERT_EQ(rows.rows(), count_libsvm_rows(text)) << text;
      ASSERT_EQ(rows.row_begin.back(), rows.values.size());
    } catch (const LibsvmError& error) {
      ASSERT_LE(error.offset, text.size());
    }
  }
  EXPECT_GT(good, 1000u);
}

}  // namespace
}  // namespace muster
