// The messages between workers and servers: what is written is read, what can not be is refused by the sender's name.
#include "train/push_pull.h"

#include <gtest/gtest.h>

#include <random>

#include "muster/error.h"

namespace muster {
namespace {

using Keys = std::vector<std::uint32_t>;
using Values = std::vector<double>;

constexpr std::size_t kRange = 50, kSums = 2;
const std::string kSender = "rank 2 on node2";

Request keyed_request() {
  Request request;
  request.kind = Request::Kind::push_pull;
  request.clock = 7;
  request.dense = false;
  request.news = {.value = 3.5, .has_value = true, .cancelled = true};
  request.residuals = {-1.25, 0.5};
  request.rows_weight = 4;
  request.curvature = 0.5;
  request.pushed_keys = {0, 3, 49};
  request.wanted_keys = {1, 2, 48, 49};
  request.values = {1, -2, 1e-300};
  return request;
}

std::string refusal(const std::vector<std::byte>& bytes) {
  KeyListCache cache;
  try {
    decode_request(Buffer::copy_of(std::span<const std::byte>(bytes)), Codec({}), cache, kRange, kSums, kSender);
  } catch (const ClusterError& error) {
    return error.what();
  }
  return {};
}

std::vector<std::byte> bytes_of(const Buffer& buffer) {
  return {buffer.data(), buffer.data() + buffer.size()};
}

std::vector<std::byte> encoded(const Request& request) {
  KeyListCache cache;
  return bytes_of(encode(request, Codec({}), {}, cache));
}

TEST(PushPull, RequestsArriveAsSent) {
  Request dense = keyed_request();
  dense.dense = true;
  dense.pushed_keys = dense.wanted_keys = {};
  dense.values.assign(kRange, 0.1);
  for (const Request& request : {keyed_request(), dense}) {
    KeyListCache sender, receiver;
    const Buffer payload = encode(request, Codec({}), {}, sender);
    const Request read = decode_request(payload, Codec({}), receiver, kRange, kSums, kSender);
    EXPECT_EQ(read.kind, request.kind);
    EXPECT_EQ(read.clock, request.clock);
    EXPECT_EQ(read.dense, request.dense);
    EXPECT_EQ(read.news.value, request.news.value);
    EXPECT_TRUE(read.news.has_value && read.news.cancelled && !read.news.diverged);
    EXPECT_EQ(read.residuals, request.residuals);
    EXPECT_EQ(read.rows_weight, request.rows_weight);
    EXPECT_EQ(read.curvature, request.curvature);
    EXPECT_EQ(read.pushed_keys, request.pushed_keys);
    EXPECT_EQ(read.wanted_keys, request.wanted_keys);
    EXPECT_EQ(read.values, request.values);
  }
}

TEST(PushPull, AnswersArriveAsSent) {
  Answer answer{.kind = Answer::Kind::finish, .extras = {-0.5}, .round = RoundReport{.round = 12}};
  answer.round->seconds = 1.5;
  answer.round->objective = 0.25;
  answer.round->gradient_norm = 1e-9;
  answer.round->staleness = 2.5;
  answer.values = {1, 2, 3};
  const Answer read = decode_answer(encode(answer, Codec({}), {}), Codec({}), 3, 1, kSender);
  EXPECT_EQ(read.kind, answer.kind);
  EXPECT_EQ(read.extras, answer.extras);
  ASSERT_TRUE(read.round);
  EXPECT_EQ(read.round->round, 12);
  EXPECT_EQ(read.round->seconds, 1.5);
  EXPECT_EQ(read.round->objective, 0.25);
  EXPECT_EQ(read.round->gradient_norm, 1e-9);
  EXPECT_EQ(read.round->staleness, 2.5);
  EXPECT_EQ(read.values, answer.values);
  EXPECT_THROW(decode_answer(encode(answer, Codec({}), {}), Codec({}), 4, 1, kSender), ClusterError);
  EXPECT_THROW(decode_answer(encode(answer, Codec({}), {}), Codec({}), 2, 1, kSender), ClusterError);
}

TEST(PushPull, EveryCutAndEveryAdditionIsRefusedByName) {
  const std::vector<std::byte> whole = encoded(keyed_request());
  EXPECT_EQ(refusal(whole), "");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string why = refusal({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
    EXPECT_NE(why.find(kSender + " sent a malformed message"), std::string::npos) << size;
  }
  std::vector<std::byte> longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_NE(refusal(longer).find("1 bytes too many"), std::string::npos);
}

TEST(PushPull, DamagedRequestsAreReadOrRefused) {
  const std::vector<std::byte> whole = encoded(keyed_request());
  std::size_t refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int value = 0; value < 256; ++value) {
      std::vector<std::byte> damaged = whole;
      damaged[at] = static_cast<std::byte>(value);
      refused += !refusal(damaged).empty();
    }
  EXPECT_GT(refused, 10'000u);
}

TEST(PushPull, SaysWhatIsWrong) {
  const auto refused = [](auto change) {
    Request request = keyed_request();
    change(request);
    return refusal(encoded(request));
  };
  const auto says = [](const std::string& why, const char* words) {
    EXPECT_NE(why.find(words), std::string::npos) << why;
  };
  says(refused([](Request& r) { r.wanted_keys = {1, kRange}; }), "key 50 in a range of 50 keys");
  says(refused([](Request& r) { r.wanted_keys = {2, 1}; }), "do not ascend");
  says(refused([](Request& r) { r.values[1] = std::nan(""); }), "not finite");
  says(refused([](Request& r) { r.residuals[1] = std::nan(""); }), "not finite");
  says(refused([](Request& r) { r.clock = -1; }), "below 0");
  says(refused([](Request& r) { r.curvature = -1; }), "below 0");
  std::vector<std::byte> bytes = encoded(keyed_request());
  bytes[0] = std::byte{kPushPullVersion + 1};
  says(refusal(bytes), "version 3, not 2");
  bytes = encoded(keyed_request());
  bytes[1] = std::byte{9};
  says(refusal(bytes), "kind is unknown");
}

TEST(PushPull, ARepeatedListOfKeysTravelsOnce) {
  KeyListCache sender, receiver;
  const Request request = keyed_request();
  const Buffer first = encode(request, Codec({}), {}, sender), second = encode(request, Codec({}), {}, sender);
  EXPECT_EQ(second.size() + 7 * sizeof(std::uint32_t), first.size());
  decode_request(first, Codec({}), receiver, kRange, kSums, kSender);
  EXPECT_EQ(decode_request(second, Codec({}), receiver, kRange, kSums, kSender).wanted_keys, request.wanted_keys);
  KeyListCache empty;
  EXPECT_THROW(decode_request(second, Codec({}), empty, kRange, kSums, kSender), ClusterError);
  // Held already: the other end has lost count.
  EXPECT_THROW(decode_request(first, Codec({}), receiver, kRange, kSums, kSender), ClusterError);
}

TEST(PushPull, TheOldestListsAreForgottenAndBothEndsAgreeWhich) {
  const auto keys = [](std::uint32_t first, std::size_t count) {
    Keys list(count);
    for (std::size_t i = 0; i < count; ++i) list[i] = first + static_cast<std::uint32_t>(i);
    return list;
  };
  KeyListCache cache(10);
  const auto hold = [&](const Keys& list) { cache.remember(KeyListCache::hash(list), list); };
  const auto held = [&](const Keys& list) { return cache.find(KeyListCache::hash(list)) != nullptr; };
  hold(keys(0, 4));
  hold(keys(10, 4));
  hold(keys(20, 2));
  EXPECT_TRUE(held(keys(0, 4)) && held(keys(10, 4)) && held(keys(20, 2)));
  hold(keys(30, 3));  // 13 keys: the first list goes
  EXPECT_FALSE(held(keys(0, 4)));
  EXPECT_TRUE(held(keys(10, 4)) && held(keys(20, 2)) && held(keys(30, 3)));
  hold(keys(0, 11));  // more than all of the budget: not kept, and nothing goes for it
  EXPECT_FALSE(held(keys(0, 11)));
  EXPECT_TRUE(held(keys(10, 4)));

  // Lists that come again, some of them after they were forgotten.
  KeyListCache sender(20), receiver(20);
  std::mt19937 engine(1);
  for (int k = 0; k < 2000; ++k) {
    Request request = keyed_request();
    request.pushed_keys = keys(engine() % 6, 1 + engine() % 8);
    request.values.assign(request.pushed_keys.size(), 1);
    request.wanted_keys = keys(20 + engine() % 3, 1 + engine() % 24);
    const Buffer payload = encode(request, Codec({}), {}, sender);
    const Request read = decode_request(payload, Codec({}), receiver, kRange, kSums, kSender);
    ASSERT_EQ(read.pushed_keys, request.pushed_keys);
    ASSERT_EQ(read.wanted_keys, request.wanted_keys);
  }
}

}  // namespace
}  // namespace muster
