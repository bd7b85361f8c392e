// What a linear model's rows made of the points evaluated last: their margins. Line searches and Hessians at one of
// those points then need no pass to find them again.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/aligned.h"

namespace muster {

class KeptMargins {
 public:
  static constexpr std::size_t kPoints = 2;

  // Room for the margins at a point, in place of those at the older of the two kept; to be filled before they are asked
  // for.
  std::span<double> put(std::span<const double> point, std::size_t count) {
    newest_ = 1 - newest_;
    Kept& kept = kept_[newest_];
    kept.point.assign(point.begin(), point.end());
    kept.margins.resize(count);
    return kept.margins;
  }

  // So many margins at a point, where they are kept.
  std::optional<std::span<const double>> at(std::span<const double> point, std::size_t count) const {
    for (std::size_t place = 0; place < kPoints; ++place)
      if (is_at(place, point, count)) return in(place);
    return std::nullopt;
  }
  // The same in two steps, for ranks that hold parts of points and agree on a place: whether so many margins in one of
  // the kPoints places are those at the point, and what is there.
  bool is_at(std::size_t place, std::span<const double> point, std::size_t count) const {
    const Kept& kept = kept_[place];
    return kept.margins.size() == count && std::equal(point.begin(), point.end(), kept.point.begin(), kept.point.end());
  }
  std::span<const double> in(std::size_t place) const { return kept_[place].margins; }

 private:
  struct Kept {
    std::vector<double> point;
    AlignedVector<double> margins;
  };
  std::array<Kept, kPoints> kept_;
  std::size_t newest_ = 0;
};

}  // namespace muster
