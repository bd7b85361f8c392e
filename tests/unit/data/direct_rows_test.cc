// Rows that go to the matrix without staging are those that are staged; and the memory they lie in.
#include "data/direct_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

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
    kept.push_back(window);
    taken += whole;
  }
  EXPECT_EQ(direct.rows(), 0u);
  Shard all = std::move(kept.front());
  for (std::size_t k = 1; k < kept.size(); ++k) append_rows(all, std::move(kept[k]));
  std::vector<StagedBlock> blocks;
  blocks.push_back(stager.stage(batch_of(0, read, kWide), [](std::int64_t) { return "?"; }));
  expect_same(all, build_shard(layout, std::move(blocks)));
}

INSTANTIATE_TEST_SUITE_P(Storage, DirectRowsTest,
                         ::testing::Values(StorageChoice::automatic, StorageChoice::float32, StorageChoice::float64));

TEST(BufferPools, UseAgainWhatIsLetGo) {
  std::shared_ptr<std::byte> kept;
  {
    BufferPool pool;
    std::shared_ptr<std::byte> one = pool.take(1000);
    const std::shared_ptr<std::byte> two = pool.take(900);
    EXPECT_NE(one.get(), two.get());
    const std::byte* first = one.get();
    one.get()[5] = std::byte{7};  // memory mapped anew would be cleared
    one.reset();
    one = pool.take(1);
    EXPECT_EQ(one.get(), first);
    EXPECT_EQ(one.get()[5], std::byte{7});
    kept = pool.take(pool.size() + 1);
    EXPECT_GE(pool.size(), 1001u);
  }
  std::memset(kept.get(), 1, 1001);  // the pool is gone, this is not
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
