#include "engine/order_statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::uint64_t kSign = std::uint64_t{1} << 63;

// Doubles and unsigned numbers in the same order.
double from_ordered(std::uint64_t bits) {
  return std::bit_cast<double>((bits & kSign) != 0 ? bits ^ kSign : ~bits);
}

}  // namespace

std::vector<double> quantiles(Endpoint& endpoint, std::span<const double> mine, std::span<const double> shares) {
  auto count = static_cast<double>(mine.size());
  endpoint.allreduce({&count, 1}, ReduceOp::sum, Deadline::never());
  MUSTER_CHECK(count > 0, "quantiles of nothing");

  std::vector<double> places;  // of order statistics: below and above each quantile
  for (const double share : shares) {
    const double place = (count - 1) * share;
    places.push_back(std::floor(place));
    places.push_back(std::min(std::floor(place) + 1, count - 1));
  }
  // x_k is the largest bit pattern with at most k numbers below it, made bit by bit.
  std::vector<std::uint64_t> found(places.size(), 0);
  std::vector<double> below(places.size());
  for (std::uint64_t bit = kSign; bit != 0; bit >>= 1) {
    for (std::size_t i = 0; i < places.size(); ++i) {
      const double pivot = from_ordered(found[i] | bit);
      // Patterns beyond the infinities are NaN; nothing is above +inf, everything is above −NaN.
      const auto end = std::isnan(pivot) ? ((found[i] | bit) > kSign ? mine.end() : mine.begin())
                                         : std::lower_bound(mine.begin(), mine.end(), pivot);
      below[i] = static_cast<double>(end - mine.begin());
    }
    endpoint.allreduce(below, ReduceOp::sum, Deadline::never());
    for (std::size_t i = 0; i < places.size(); ++i)
      if (below[i] <= places[i]) found[i] |= bit;
  }
  std::vector<double> result;
  for (std::size_t q = 0; q < shares.size(); ++q) {
    const double low = from_ordered(found[2 * q]), high = from_ordered(found[2 * q + 1]);
    const double part = (count - 1) * shares[q] - places[2 * q];
    result.push_back(part > 0 ? low + part * (high - low) : low);
  }
  return result;
}

}  // namespace muster
