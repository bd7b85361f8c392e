#include "cluster/mailbox.h"

#include <gtest/gtest.h>

#include "cluster/outcome.h"
#include "muster/error.h"

namespace muster {
namespace {

Message message(int source, Tag tag, std::size_t bytes = 0) {
  return {source, tag, Buffer(bytes)};
}

TEST(Mailbox, TakesTheEarliestThatFits) {
  Mailbox box;
  box.deliver(message(1, 5));
  box.deliver(message(2, 6));
  box.deliver(message(1, 6));
  EXPECT_EQ(box.take({{1}, {6}})->tag, 6u);
  EXPECT_EQ(box.take({{}, {}})->source, 1);
  EXPECT_FALSE(box.take({{1}, {}}));
  EXPECT_EQ(box.take({{1, 2}, {5, 6}})->source, 2);
  EXPECT_EQ(box.queued(), 0u);
}

TEST(Mailbox, ReservedTagsAreTakenOnlyByName) {
  Mailbox box;
  box.deliver(message(0, kFirstReservedTag));
  EXPECT_FALSE(box.take({{}, {}}));
  box.deliver(message(0, kFirstReservedTag - 1));
  EXPECT_EQ(box.take({{}, {}})->tag, kFirstReservedTag - 1);
  EXPECT_TRUE(box.take({{}, {kFirstReservedTag}}));
}

TEST(Mailbox, OwesWhatWasTakenUntilItIsSettled) {
  Mailbox box;
  box.deliver(message(3, 1, 100));
  box.deliver(message(3, 1, 50));
  EXPECT_EQ(box.settle(3, false, 1), 0u);
  box.take({{3}, {}});
  EXPECT_EQ(box.settle(3, false, 1000), 0u);
  box.take({{3}, {}});
  EXPECT_EQ(box.settle(3, true, 1), 0u);
  EXPECT_EQ(box.settle(3, false, 1), 150 + 2 * kHeaderBytes);
  EXPECT_EQ(box.settle(3, false, 1), 0u);
}

TEST(CreditAccount, AlwaysLetsAFirstMessagePass) {
  CreditAccount account;
  EXPECT_TRUE(account.allows(1000, 10));
  account.sent(1000);
  EXPECT_FALSE(account.allows(1, 10));
  account.received(995);
  EXPECT_TRUE(account.allows(5, 10));
  EXPECT_FALSE(account.allows(6, 10));
}

std::string anywhere(int) {
  return "host";
}

TEST(Judge, NamesTheRankBehindTheOthersLosses) {
  using Outcomes = std::vector<std::optional<Outcome>>;
  const Outcome ok;
  const Outcome lost_2{RankEnding::peer_lost, 2, "rank 2 on host: why"};
  EXPECT_EQ(judge(Outcomes{ok, ok}, anywhere).ending, RankEnding::ok);
  EXPECT_EQ(judge(Outcomes{ok, std::nullopt}, anywhere).ending, RankEnding::ok);

  const Verdict own = judge(Outcomes{lost_2, lost_2, Outcome{RankEnding::failed, 2, "why"}}, anywhere);
  EXPECT_EQ(own.rank, 2);
  EXPECT_EQ(own.sentence, "rank 2 on host: why");

  const Verdict lone = judge(Outcomes{lost_2, ok, Outcome{RankEnding::input_error, 2, "why"}}, anywhere);
  EXPECT_EQ(lone.ending, RankEnding::peer_lost);
  EXPECT_EQ(lone.sentence, "rank 2 on host: why");
  EXPECT_THROW(raise(lone), ClusterError);

  const Verdict all =
      judge(Outcomes{Outcome{RankEnding::cancelled, 0, "stop"}, Outcome{RankEnding::input_error, 1, "bad"}}, anywhere);
  EXPECT_EQ(all.ending, RankEnding::input_error);
  EXPECT_THROW(raise(all), InputError);
}

}  // namespace
}  // namespace muster
