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
  // Room for the margins at a point, in place of those at the older of the two kept; to be filled before at() is asked.
  std::span<double> put(std::span<const double> point, std::size_t count) {
    newest_ = 1 - newest_;
    Kept& kept = kept_[newest_];
    kept.point.assign(point.begin(), point.end());
    kept.margins.resize(count);
    return kept.margins;
  }

  // So many margins at a point, where they are kept.
  std::optional<std::span<const double>> at(std::span<const double> point, std::size_t count) const {
    for (const Kept& kept : kept_) {
      if (kept.margins.size() == count && std::equal(point.begin(), point.end(), kept.point.begin(), kept.point.end()))
        return std::span<const double>(kept.margins);
    }
    return std::nullopt;
  }

 private:
  struct Kept {
    std::vector<double> point;
    AlignedVector<double> margins;
  };
  std::array<Kept, 2> kept_;
  std::size_t newest_ = 0;
};

}  // namespace muster
