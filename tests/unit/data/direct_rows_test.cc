// Rows that go to the matrix without staging are those that are staged; and the memory they lie in.
#include "data/direct_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "data/direct_entries.h"
#include "shard_checks.h"

namespace muster {
namespace {

constexpr std::size_t kColumns = 21;

std::vector<ColumnPlan> plan_of_numbers() {
  std::vector<ColumnPlan> plan;
  for (std::size_t c = 0; c < kColumns; ++c) plan.push_back({"x" + std::to_string(c)});
  plan.push_back({"y", ColumnPlan::Role::target});
  plan.push_back({"w", ColumnPlan::Role::weight});
  plan.push_back({"o", ColumnPlan::Role::offset});
  for (ColumnPlan& column : plan) column.type = ColumnPlan::Type::number;
  return plan;
}

// Features are whole, so floats hold them, but for one cell of the row `wide`.
TableBatch batch_of(std::size_t first, std::size_t rows, std::size_t wide) {
  TableBatch batch;
  batch.rows = static_cast<std::int64_t>(rows);
  batch.columns.resize(kColumns + 3);
  for (std::size_t c = 0; c < batch.columns.size(); ++c)
    for (std::size_t i = first; i < first + rows; ++i)
      batch.columns[c].numbers.push_back(c == kColumns         ? static_cast<double>(3 + i % 2 * 4)
                                         : i == wide && c == 5 ? 0.1
                                                               : static_cast<double>(i * 31 + c));
  return batch;
}

class DirectRowsTest : public ::testing::TestWithParam<StorageChoice> {};

TEST_P(DirectRowsTest, AreThoseThatAreStaged) {
  const std::vector<ColumnPlan> plan = plan_of_numbers();
  Encoding encoding;
  for (std::size_t c = 0; c < kColumns; ++c) encoding.features.emplace_back().name = plan[c].name;
  encoding.classes = {"3", "7"};
  const Levels none;
  const Layout layout = make_layout(plan, std::vector<const Levels*>(plan.size(), &none), encoding, GetParam());
  ASSERT_TRUE(DirectRows::suffice(layout, MissingPolicy::error));
  EXPECT_FALSE(DirectRows::suffice(layout, MissingPolicy::drop));
  constexpr std::size_t kWide = 217;  // its window, and no other, needs doubles
  Stager stager(plan, {.storage = GetParam()});
  DirectRows direct(layout);
  std::size_t read = 0, taken = 0;
  std::vector<Shard> kept;  // windows in use while others are made
  std::vector<bool> narrow;
  for (const std::size_t rows : {100u, 1u, 99u, 17u, 200u, 3u, 80u}) {
    direct.add(batch_of(read, rows, kWide));
    read += rows;
    ASSERT_EQ(direct.rows(), read - taken);
    const std::size_t whole = rows == 80 ? read - taken : (read - taken) / 50 * 50;
    if (whole == 0) continue;
    const Shard window = direct.take(whole);
    std::vector<StagedBlock> blocks;
    blocks.push_back(stager.stage(batch_of(taken, whole, kWide), [](std::int64_t) { return "?"; }));
    const Shard staged = build_shard(layout, std::move(blocks));
    // What stayed behind of a wide window may still be taken for wide.
    const bool alike =
        std::get<DenseMatrix>(window.matrix).values.index() == std::get<DenseMatrix>(staged.matrix).values.index();
    EXPECT_TRUE(alike || GetParam() == StorageChoice::automatic);
    if (alike) expect_same(window, staged);
    narrow.push_back(std::holds_alternative<RowArray<float>>(std::get<DenseMatrix>(window.matrix).values));
    kept.push_back(window);
    taken += whole;
  }
  if (GetParam() == StorageChoice::automatic) {
    EXPECT_EQ(narrow, (std::vector<bool>{true, true, false, false}));
    direct.add(batch_of(read, 10, kWide));
    EXPECT_TRUE(std::holds_alternative<RowArray<float>>(std::get<DenseMatrix>(direct.take(10).matrix).values))
        << "nothing stayed behind of the wide window";
  }
  EXPECT_EQ(direct.rows(), 0u);
  Shard all = std::move(kept.front());
  for (std::size_t k = 1; k < kept.size(); ++k) append_rows(all, std::move(kept[k]));
  std::vector<StagedBlock> blocks;
  blocks.push_back(stager.stage(batch_of(0, read, kWide), [](std::int64_t) { return "?"; }));
  expect_same(all, build_shard(layout, std::move(blocks)));
}

// What has to be encoded, filled in, formed or left out is staged.
TEST(DirectRows, SufficeForNumbersAlone) {
  Layout plain;
  plain.slots.resize(3);
  ASSERT_TRUE(DirectRows::suffice(plain, MissingPolicy::error));
  EXPECT_TRUE(DirectRows::suffice(plain, MissingPolicy::mean)) << "with nothing to fill in";
  EXPECT_FALSE(DirectRows::suffice(plain, MissingPolicy::drop));
  std::vector<Layout> others(6, plain);
  others[0].slots[1].text = true;
  others[1].slots[1].degree = 2;
  others[2].slots[1].fill = 0.5;
  others[3].sparse = true;
  others[4].class_of_code = {0};
  others[5].fold = 3;
  for (const Layout& layout : others) EXPECT_FALSE(DirectRows::suffice(layout, MissingPolicy::error));
}

INSTANTIATE_TEST_SUITE_P(Storage, DirectRowsTest,
                         ::testing::Values(StorageChoice::automatic, StorageChoice::float32, StorageChoice::float64));

TEST(DirectEntries, AreTheSameRowsInParts) {
  LibsvmRows rows;
  parse_libsvm("1 1:1 4:2\n2\n1 2:3\n2 1:0.5 3:0.1\n1 4:7\n", 0, 100, rows);
  for (const int base : {0, 1}) {
    Encoding encoding;
    encoding.format = Format::libsvm;
    encoding.libsvm_base = base;
    encoding.libsvm_features = static_cast<std::uint64_t>(5 - base);
    encoding.classes = {"1", "2"};
    DirectEntries whole(StorageChoice::float64, 1), parts(StorageChoice::float64, 1);
    whole.add(rows);
    parts.add(rows);
    parts.add(rows);
    EXPECT_EQ(parts.bytes(), 2 * whole.bytes());
    const Shard one = whole.take(encoding, 5);
    EXPECT_EQ(std::get<SparseMatrix>(one.matrix).row_begin, (RowArray<std::uint64_t>{0, 2, 2, 3, 5, 6}));
    const std::uint32_t less = static_cast<std::uint32_t>(base);
    EXPECT_EQ(std::get<SparseMatrix>(one.matrix).columns,
              (RowArray<std::uint32_t>{1 - less, 4 - less, 2 - less, 1 - less, 3 - less, 4 - less}));
    EXPECT_EQ(one.targets, (RowArray<double>{0, 1, 0, 1, 0}));
    const Shard first = parts.take(encoding, 3), second = parts.take(encoding, 4);
    EXPECT_EQ(parts.rows(), 3u);
    Shard all = first;
    append_rows(all, second);
    append_rows(all, parts.take(encoding, 3));
    expect_same(slice_rows(all, 0, 5), one);
    expect_same(slice_rows(all, 5, 10), one);
  }
}

TEST(BufferPools, UseAgainWhatIsLetGo) {
  std::shared_ptr<const void> kept;
  PageBuffer last;
  {
    BufferPool pool;
    PageBuffer one = pool.take();
    EXPECT_EQ(one.room(), 0u);
    one.make_room(1000);
    std::byte* first = one.data();
    first[5] = std::byte{7};  // memory mapped anew would be cleared
    std::shared_ptr<const void> lent = pool.lend(std::move(one));
    EXPECT_EQ(pool.take().room(), 0u);
    lent.reset();
    PageBuffer again = pool.take();
    EXPECT_EQ(again.data(), first);
    EXPECT_EQ(again.data()[5], std::byte{7});
    kept = pool.lend(std::move(again));
    last = std::move(again);
    EXPECT_EQ(last.room(), 0u);
  }
  kept.reset();  // the pool is gone
}

TEST(PageBuffers, GrowWithWhatTheyHold) {
  PageBuffer buffer;
  std::size_t filled = 0;
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{70'000}, std::size_t{3} << 20, std::size_t{40} << 20}) {
    buffer.make_room(bytes);
    ASSERT_GE(buffer.room(), bytes);
    for (; filled < buffer.room(); filled += 1000) buffer.data()[filled] = static_cast<std::byte>(filled / 1000);
  }
  for (std::size_t at = 0; at < filled; at += 1000) ASSERT_EQ(buffer.data()[at], static_cast<std::byte>(at / 1000));
}

TEST(GrowingNumbers, AreFloatsAsLongAsThatChangesNone) {
  GrowingNumbers numbers(StorageChoice::automatic);
  const auto add = [&](double x, std::size_t count, bool survive) {
    numbers.extend(count, survive, [&](auto* to) {
      for (std::size_t k = 0; k < count; ++k) to[k] = static_cast<std::remove_pointer_t<decltype(to)>>(x);
    });
  };
  add(0.5, 100'000, true);
  EXPECT_EQ(numbers.width(), sizeof(float));
  add(0.1, 7, false);
  add(2, 3, true);
  EXPECT_EQ(numbers.size(), 100'010u);
  const auto first = std::get<RowArray<double>>(numbers.take(100'001));
  EXPECT_EQ(std::count(first.begin(), first.end(), 0.5), 100'000);
  EXPECT_EQ(first[100'000], 0.1);
  const auto rest = std::get<RowArray<double>>(numbers.take(9));
  EXPECT_EQ(rest, (RowArray<double>{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 2, 2, 2}));
  add(3, 1, true);  // anew
  EXPECT_EQ(std::get<RowArray<float>>(numbers.take(1)), RowArray<float>{3});
}

TEST(PageArenas, GiveStretchesThatOutliveThem) {
  std::vector<Pages> taken;
  {
    PageArena arena;
    for (std::size_t k = 0; k < 300; ++k) taken.push_back(arena.take(k == 150 ? std::size_t{40} << 20 : 1 + k * 1000));
    EXPECT_EQ(arena.take(0).size(), 0u);
  }
  for (std::size_t k = 0; k < taken.size(); ++k) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(taken[k].at<char>(0)) % 64, 0u);
    std::memset(taken[k].at<char>(0), static_cast<int>(k % 100), std::min<std::size_t>(taken[k].size(), 1 << 20));
  }
  for (std::size_t k = 0; k < taken.size(); ++k) {
    EXPECT_EQ(taken[k].at<char>(0)[0], static_cast<char>(k % 100));
    EXPECT_EQ(taken[k].at<char>(0)[std::min<std::size_t>(taken[k].size(), 1 << 20) - 1], static_cast<char>(k % 100));
  }
}

}  // namespace
}  // namespace muster
