// What the rules that go from point to point share.
#pragma once

#include <algorithm>
#include <array>
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

// Σ term(i) over [0, n), in eight chains of additions and these in pairs: the same bits on every rank. Chains are held
// two by two, since compilers make six times slower code of an array of eight.
template <class Term>
double sum_in_lanes(std::size_t n, const Term& term) {
  using Two = double __attribute__((vector_size(2 * sizeof(double))));
  constexpr std::size_t kLanes = 8;
  Two twos[kLanes / 2] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; lane += 2) twos[lane / 2] += Two{term(i + lane), term(i + lane + 1)};
  double lanes[kLanes];
  for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] = twos[lane / 2][lane % 2];
  for (std::size_t lane = 0; i < n; ++i, ++lane) lanes[lane] += term(i);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

// Calls visit(begin, end) with stretches of [0, n) in order: so many coordinates of a handful of vectors stay in cache.
template <class Visit>
void in_stretches(std::size_t n, const Visit& visit) {
  constexpr std::size_t kStretch = 4096;
  for (std::size_t begin = 0; begin < n; begin += kStretch) visit(begin, std::min(n, begin + kStretch));
}

// Σ term(i) over [0, n) of several terms, each added so a stretch at a time: what several of them read comes from
// memory once.
template <class... Terms>
std::array<double, sizeof...(Terms)> sums_in_lanes(std::size_t n, const Terms&... terms) {
  std::array<double, sizeof...(Terms)> sums{};
  in_stretches(n, [&](std::size_t begin, std::size_t end) {
    double* sum = sums.data();
    ((*sum++ += sum_in_lanes(end - begin, [&](std::size_t i) { return terms(begin + i); })), ...);
  });
  return sums;
}

// As sum_in_lanes.
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
