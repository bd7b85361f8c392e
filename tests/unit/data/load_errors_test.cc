// Sentences about bad input: the same on every worker, and the same whichever worker meets the fault.
#include <fmt/format.h>

#include "load_helpers.h"

namespace muster {
namespace {

class LoadErrors : public ::testing::Test {
 protected:
  // The sentence for this text, which must not depend on the number of workers.
  std::string sentence(const std::string& text, const std::string& target = "y", const std::string& name = "f.csv") {
    return sentence(request_for(dir_.file(name, text), target));
  }
  std::string sentence(const LoadRequest& request) {
    const std::string alone = load_error(1, request);
    for (const int n : {2, 3, 5}) EXPECT_EQ(load_error(n, request), alone);
    return alone;
  }
  std::string at(int line) const { return fmt::format("{}/f.csv:{}: ", dir_.path(), line); }

  TemporaryDirectory dir_;
};

TEST_F(LoadErrors, Files) {
  EXPECT_TRUE(says(sentence(request_for(dir_.path() + "/no.csv", "y")), dir_.path() + "/no.csv: no such file", {}));
  EXPECT_TRUE(says(sentence(request_for(dir_.path() + "/*.csv", "y")), dir_.path(), {"no file matches"}));
  EXPECT_TRUE(says(sentence(request_for(dir_.path(), "y")), dir_.path(), {"no data in this directory"}));
  EXPECT_TRUE(says(sentence(""), dir_.path(), {"the file is empty"}));
  EXPECT_TRUE(says(sentence("\n\r\n"), dir_.path(), {"the file is empty"}));
  EXPECT_TRUE(says(sentence("x,y\n"), dir_.path(), {"no rows"}));
  EXPECT_TRUE(says(sentence("x,y"), dir_.path(), {"no rows"}));
  EXPECT_TRUE(says(sentence(request_for("/dev/null", "y")), "/dev/null: not a regular file", {}));
}

TEST_F(LoadErrors, Header) {
  EXPECT_TRUE(says(sentence("\n1,2\n3,4\n"), at(2), {"only numbers", "column names"}));
  EXPECT_TRUE(says(sentence("x,x,y\n1,2,3\n"), at(1), {"'x'"}));
  EXPECT_TRUE(says(sentence("x,\"y\n1,2\n"), at(1), {"quote"}));
  EXPECT_TRUE(
      says(sentence("carat,price\n1,2\n", "prise"), dir_.path(), {"no target column 'prise'", "did you mean 'price'"}));
}

TEST_F(LoadErrors, Options) {
  LoadRequest request = request_for(dir_.file("f.csv", "a,b,y\n1,u,3\n2,v,4\n"), "y");
  const auto with = [&](auto change) {
    LoadRequest changed = request;
    change(changed.options);
    return sentence(changed);
  };
  EXPECT_TRUE(says(with([](DataOptions& o) {
                     o.features = {"a", "y"};
                   }),
                   "the target column 'y' is among the features", {}));
  EXPECT_TRUE(
      says(with([](DataOptions& o) { o.features = {"q*"}; }), dir_.path(), {"no column matches 'q*' of --features"}));
  EXPECT_TRUE(says(with([](DataOptions& o) { o.drop = {"aa"}; }), dir_.path(), {"--drop", "did you mean 'a'"}));
  EXPECT_TRUE(says(with([](DataOptions& o) { o.categorical = {"z"}; }), dir_.path(), {"--categorical"}));
  EXPECT_TRUE(says(with([](DataOptions& o) { o.drop = {"a", "b"}; }), dir_.path(), {"no feature column is left"}));
  EXPECT_TRUE(says(with([](DataOptions& o) { o.polynomials = {{"b", 2}}; }), "--poly b:2", {"levels"}));
  EXPECT_TRUE(says(with([](DataOptions& o) { o.polynomials = {{"a", 1}}; }), "--poly a:1", {"at least 2"}));
  EXPECT_TRUE(says(with([](DataOptions& o) { o.weight = "w"; }), dir_.path(), {"no weight column 'w'"}));
  EXPECT_TRUE(
      says(with([](DataOptions& o) { o.weight = "y"; }), "the column 'y' is asked for as target and as weight", {}));
}

TEST_F(LoadErrors, Cells) {
  const std::string text = "x,s,y\n1,a,1\n\"2\",\"b\n\",2\n\n3,c,3\n";  // ends before line 7
  EXPECT_TRUE(
      says(sentence(text + "abc,d,4\n5,e,5\n"), at(7), {"column 'x' holds 'abc'", "not a number", "--categorical x"}));
  EXPECT_TRUE(says(sentence(text + "4,d,4\n5,e,f\n"), at(8), {"column 'y' holds 'f'", "target"}));
  EXPECT_TRUE(says(sentence(text + "4,12,4\n5,e,f\n"), at(7), {"column 's' holds the number '12'", "--categorical s"}));
  EXPECT_TRUE(says(sentence(text + "4,d\n"), at(7), {"2 cells where the header has 3"}));
  EXPECT_TRUE(says(sentence(text + "4,d,4,5\n"), at(7), {"4 cells where the header has 3"}));
  EXPECT_TRUE(says(sentence(text + "-inf,d,4\n"), at(7), {"column 'x'", "infinity"}));
  EXPECT_TRUE(says(sentence(text + "4,d,nan\n"), at(7), {"column 'y' has a missing value"}));
  EXPECT_TRUE(says(sentence(text + "4,\"d,4\n5,e,5\n"), at(7), {"quote opens here"}));
  EXPECT_TRUE(says(sentence(text + "4,gr\xf6\xdf,4\n"), at(7), {"column 's'", "UTF-8"}));
}

TEST_F(LoadErrors, TheEarliestPlaceWins) {
  std::string text = "x,y\n";
  for (int i = 0; i < 300; ++i) text += i == 40 || i == 250 ? "oops,1\n" : "1,1\n";
  EXPECT_TRUE(says(sentence(text), at(42), {"'oops'"}));
}

TEST_F(LoadErrors, MissingUnderMeanIsOnlyForNumbers) {
  LoadRequest request = request_for(dir_.file("f.csv", "x,s,y\n1,a,1\n2,,2\n3,b,3\n"), "y");
  request.options.missing = MissingPolicy::mean;
  EXPECT_TRUE(says(sentence(request), at(3), {"column 's'", "--missing drop"}));
  request = request_for(dir_.file("f.csv", "x,s,y\n1,a,1\n2,c,\n3,b,3\n"), "y");
  request.options.missing = MissingPolicy::mean;
  EXPECT_TRUE(says(sentence(request), at(3), {"column 'y'", "--missing drop"}));
}

TEST_F(LoadErrors, Weights) {
  LoadRequest request = request_for(dir_.file("f.csv", "x,w,y\n1,1,1\n2,-0.5,2\n3,1,3\n"), "y");
  request.options.weight = "w";
  EXPECT_TRUE(says(sentence(request), at(3), {"column 'w'", "negative"}));
  dir_.file("f.csv", "x,w,y\n1,0,1\n2,0,2\n");
  EXPECT_TRUE(says(sentence(request), "every weight in column 'w' is 0", {}));
}

TEST_F(LoadErrors, ColumnsThatDifferBetweenFiles) {
  dir_.file("d/a.csv", "x,z,y\n1,2,3\n");
  dir_.file("d/b.csv", "x,y\n1,2\n");
  EXPECT_TRUE(says(sentence(request_for(dir_.path() + "/d", "y")), dir_.path() + "/d/b.csv", {"'z'", "a.csv"}));
  dir_.file("d/b.csv", "x,q,z,y\n1,2,3,4\n");
  EXPECT_TRUE(says(sentence(request_for(dir_.path() + "/d", "y")), dir_.path() + "/d/a.csv", {"'q'", "b.csv"}));
  dir_.file("d/b.csv", "x,z,y\n1,2,3\n");
  dir_.file("d/c.libsvm", "1 1:2\n");
  EXPECT_TRUE(
      says(sentence(request_for(dir_.path() + "/d", "y")), dir_.path() + "/d/c.libsvm", {"not of the same format"}));
}

}  // namespace
}  // namespace muster
