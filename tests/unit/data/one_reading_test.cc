// Rows read once are those that load() gives, and the files are opened once.
#include "data/one_reading.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "load_helpers.h"
#include "muster/error.h"

namespace muster {
namespace {

// Rows as next() gives them, and what finish() says; columns moved to features, targets to places in the classes.
Dataset read_all_once(const LoadRequest& request, Peers& peers) {
  const auto reading = read_once(request, {.window_bytes = 20'000}, peers, {});
  std::vector<Shard> windows;
  while (const Shard* window = reading->next()) windows.push_back(*window);
  EndOfReading end;
  std::string labels;
  for (const Shard& window : windows) {
    end.rows += static_cast<std::int64_t>(window.rows());
    for (const double y : window.targets) end.labels.push_back(y);
  }
  std::sort(end.labels.begin(), end.labels.end());
  end.labels.erase(std::unique(end.labels.begin(), end.labels.end()), end.labels.end());
  if (request.target == TargetKind::real) end.labels.clear();
  Dataset data = reading->finish(end, peers);
  EXPECT_EQ(data.shard.rows(), 0U);
  std::optional<Shard> all;
  for (Shard& window : windows) {
    if (auto* sparse = std::get_if<SparseMatrix>(&window.matrix)) {
      for (std::uint32_t& column : sparse->columns) column -= reading->first_feature();
      sparse->cols = data.encoding.feature_count();
    }
    if (request.target == TargetKind::binary)
      for (double& y : window.targets) y = y == reading->positive(data) ? 1 : 0;
    if (all) {
      append_rows(*all, std::move(window));
    } else {
      all = std::move(window);
    }
  }
  if (all) data.shard = std::move(*all);
  return data;
}

void expect_read_once_as_loaded(const LoadRequest& request) {
  const Rows expected = load_on(2, request);
  const Rows found = join(on_workers<Dataset>(2, [&](Peers& peers) {
    LoadRequest mine = request;
    mine.readers = 2;
    return read_all_once(mine, peers);
  }));
  EXPECT_EQ(found.x, expected.x);
  EXPECT_EQ(found.y, expected.y);
  EXPECT_EQ(found.weights, expected.weights);
  EXPECT_EQ(found.offsets, expected.offsets);
  EXPECT_EQ(found.encoding.classes, expected.encoding.classes);
  EXPECT_EQ(found.summary.notes, expected.summary.notes);
  EXPECT_EQ(found.summary.rows_read, expected.summary.rows_read);
  EXPECT_EQ(found.summary.rows_in_files, expected.summary.rows_in_files);
  EXPECT_EQ(found.feature_names(), expected.feature_names());
}

std::string libsvm_text(int rows, int base) {
  std::string text;
  for (int i = 0; i < rows; ++i)
    text +=
        fmt::format("{} {}:{} {}:1 # row\n", i % 3 == 0 ? 2 : 1, base + i % 5, 0.1 * (i % 9 + 1), base + 7 + i % 11);
  return text;
}

TEST(OneReading, LibsvmIsAsLoaded) {
  const TemporaryDirectory dir;
  for (const int base : {0, 1}) {
    LoadRequest request = request_for(dir.file("a.svm", libsvm_text(30'000, base)), "");
    expect_read_once_as_loaded(request);
    request.target = TargetKind::binary;
    expect_read_once_as_loaded(request);
    request.positive = "1";
    expect_read_once_as_loaded(request);
  }
}

TEST(OneReading, TablesAreAsLoaded) {
  const TemporaryDirectory dir;
  std::string numbers = "x,u,w,y\n", words = "x,place,o,y\n";
  for (int i = 0; i < 4000; ++i) {
    numbers += fmt::format("{},{},{},{}\n", 0.1 * i, i % 97 == 5 ? "" : fmt::format("{}", i % 7), 1 + i % 2, i % 2 * 3);
    words += fmt::format("{},{},{},{}\n", 0.1 * i, i % 3 == 0 ? "here" : "there", i % 4, i % 2 == 0 ? "no" : "yes");
  }
  LoadRequest request = request_for(dir.file("numbers.csv", numbers), "y");
  request.options.weight = "w";
  request.options.missing = MissingPolicy::drop;
  expect_read_once_as_loaded(request);
  request.target = TargetKind::binary;
  expect_read_once_as_loaded(request);
  request = request_for(dir.file("words.csv", words), "y");
  request.options.offset = "o";
  request.target = TargetKind::binary;
  expect_read_once_as_loaded(request);
  RowBudget none(0);
  LoadRequest small = request;
  small.budget = &none;
  Alone alone;
  small.readers = 1;
  EXPECT_EQ(read_all_once(small, alone).shard.targets, load(request, alone).shard.targets) << "streamed";
}

TEST(OneReading, WhereIndicesStartMayBeSaid) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("a.svm", libsvm_text(11, 1)), "");
  request.options.libsvm_base = LibsvmBase::zero;
  Alone alone;
  EXPECT_EQ(read_all_once(request, alone).encoding.feature_count(), 19U);
  request.options.libsvm_base = LibsvmBase::one;
  EXPECT_EQ(read_all_once(request, alone).encoding.feature_count(), 18U);
  const std::string path = dir.file("b.svm", libsvm_text(11, 0));
  request.options.paths = {path};
  EXPECT_TRUE(says(error_of([&] { read_all_once(request, alone); }), path + ":1:", {"0"}));
}

// Whoever stops in the middle is told of the rows that were given, and no others.
TEST(OneReading, RowsOfAReadingThatIsCutShortAreCounted) {
  const TemporaryDirectory dir;
  std::string numbers = "x,y\n";
  for (int i = 0; i < 20'000; ++i) numbers += fmt::format("{},{}\n", 0.1 * i, i % 2 * 3);
  for (const auto& [path, target] :
       {std::pair(dir.file("a.csv", numbers), "y"), std::pair(dir.file("a.svm", libsvm_text(60'000, 1)), "")}) {
    const LoadRequest request = request_for(path, target);
    std::vector<std::int64_t> given(2);
    const std::vector<Dataset> found = on_workers<Dataset>(2, [&](Peers& peers) {
      LoadRequest mine = request;
      mine.readers = 2;
      const auto reading = read_once(mine, {.window_bytes = 20'000}, peers, {});
      const std::int64_t rows = static_cast<std::int64_t>(reading->next()->rows());
      given[static_cast<std::size_t>(peers.rank())] = rows;
      return reading->finish({false, rows, {}}, peers);
    });
    for (const Dataset& data : found) {
      EXPECT_EQ(data.summary.rows_read, given[0] + given[1]);
      EXPECT_EQ(data.summary.rows_in_files, given[0] + given[1]);
    }
  }
}

// A second opening would not find the file.
TEST(OneReading, LibsvmFilesAreOpenedOnce) {
  const TemporaryDirectory dir;
  const std::string text = libsvm_text(60'000, 1);
  const LoadRequest request = request_for(dir.file("a.svm", text), "");
  Alone alone;
  const auto reading = read_once(request, {}, alone, {});
  const Shard* window = reading->next();
  ASSERT_NE(window, nullptr);
  EXPECT_LT(window->rows(), 60'000U) << "in windows";
  std::size_t rows = window->rows();
  std::filesystem::remove(request.options.paths[0]);
  while ((window = reading->next()) != nullptr) rows += window->rows();
  EXPECT_EQ(rows, 60'000U);
  const Dataset data = reading->finish({true, 60'000, {}}, alone);
  EXPECT_EQ(data.summary.rows_read, 60'000);
  EXPECT_EQ(data.encoding.feature_count(), 18U);
}

}  // namespace
}  // namespace muster
