// Any bytes: a sentence or the right rows, never a crash, and the same for one worker as for three.
#include <fmt/format.h>

#include <random>

#include "load_helpers.h"

namespace muster {
namespace {

struct Outcome {
  std::string error;
  Rows rows;
};

Outcome attempt(const LoadRequest& request, const std::vector<std::uint64_t>& cuts) {
  Outcome outcome;
  outcome.error = error_of([&] {
    const Catalog catalog = discover(request.options.paths, request.options.format);
    Parts parts;
    for (std::size_t w = 0; w + 1 < cuts.size(); ++w) {
      parts.emplace_back();
      if (cuts[w] < cuts[w + 1]) parts.back().push_back({0, cuts[w], cuts[w + 1]});
    }
    outcome.rows = join(on_workers<Dataset>(static_cast<int>(parts.size()), [&](Peers& peers) {
      return catalog.format == Format::libsvm ? load_libsvm(request, catalog, parts, peers, {})
                                              : load_table(request, catalog, parts, {}, peers, {});
    }));
  });
  EXPECT_EQ(outcome.error.find("changed while"), std::string::npos) << "the cut and the parser count other rows";
  return outcome;
}

void fuzz(const std::string& seed_text, std::string_view letters, LoadRequest request, const std::string& name,
          int rounds) {
  const TemporaryDirectory dir;
  std::mt19937 random(5);
  int good = 0;
  for (int round = 0; round < rounds; ++round) {
    std::string text = seed_text.substr(0, round % 3 == 0 ? random() % (seed_text.size() + 1) : seed_text.size());
    for (int edits = static_cast<int>(random() % 4); edits > 0 && !text.empty(); --edits) {
      const std::size_t at = random() % text.size();
      const char c = random() % 12 == 0 ? static_cast<char>(random()) : letters[random() % letters.size()];
      if (random() % 2) {
        text[at] = c;
      } else {
        text.insert(at, 1, c);
      }
    }
    if (round % 20 == 0) {
      for (char& c : text) c = letters[random() % letters.size()];
    }
    request.options.paths = {dir.file(name, text)};
    std::uint64_t a = random() % (text.size() + 1), b = random() % (text.size() + 1);
    if (a > b) std::swap(a, b);
    SCOPED_TRACE(fmt::format("round {} cut at {} and {}:\n{}", round, a, b, text));
    const Outcome one = attempt(request, {0, text.size()});
    const Outcome three = attempt(request, {0, a, b, text.size()});
    ASSERT_EQ(one.error.empty(), three.error.empty()) << one.error << three.error;
    ASSERT_EQ(one.rows.x, three.rows.x);
    ASSERT_EQ(one.rows.y, three.rows.y);
    good += one.error.empty();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(good, rounds / 50);
}

TEST(LoadFuzz, Csv) {
  LoadRequest request;
  request.options.target = "y";
  request.options.missing = MissingPolicy::drop;
  fuzz("x,\"n\",y\r\n1,\"a\n\"\"\",10\n\r\n2,b,20\r\n3,\",\n\",30\n4.5,NA,-1e3\n", "a1,,\"\"\n\r;.- N", request,
       "f.csv", 800);
}

TEST(LoadFuzz, CsvBinaryTargetFilledByMeans) {
  LoadRequest request;
  request.options.target = "y";
  request.options.missing = MissingPolicy::mean;
  request.target = TargetKind::binary;
  fuzz("x,z,y\n1,2,a\n,4,b\n3,,a\n4,7,b\n", "a1,,\"\n\r.-N", request, "f.csv", 400);
}

TEST(LoadFuzz, Libsvm) {
  LoadRequest request;
  fuzz("1 1:2 3:4 # c\n-1 2:0.5\n\n2.5 1:1 2:2 3:3\r\n", "0123456789: .-+e#\n\rq", request, "f.svm", 800);
}

}  // namespace
}  // namespace muster
