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
  static constexpr int kMostSteps = 16;

  // Room for the margins at a point, in place of those at the older of the two kept; to be filled before they are asked
  // for.
  std::span<double> put(std::span<const double> point, std::size_t count) { return put_in(1 - newest_, point, count); }
  // The same in a given place.
  std::span<double> put_in(std::size_t place, std::span<const double> point, std::size_t count) {
    newest_ = place;
    Kept& kept = kept_[place];
    kept.point.assign(point.begin(), point.end());
    kept.margins.resize(count);
    kept.steps = 0;
    return kept.margins;
  }
  // The same of a point that is not looked for again: it only ends a line.
  std::span<double> put_unnamed(std::size_t place, std::size_t count) { return put_in(place, {}, count); }
  std::size_t older() const { return 1 - newest_; }

  // Margins are linear: those of a + t(b − a), which is `point`, take b's place, a and b being those of the two places.
  std::span<const double> move_along(std::size_t from, std::size_t to, double t, std::span<const double> point) {
    const Kept& a = kept_[from];
    Kept& b = kept_[to];
    for (std::size_t i = 0; i < b.margins.size(); ++i) b.margins[i] = a.margins[i] + t * (b.margins[i] - a.margins[i]);
    b.point.assign(point.begin(), point.end());
    b.steps = a.steps + 1;
    newest_ = to;
    return b.margins;
  }
  // Whether what is in a place comes from margins that rows made by so many moves that they should be asked again, lest
  // rounding add up.
  bool worn(std::size_t place) const { return kept_[place].steps >= kMostSteps; }

  // Where so many margins at a point are kept.
  std::optional<std::size_t> find(std::span<const double> point, std::size_t count) const {
    for (std::size_t place = 0; place < kPoints; ++place)
      if (is_at(place, point, count)) return place;
    return std::nullopt;
  }
  // For ranks that hold parts of points and agree on a place: whether so many margins in one of the kPoints places are
  // those at the point.
  bool is_at(std::size_t place, std::span<const double> point, std::size_t count) const {
    const Kept& kept = kept_[place];
    return kept.margins.size() == count && std::equal(point.begin(), point.end(), kept.point.begin(), kept.point.end());
  }
  std::span<const double> in(std::size_t place) const { return kept_[place].margins; }
  std::span<const double> point_in(std::size_t place) const { return kept_[place].point; }

 private:
  struct Kept {
    std::vector<double> point;
    AlignedVector<double> margins;
    int steps = 0;
  };
  std::array<Kept, kPoints> kept_;
  std::size_t newest_ = 0;
};

}  // namespace muster
