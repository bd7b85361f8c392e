// Rows that load() leaves unread, for the first pass to read.
#include <fmt/format.h>

#include "data/part_reader.h"
#include "shard_checks.h"

namespace muster {
namespace {

std::string numbers_csv(int rows) {
  std::string text = "x,u,w,y\n";
  for (int i = 0; i < rows; ++i)
    text += fmt::format("{},{},{},{}\n", 0.1 * i, i % 97 == 5 ? "" : fmt::format("{}", i % 7), 1 + i % 2, i % 5);
  return text;
}

// Rows left unread: the first pass gives what load() gives, and then says how many there were, as the second does.
TEST(Unread, TheFirstPassReadsWhatLoadReads) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("a.csv", numbers_csv(6000)), "y");
  request.options.weight = "w";
  request.options.missing = MissingPolicy::drop;
  request.options.polynomials = {{"x", 2}};
  const std::vector<Dataset> read = datasets_on(3, request);
  request.unread_features = 3;
  on_workers<int>(3, [&](Peers& peers) {
    Dataset data = load(request, peers);
    const Dataset& expected = read[static_cast<std::size_t>(peers.rank())];
    EXPECT_TRUE(data.unread && data.streamed);
    EXPECT_EQ(data.shard.cols(), 3u);
    StreamedRows rows(request, data.encoding, 3, {.window_bytes = 20'000});
    rows.add_unread(*data.unread);
    EXPECT_EQ(rows.shape().rows, 0u);
    expect_same(slice_rows(rows.head(), 0, kHeadRows), slice_rows(expected.shard, 0, kHeadRows));
    { rows.begin(5)->next(); }  // given up: it has not read them
    for (int pass = 0; pass < 2; ++pass) {
      expect_same(windows_of(rows, 64), expected.shard);
      expect_shape(rows.shape(), shape_of(expected.shard));
    }
    count_rows(rows.counts(), rows.shape().weight, peers, data);
    EXPECT_EQ(data.summary.rows_in_files, expected.summary.rows_in_files);
    EXPECT_EQ(data.summary.rows_read, 6000);
    EXPECT_EQ(data.summary.rows_dropped, expected.summary.rows_dropped);
    return 0;
  });
}

TEST(Unread, RowsThatAreGuessedAreCheckedAtTheEnd) {
  const TemporaryDirectory dir;
  for (const bool rows_in_quotes : {false, true}) {
    LoadRequest request = request_for(dir.file("a.csv", rows_in_quotes ? rows_in_a_cell() : numbers_csv(6000)), "y");
    if (rows_in_quotes) request.options.drop = {"note"};
    request.options.missing = MissingPolicy::drop;
    const std::vector<Dataset> read = datasets_on(3, request);
    request.unread_features = 3;
    for (const bool guess : {true, false}) {
      request.guess_unread = guess;
      on_workers<int>(3, [&](Peers& peers) {
        Dataset data = load(request, peers);
        EXPECT_EQ(data.unread->guessed, guess);
        StreamedRows rows(request, data.encoding, 3, {.window_bytes = 20'000});
        rows.add_unread(*data.unread);
        const Shard all = windows_of(rows, 64);
        const auto count = [&] { count_rows(rows.counts(), rows.shape().weight, peers, data); };
        if (guess && rows_in_quotes) {
          EXPECT_THROW(count(), WrongGuess);
        } else {
          count();
          EXPECT_EQ(data.summary.rows_in_files, read[0].summary.rows_in_files);
          expect_same(all, read[static_cast<std::size_t>(peers.rank())].shard);
        }
        return 0;
      });
    }
  }
}

TEST(Unread, OnlyWhereColumnsSayEverything) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("a.csv", "x,place,y\n1,a,2\n3,b,4\n"), "y");
  request.unread_features = 2;
  const auto is_unread = [&] { return datasets_on(2, request)[0].unread != nullptr; };
  EXPECT_FALSE(is_unread()) << "levels are to be collected";
  request.options.drop = {"place"};
  EXPECT_TRUE(is_unread());
  request.unread_features = 0;
  EXPECT_FALSE(is_unread());
  request.unread_features = 2;
  request.options.missing = MissingPolicy::mean;
  EXPECT_FALSE(is_unread()) << "means are to be taken";
  request.options.missing = MissingPolicy::error;
  request.target = TargetKind::classes;
  EXPECT_FALSE(is_unread()) << "classes are to be found";
  request.target = TargetKind::real;
  request.options.polynomials = {{"x", 3}};
  EXPECT_FALSE(is_unread()) << "more features";
}

}  // namespace
}  // namespace muster
