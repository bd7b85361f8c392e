// What the rules that go from point to point share.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "solver/problem.h"

namespace muster {

// What rounding can do to a value of f, relative to it.
inline constexpr double kValueRounding = 64 * std::numeric_limits<double>::epsilon();

struct Point {
  std::vector<double> w, gradient;
  double value = 0;
  double square = 0;  // |g|²
};

// Fills the rest of a point from its w. False where f or |g|² is not finite.
bool evaluate(Problem& problem, Point& point);

// Σ term(i) over [0, n), in eight chains of additions and these in pairs: the same bits on every rank.
template <class Term>
double sum_in_lanes(std::size_t n, const Term& term) {
  constexpr std::size_t kLanes = 8;
  double lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  for (std::size_t lane = 0; i < n; ++i, ++lane) lanes[lane] += term(i);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

// So added.
double dot(std::span<const double> a, std::span<const double> b);
// Likewise over all blocks.
double dot(Problem& problem, std::span<const double> a, std::span<const double> b);

// Difference of two values of f that rounding alone can make.
double hidden_by_rounding(double a, double b);

// Sees that a run only jitters at the level of rounding: |g| has found no new minimum for `patience` rounds in which f
// did not change beyond rounding.
class FloorDetector {
 public:
  explicit FloorDetector(int patience) : patience_(patience) {}

  bool at_floor(const Point& point);  // asked once a round

 private:
  int patience_;
  double least_square_ = std::numeric_limits<double>::infinity();
  double value_ = std::numeric_limits<double>::infinity();
  int rounds_ = 0;
};

}  // namespace muster
