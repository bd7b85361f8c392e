#include <fmt/format.h>

#include "load_helpers.h"

namespace muster {
namespace {

Rows stream_rows(const std::string& path, const Encoding& encoding, bool want_target) {
  Rows rows;
  rows.encoding = encoding;
  rows.summary = stream({{path}, Format::automatic, want_target}, encoding, [&](const Shard& block) {
    EXPECT_EQ(block.cols(), encoding.feature_count());
    EXPECT_EQ(block.targets.size(), want_target ? block.rows() : 0u);
    append_shard(block, rows);
  });
  return rows;
}

class Stream : public ::testing::Test {
 protected:
  Encoding train(LoadRequest request, const std::string& text) {
    request.options.paths = {dir_.file("train.csv", text)};
    request.options.target = "y";
    return load_on(2, request).encoding;
  }
  std::string path(const std::string& text) { return dir_.file("new.csv", text); }
  std::string error(const std::string& text, const Encoding& encoding, bool want_target = false) {
    return error_of([&] { stream_rows(path(text), encoding, want_target); });
  }
  std::string at(int line) { return fmt::format("{}/new.csv:{}: ", dir_.path(), line); }

  TemporaryDirectory dir_;
};

TEST_F(Stream, FindsColumnsByNameInAnyOrder) {
  LoadRequest request;
  request.options.polynomials = {{"x", 2}};
  request.options.weight = "w";
  request.options.offset = "o";
  const Encoding encoding = train(request, "one,s,x,w,o,t,y\nonly,b,1,1,0,q,5\nonly,a,2,1,0,p,6\nonly,c,3,2,0,q,7\n");
  const std::string text = "extra,t,y,x,o,s,w,one\nz,p,9,4,0.5,c,3,only\nz,q,8,-1,0,a,2,only\n";
  const Rows rows = stream_rows(path(text), encoding, true);
  EXPECT_EQ(rows.feature_names(), (std::vector<std::string>{"s=b", "s=c", "x", "x^2", "t=q"}));
  EXPECT_EQ(rows.x, (std::vector<std::vector<double>>{{0, 1, 4, 16, 0}, {0, 0, -1, 1, 1}}));
  EXPECT_EQ(rows.y, (std::vector<double>{9, 8}));
  EXPECT_EQ(rows.weights, (std::vector<double>{3, 2}));
  EXPECT_EQ(rows.offsets, (std::vector<double>{0.5, 0}));
  EXPECT_EQ(rows.summary.rows_read, 2);
  // Without targets neither target nor weight need be there.
  EXPECT_EQ(stream_rows(path("one,x,o,s,t\nonly,4,0.5,c,q\n"), encoding, false).x[0],
            (std::vector<double>{0, 1, 4, 16, 1}));
}

TEST_F(Stream, Errors) {
  const Encoding encoding = train({}, "s,x,y\nb,1,5\na,2,6\n");
  EXPECT_TRUE(
      says(error("s,xx\na,1\n", encoding), dir_.path() + "/new.csv: lacks the column 'x'", {"did you mean 'xx'"}));
  EXPECT_TRUE(says(error("s,x\na,1\n", encoding, true), dir_.path() + "/new.csv: lacks the target column 'y'", {}));
  EXPECT_TRUE(says(error("s,x\na,1\n\nc,2\n", encoding), at(4), {"column 's'", "level 'c'"}));
  EXPECT_TRUE(says(error("s,x\na,1\nb,two\n", encoding), at(3), {"column 'x' holds 'two'"}));
  EXPECT_TRUE(says(error("s,x\na,1\nb,\n", encoding), at(3), {"column 'x' has a missing value"}));
  EXPECT_TRUE(says(error("s,x\na,1\nb,inf\n", encoding), at(3), {"infinity"}));
  EXPECT_TRUE(says(error("s,x\n", encoding), dir_.path(), {"no rows"}));
  EXPECT_TRUE(
      says(error_of([&] { stream_rows(dir_.file("l.svm", "1 1:1\n"), encoding, false); }), dir_.path(), {"LIBSVM"}));
}

TEST_F(Stream, MissingPolicyOfTheModelApplies) {
  LoadRequest request;
  request.options.missing = MissingPolicy::mean;
  const Encoding mean = train(request, "x,y\n1,5\n3,6\n");
  const Rows filled = stream_rows(path("x\nNA\n7\n"), mean, false);
  EXPECT_EQ(filled.x, (std::vector<std::vector<double>>{{2}, {7}}));
  EXPECT_EQ(filled.summary.cells_filled, 1);
  request.options.missing = MissingPolicy::drop;
  const Encoding drop = train(request, "x,y\n1,5\n3,6\n");
  EXPECT_TRUE(says(error("x\n1\nNA\n", drop), at(3), {"column 'x'", "keep every row"}));
}

TEST_F(Stream, BinaryTargets) {
  LoadRequest request;
  request.target = TargetKind::binary;
  const Encoding words = train(request, "x,y\n1,no\n3,yes\n");
  EXPECT_EQ(stream_rows(path("x,y\n1,yes\n2,no\n"), words, true).y, (std::vector<double>{1, 0}));
  EXPECT_TRUE(says(error("x,y\n1,yes\n2,perhaps\n", words, true), at(3), {"'perhaps'"}));
  const Encoding numbers = train(request, "x,y\n1,-1\n3,1\n");
  EXPECT_EQ(stream_rows(path("x,y\n1,1.0\n2,-1\n"), numbers, true).y, (std::vector<double>{1, 0}));
  EXPECT_TRUE(says(error("x,y\n1,1\n2,0\n", numbers, true), at(3), {"level '0'"}));
}

TEST_F(Stream, TargetsOfManyClasses) {
  LoadRequest request;
  request.target = TargetKind::classes;
  const Encoding words = train(request, "x,y\n1,c\n3,a\n5,b\n");
  EXPECT_EQ(stream_rows(path("x,y\n1,b\n2,a\n3,c\n"), words, true).y, (std::vector<double>{1, 0, 2}));
  EXPECT_TRUE(says(error("x,y\n1,b\n2,d\n", words, true), at(3), {"'d'"}));
  const Encoding numbers = train(request, "x,y\n1,10\n3,-1\n5,9\n");
  EXPECT_EQ(stream_rows(path("x,y\n1,9.0\n2,-1\n3,1e1\n"), numbers, true).y, (std::vector<double>{1, 0, 2}));
  EXPECT_TRUE(says(error("x,y\n1,9\n2,8\n", numbers, true), at(3), {"level '8'"}));
}

TEST_F(Stream, KeepsOrderInBlocks) {
  const Encoding encoding = train({}, "x,y\n1,5\n3,6\n");
  std::string text = "x\n";
  for (int i = 0; i < 500'000; ++i) text += fmt::format("{}\n", i);
  dir_.file("many/b.csv", text);
  dir_.file("many/a.csv", "x\n-2\n-1\n");
  double next = -2;
  int blocks = 0;
  stream({{dir_.path() + "/many"}, Format::automatic, false}, encoding, [&](const Shard& block) {
    ++blocks;
    for (const double x : std::get<RowArray<double>>(std::get<DenseMatrix>(block.matrix).values)) {
      ASSERT_EQ(x, next);
      next += 1;
    }
  });
  EXPECT_EQ(next, 500'000);
  EXPECT_GT(blocks, 3);
}

TEST_F(Stream, Libsvm) {
  LoadRequest request = request_for(dir_.file("t.svm", "1 1:1\n-1 3:2\n"), "");
  request.target = TargetKind::binary;
  const Encoding encoding = load_on(2, request).encoding;
  const std::string good = dir_.file("new.svm", "-1 2:5\n+1 1:7 3:1\n");
  EXPECT_EQ(stream_rows(good, encoding, true).y, (std::vector<double>{0, 1}));
  EXPECT_EQ(stream_rows(good, encoding, false).x, (std::vector<std::vector<double>>{{0, 5, 0}, {7, 0, 1}}));
  const std::string unlabelled = dir_.file("new.svm", "0 2:5\n");
  EXPECT_EQ(stream_rows(unlabelled, encoding, false).x, (std::vector<std::vector<double>>{{0, 5, 0}}));
  const std::string beyond = dir_.file("new.svm", "-1 2:5\n+1 4:7\n");
  EXPECT_TRUE(says(error_of([&] { stream_rows(beyond, encoding, false); }),
                   dir_.path() + "/new.svm:2:4: ", {"'4:7'", "beyond 3"}));
  const std::string label = dir_.file("new.svm", "-1 2:5\n\n2 1:7\n");
  EXPECT_TRUE(says(error_of([&] { stream_rows(label, encoding, true); }), dir_.path() + "/new.svm:3: the label 2", {}));
}

}  // namespace
}  // namespace muster
