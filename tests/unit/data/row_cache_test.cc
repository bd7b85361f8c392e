// A cache gives back the rows that load() made, bit for bit, or none.
#include "data/row_cache.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "data/streamed_rows.h"
#include "load_helpers.h"
#include "muster/error.h"

namespace muster {
namespace {

std::vector<Dataset> load_three(const LoadRequest& request) {
  return on_workers<Dataset>(3, [&](Peers& peers) { return load(request, peers); });
}

bool from_cache(const Dataset& data) {
  return data.summary.notes.back() == "the rows are those of the cache (--cache)";
}

template <class T>
void expect_bits(const RowArray<T>& a, const RowArray<T>& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_TRUE(a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

void expect_rows(const Shard& a, const Shard& b) {
  ASSERT_EQ(a.rows(), b.rows());
  ASSERT_EQ(a.cols(), b.cols());
  ASSERT_EQ(a.matrix.index(), b.matrix.index());
  EXPECT_EQ(a.powers.size(), b.powers.size());
  std::visit(
      [&](const auto& matrix) {
        const auto& other = std::get<std::decay_t<decltype(matrix)>>(b.matrix);
        ASSERT_EQ(matrix.values.index(), other.values.index());
        std::visit([&](const auto& v) { expect_bits(v, std::get<std::decay_t<decltype(v)>>(other.values)); },
                   matrix.values);
        if constexpr (std::is_same_v<std::decay_t<decltype(matrix)>, SparseMatrix>) {
          expect_bits(matrix.row_begin, other.row_begin);
          expect_bits(matrix.columns, other.columns);
        }
      },
      a.matrix);
  expect_bits(a.targets, b.targets);
  expect_bits(a.weights, b.weights);
  expect_bits(a.offsets, b.offsets);
  expect_bits(a.folds, b.folds);
}

std::string table_of(int rows, bool words) {
  std::string text = words ? "x,place,w,o,y\n" : "x,u,w,o,y\n";
  for (int i = 0; i < rows; ++i)
    text += fmt::format("{},{},{},{},{}\n", 0.1 * i, words ? fmt::format("p{}", i % 12) : fmt::format("{}", i % 5),
                        1 + i % 2, 0.5 * i, i % 3 == 0 ? "b" : "a");
  return text;
}

// The first time files are parsed and kept, the second taken from there; both like without a cache.
void expect_cached(LoadRequest request) {
  const std::vector<Dataset> plain = load_three(request);
  request.options.cache = true;
  for (int time = 0; time < 2; ++time) {
    SCOPED_TRACE(time);
    const std::vector<Dataset> cached = load_three(request);
    for (std::size_t r = 0; r < 3; ++r) {
      EXPECT_EQ(from_cache(cached[r]), time == 1);
      expect_rows(cached[r].shard, plain[r].shard);
      EXPECT_EQ(cached[r].summary.rows_in_files, plain[r].summary.rows_in_files);
      EXPECT_EQ(cached[r].summary.rows_dropped, plain[r].summary.rows_dropped);
      EXPECT_EQ(cached[r].encoding.feature_count(), plain[r].encoding.feature_count());
      EXPECT_EQ(cached[r].encoding.classes, plain[r].encoding.classes);
      EXPECT_EQ(cached[r].encoding.fill, plain[r].encoding.fill);
      EXPECT_EQ(cached[r].encoding.loaded_from.files, plain[r].encoding.loaded_from.files);
      for (std::size_t j = 0; j < plain[r].encoding.feature_count(); ++j)
        EXPECT_EQ(cached[r].encoding.feature_name(j), plain[r].encoding.feature_name(j));
    }
  }
}

TEST(RowCache, GivesBackTables) {
  const TemporaryDirectory dir;
  for (const bool words : {false, true}) {
    LoadRequest request = request_for(dir.file(words ? "w.csv" : "n.csv", table_of(5000, words)), "y");
    request.target = TargetKind::binary;
    request.options.weight = "w";
    request.options.offset = "o";
    expect_cached(request);
    request.options.polynomials = {{"x", 3}};
    expect_cached(request);
    request.fold_column = words ? "place" : "u";
    expect_cached(request);
  }
}

TEST(RowCache, GivesBackLibsvm) {
  const TemporaryDirectory dir;
  std::string text;
  for (int i = 0; i < 4000; ++i) text += fmt::format("{} 1:{} {}:0.1\n", i % 2, i, 2 + i % 300);
  expect_cached(request_for(dir.file("a.svm", text), ""));
}

TEST(RowCache, StreamsWhatDoesNotFit) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("n.csv", table_of(5000, false)), "y");
  request.target = TargetKind::binary;
  const std::vector<Dataset> plain = load_three(request);
  request.options.cache = true;
  RowBudget budget(20'000);
  request.budget = &budget;
  for (int time = 0; time < 2; ++time) {
    const std::vector<Dataset> streamed = load_three(request);
    for (std::size_t r = 0; r < 3; ++r) {
      EXPECT_TRUE(streamed[r].streamed && streamed[r].cached);
      StreamedRows rows(request, streamed[r].encoding, 3, {.window_bytes = 3000});
      rows.add_cached(*streamed[r].cached);
      EXPECT_EQ(rows.shape().rows, plain[r].shard.rows());
      Shard all = slice_rows(rows.head(), 0, 0);
      for (int passes = 0; passes < 2; ++passes) {
        all = slice_rows(all, 0, 0);
        const auto pass = rows.begin(48);
        while (const Shard* window = pass->next()) append_rows(all, *window);
        expect_rows(all, plain[r].shard);
      }
    }
  }
}

class StaleCache : public ::testing::Test {
 protected:
  StaleCache() {
    request_.options.cache = true;
    load_three(request_);
    EXPECT_TRUE(is_cached());
  }
  bool is_cached() { return from_cache(load_three(request_)[0]); }
  std::vector<std::filesystem::path> caches() const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path()))
      if (entry.path().extension() == ".muster") found.push_back(entry.path());
    return found;
  }

  TemporaryDirectory dir_;
  LoadRequest request_ = request_for(dir_.file("n.csv", table_of(300, false)), "x");
};

TEST_F(StaleCache, OtherFilesOptionsOrPartsAreParsedAnew) {
  request_.options.drop = {"y"};
  EXPECT_FALSE(is_cached());
  EXPECT_TRUE(is_cached());
  dir_.file("n.csv", table_of(301, false));
  EXPECT_FALSE(is_cached());
  EXPECT_TRUE(is_cached());
  std::filesystem::last_write_time(dir_.path() + "/n.csv",
                                   std::filesystem::file_time_type::clock::now() + std::chrono::seconds(9));
  EXPECT_FALSE(is_cached());
  EXPECT_TRUE(is_cached());
  EXPECT_FALSE(from_cache(on_workers<Dataset>(2, [&](Peers& peers) { return load(request_, peers); })[0]));
  EXPECT_EQ(caches().size(), 3u + 3u + 2u) << "a cache that is stale is replaced";
}

// Any byte that is another, any length: parsed anew, with the right rows, and kept whole again.
TEST_F(StaleCache, DamageIsNeverTaken) {
  LoadRequest parsed = request_;
  parsed.options.cache = false;
  const std::vector<Dataset> plain = load_three(parsed);
  const std::filesystem::path victim = caches().front();
  const auto size = std::filesystem::file_size(victim);
  std::vector<std::uintmax_t> places;
  for (std::uintmax_t at = 0; at < size; at += 1 + size / 97) places.push_back(at);
  for (std::uintmax_t at = size - 32; at < size; ++at) places.push_back(at);  // lengths and sums of the end
  for (const std::uintmax_t at : places) {
    std::fstream file(victim, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(file.get() ^ 0x40);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
    file.close();
    const std::vector<Dataset> again = load_three(request_);
    ASSERT_FALSE(from_cache(again[0])) << at;
    for (std::size_t r = 0; r < 3; ++r) expect_rows(again[r].shard, plain[r].shard);
    ASSERT_EQ(std::filesystem::file_size(victim), size);
  }
  for (const std::uintmax_t cut : {std::uintmax_t{0}, size / 2, size - 1}) {
    std::filesystem::resize_file(victim, cut);
    EXPECT_FALSE(is_cached());
    EXPECT_TRUE(is_cached());
  }
}

// Somebody who cuts the file or writes into it, where this program would replace it.
TEST_F(StaleCache, AFileChangedUnderARunIsAnErrorByName) {
  for (const bool cut : {true, false}) {
    std::vector<Dataset> cached = load_three(request_);
    const std::string victim = caches().front();
    std::filesystem::last_write_time(victim, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
    cached = load_three(request_);
    std::vector<std::unique_ptr<HeldRows>> held;
    std::vector<std::unique_ptr<RowPass>> passes;
    for (const Dataset& data : cached) {
      ASSERT_NE(data.shard.seen_in, nullptr);
      held.push_back(std::make_unique<HeldRows>(data.shard));
      passes.push_back(held.back()->begin(1));
      ASSERT_NE(passes.back()->next(), nullptr);
    }
    if (cut) {
      std::filesystem::resize_file(victim, 1);
    } else {
      std::fstream(victim, std::ios::in | std::ios::out) << "x";
    }
    std::vector<std::string> refusals;
    double sum = 0;
    for (std::size_t r = 0; r < 3; ++r) {
      for (const double y : cached[r].shard.targets) sum += y;
      try {
        EXPECT_EQ(passes[r]->next(), nullptr);
      } catch (const InputError& error) {
        refusals.push_back(error.what());
      }
    }
    EXPECT_TRUE(std::isfinite(sum));
    ASSERT_EQ(refusals.size(), 1u);
    EXPECT_TRUE(refusals[0].starts_with(victim + ": ")) << refusals[0];
    load_three(request_);
    EXPECT_TRUE(is_cached());
  }
}

TEST(RowCache, RowsAreSeenWhereTheyLie) {
  const TemporaryDirectory dir;
  LoadRequest request = request_for(dir.file("n.csv", table_of(5000, false)), "y");
  request.target = TargetKind::binary;
  request.options.cache = true;
  load_three(request);
  Dataset data = std::move(load_three(request)[1]);
  const Shard copy = data.shard;
  const auto values = [](const Shard& shard) {
    return std::visit([](const auto& v) { return static_cast<const void*>(v.data()); },
                      std::get<DenseMatrix>(shard.matrix).values);
  };
  EXPECT_EQ(values(copy), values(data.shard));
  for (const void* array : {values(copy), static_cast<const void*>(copy.targets.data())})
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(array) % 64, 0u) << "on a cache line";
  EXPECT_EQ(values(slice_rows(copy, 0, 7)), values(copy));
  // Changing it is changing a copy.
  const double first = copy.targets[0];
  data.shard.targets[0] = 5;
  EXPECT_EQ(copy.targets[0], first);
  append_rows(data.shard, copy);
  EXPECT_EQ(data.shard.rows(), 2 * copy.rows());
  EXPECT_NE(values(data.shard), values(copy));
  expect_rows(slice_rows(data.shard, copy.rows(), 2 * copy.rows()), copy);
}

}  // namespace
}  // namespace muster
