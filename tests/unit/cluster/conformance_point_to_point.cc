#include <algorithm>
#include <set>
#include <utility>

#include "cluster/mailbox.h"
#include "conformance_tools.h"
#include "muster/error.h"

namespace muster::conformance {

namespace {

int next(const Endpoint& e) {
  return (e.rank() + 1) % e.size();
}
int previous(const Endpoint& e) {
  return (e.rank() + e.size() - 1) % e.size();
}

Buffer pattern(std::size_t bytes, std::uint8_t seed) {
  Buffer buffer(bytes);
  auto values = buffer.as<std::uint8_t>();
  for (std::size_t i = 0; i < bytes; ++i) values[i] = static_cast<std::uint8_t>(i * 31 + (i >> 8) + seed);
  return buffer;
}

bool equal(const Buffer& a, const Buffer& b) {
  return a.text() == b.text();
}

// Around the sizes where a transport may change its ways, and up to 64 MiB.
void all_sizes(Endpoint& e) {
  for (const std::size_t bytes : {0, 1, 7, 8, 2047, 2048, 2049, 4096, 65'535, 65'536, 1'000'003}) {
    e.send(next(e), 1, pattern(bytes, static_cast<std::uint8_t>(e.rank())));
    const Message message = e.receive({{previous(e)}, {1}}, soon(e));
    REQUIRE(message.source == previous(e) && message.tag == 1);
    REQUIRE(equal(message.payload, pattern(bytes, static_cast<std::uint8_t>(previous(e)))));
  }
  const std::size_t large = std::size_t{64} << 20;
  const int last = e.size() - 1;
  if (e.rank() == 0) e.send(last, 2, pattern(large, 5));
  if (e.rank() == last) REQUIRE(equal(e.receive({{0}, {2}}, soon(e)).payload, pattern(large, 5)));
}

void tags(Endpoint& e) {
  for (const Tag tag : {10, 11, 12, 11, 13}) e.send(next(e), tag, number(tag));
  const int from = previous(e);
  REQUIRE(e.receive({{from}, {13}}, soon(e)).tag == 13);
  REQUIRE(e.receive({{from}, {12, 11}}, soon(e)).tag == 11);  // of two accepted tags the earlier message
  REQUIRE(e.receive({{from}, {12, 11}}, soon(e)).tag == 12);
  REQUIRE(e.receive({{from}, {}}, soon(e)).tag == 10);
  REQUIRE(number(e.receive({{}, {}}, soon(e)).payload) == 11);
}

// Empty tags never take a message of the reserved range: one sent there waits until it is asked for.
void reserved_tags(Endpoint& e) {
  const Tag reserved = kFirstReservedTag + 1000;
  e.send(next(e), reserved, number(1));
  e.send(next(e), 7, number(2));
  REQUIRE(e.receive({{}, {}}, soon(e)).tag == 7);
  REQUIRE(!e.try_receive({}));
  REQUIRE(number(e.receive({{previous(e)}, {reserved}}, soon(e)).payload) == 1);
}

void any_source(Endpoint& e) {
  if (e.rank() != 0) return e.send(0, 3, number(e.rank() * 100));
  std::set<int> heard;
  for (int i = 1; i < e.size(); ++i) {
    const Message message = e.receive({{}, {3}}, soon(e));
    REQUIRE(number(message.payload) == message.source * 100);
    heard.insert(message.source);
  }
  REQUIRE(static_cast<int>(heard.size()) == e.size() - 1);
}

// Small messages may not overtake large ones, whatever their tags.
void order_per_pair(Endpoint& e) {
  constexpr int kMessages = 600;
  for (int i = 0; i < kMessages; ++i) {
    Buffer payload(i % 50 == 0 ? 100'000 : 8);
    payload.as<std::int64_t>()[0] = i;
    e.send(next(e), static_cast<Tag>(i % 3), std::move(payload));
    if (i % 2 == 1) continue;  // stays within the credit: half is received on the way
    REQUIRE(e.receive({{previous(e)}, {}}, soon(e)).payload.as<std::int64_t>()[0] == i / 2);
  }
  for (int i = kMessages / 2; i < kMessages; ++i) {
    REQUIRE(e.receive({{previous(e)}, {}}, soon(e)).payload.as<std::int64_t>()[0] == i);
  }
}

void self_send(Endpoint& e) {
  e.send(e.rank(), 4, number(42));
  e.send(e.rank(), 4, pattern(3 * kCreditBytes, 1));  // no credit stands between a rank and itself
  REQUIRE(number(e.receive({{e.rank()}, {4}}, soon(e)).payload) == 42);
  REQUIRE(equal(e.receive({{e.rank()}, {4}}, soon(e)).payload, pattern(3 * kCreditBytes, 1)));
}

void deadline(Endpoint& e) {
  const Time start = e.now();
  expect_throw<Timeout>([&] { e.receive({{}, {5}}, {start + 0.05}); }, __FILE__, __LINE__);
  REQUIRE(e.now() - start >= 0.05);
  expect_throw<Timeout>([&] { e.receive({{next(e)}, {5}}, {start}); }, __FILE__, __LINE__);  // passed already
  e.barrier(soon(e));
  e.send(next(e), 5, number(6));
  REQUIRE(number(e.receive({{previous(e)}, {5}}, soon(e)).payload) == 6);
}

void try_receive(Endpoint& e) {
  REQUIRE(!e.try_receive({{}, {6}}));
  e.barrier(soon(e));
  e.send(next(e), 6, number(1));
  std::optional<Message> message;
  while (!(message = e.try_receive({{previous(e)}, {6}}))) e.progress();
  REQUIRE(number(message->payload) == 1);
}

// The third message can only come before the first is taken if the second did not wait for credit.
void credit(Endpoint& e) {
  if (e.size() == 1) return;
  if (e.rank() == 0) {
    e.send(1, 1, pattern(kCreditBytes * 9 / 10, 1));
    e.send(1, 1, pattern(kCreditBytes * 9 / 10, 2));
    e.send(1, 2, number(3));
  } else if (e.rank() == 1) {
    expect_throw<Timeout>([&] { e.receive({{0}, {2}}, {e.now() + 0.2}); }, __FILE__, __LINE__);
    REQUIRE(equal(e.receive({{0}, {1}}, soon(e)).payload, pattern(kCreditBytes * 9 / 10, 1)));
    REQUIRE(equal(e.receive({{0}, {1}}, soon(e)).payload, pattern(kCreditBytes * 9 / 10, 2)));
    REQUIRE(number(e.receive({{0}, {2}}, soon(e)).payload) == 3);
  }
}

// Unreceived messages of a trainer do not hold up a collective.
void credit_apart_for_collectives(Endpoint& e) {
  e.send(next(e), 1, pattern(kCreditBytes, 1));
  for (int i = 0; i < 3; ++i) e.barrier(soon(e));
  REQUIRE(e.receive({{previous(e)}, {1}}, soon(e)).payload.size() == kCreditBytes);
}

// Both send first, messages far above what a transport buffers.
void mutual_sends(Endpoint& e) {
  for (int to = 0; to < e.size(); ++to) e.send(to, 1, pattern(2 * kCreditBytes, static_cast<std::uint8_t>(e.rank())));
  for (int from = 0; from < e.size(); ++from) {
    REQUIRE(
        equal(e.receive({{from}, {1}}, soon(e)).payload, pattern(2 * kCreditBytes, static_cast<std::uint8_t>(from))));
  }
}

void flush(Endpoint& e) {
  e.send(next(e), 1, pattern(100'000, 1));
  const Message message = e.receive({{previous(e)}, {1}}, soon(e));
  e.flush(soon(e));
}

void traffic(Endpoint& e) {
  const Traffic before = e.traffic();
  if (e.size() > 1) {
    e.send(next(e), 1, Buffer(1000));
    e.send(next(e), 1, Buffer(0));
    e.receive({{previous(e)}, {1}}, soon(e));
    e.receive({{previous(e)}, {1}}, soon(e));
    const Traffic after = e.traffic();
    REQUIRE(after.messages_sent - before.messages_sent == 2);
    REQUIRE(after.bytes_sent - before.bytes_sent == static_cast<std::int64_t>(1000 + 2 * kHeaderBytes));
  }
  const Traffic idle = e.traffic();
  expect_throw<Timeout>([&] { e.receive({{}, {5}}, {e.now() + 0.2}); }, __FILE__, __LINE__);
  REQUIRE(e.traffic().wait_seconds - idle.wait_seconds > 0.05);
  REQUIRE(e.traffic().messages_sent == idle.messages_sent);
  REQUIRE(e.traffic().communicate_seconds >= idle.communicate_seconds);
  e.barrier(soon(e));  // nobody leaves while others wait
}

}  // namespace

const std::vector<Check>& point_to_point_checks() {
  static const std::vector<Check> checks = {
      {"AllSizes", all_sizes},
      {"Tags", tags},
      {"ReservedTags", reserved_tags},
      {"AnySource", any_source},
      {"OrderPerPair", order_per_pair},
      {"SelfSend", self_send},
      {"Deadline", deadline},
      {"TryReceive", try_receive},
      {"Credit", credit},
      {"CreditApartForCollectives", credit_apart_for_collectives},
      {"MutualSends", mutual_sends},
      {"Flush", flush},
      {"Traffic", traffic},
  };
  return checks;
}

}  // namespace muster::conformance
