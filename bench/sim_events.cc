// Messages per second through the simulator's event queue and network model, without ranks: a fixed number is kept
// under way between random pairs, each arrival sending the next. Prints one line per number under way; seconds are of
// one processor.
#include <fmt/core.h>

#include <cstdlib>
#include <ctime>

#include "base/random.h"
#include "cluster/sim/courier.h"

namespace {

double messages_per_second(int ranks, int under_way, int messages) {
  const muster::ClusterModel model;
  const muster::Failures failures(model, ranks);
  muster::Courier courier(model, failures, ranks);
  const muster::RandomStream stream(1, 0, muster::RandomPurpose::start_vector);
  const std::clock_t begin = std::clock();
  int sent = 0, arrived = 0;
  const auto send = [&](muster::Time at) {
    const std::uint64_t bits = stream.bits(static_cast<std::uint64_t>(sent++));
    const int from = static_cast<int>((bits & 0xffffffff) % static_cast<std::uint64_t>(ranks));
    const int to = (from + 1 + static_cast<int>((bits >> 32) % static_cast<std::uint64_t>(ranks - 1))) % ranks;
    courier.send(from, to, at, {});
  };
  while (sent < under_way) send(0);
  while (arrived < messages) {
    const muster::Event event = courier.queue().pop();
    muster::Arrival arrival;
    if (!courier.handle(event, arrival)) continue;
    ++arrived;
    courier.take(arrival.flight);
    send(arrival.ready);
  }
  return messages * static_cast<double>(CLOCKS_PER_SEC) / static_cast<double>(std::clock() - begin);
}

}  // namespace

int main() {
  for (const int under_way : {10, 1000, 10'000, 100'000}) {
    fmt::print("{:7} messages under way between 1000 ranks: {:.2f} million messages per second\n", under_way,
               messages_per_second(1000, under_way, 4'000'000) / 1e6);
  }
  return EXIT_SUCCESS;
}
