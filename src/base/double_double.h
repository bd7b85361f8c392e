// Double-double arithmetic: an unevaluated sum high + low of two doubles with |low| <= ulp(high)/2, some 32 decimal
// digits with the exponent range of double.
//
// Sources: T. J. Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18 (1971);
// D. E. Knuth, TAOCP vol. 2, 4.2.2; M. Joldes, J.-M. Muller, V. Popescu, "Tight and rigorous error bounds for basic
// building blocks of double-word arithmetic", ACM TOMS 44(2) (2017): the algorithm numbers below are theirs. Relative
// errors, u = 2^-53: sum 3u² + 13u³, product 5u², quotient 9.8u². Infinities and NaN are not handled.
//
// Every operation assumes round-to-nearest and no contraction (the build passes -ffp-contract=off).
#pragma once

#include <cmath>

namespace muster {

struct DoubleDouble {
  double high = 0;
  double low = 0;

  constexpr DoubleDouble() = default;
  constexpr DoubleDouble(double value) : high(value) {}  // NOLINT: every double is one
  constexpr DoubleDouble(double h, double l) : high(h), low(l) {}

  explicit operator double() const { return high + low; }
};

// a + b exactly (Knuth, 2Sum).
inline DoubleDouble two_sum(double a, double b) {
  const double s = a + b;
  const double a_part = s - b;
  const double b_part = s - a_part;
  return {s, (a - a_part) + (b - b_part)};
}

// a + b exactly where |a| >= |b| or a == 0 (Dekker, Fast2Sum).
inline DoubleDouble quick_two_sum(double a, double b) {
  const double s = a + b;
  return {s, b - (s - a)};
}

// a · b exactly.
inline DoubleDouble two_product(double a, double b) {
  const double p = a * b;
  return {p, std::fma(a, b, -p)};
}

inline DoubleDouble operator-(DoubleDouble x) {
  return {-x.high, -x.low};
}

inline DoubleDouble operator+(DoubleDouble x, DoubleDouble y) {  // algorithm 6, AccurateDWPlusDW
  const DoubleDouble s = two_sum(x.high, y.high);
  const DoubleDouble t = two_sum(x.low, y.low);
  const DoubleDouble v = quick_two_sum(s.high, s.low + t.high);
  return quick_two_sum(v.high, t.low + v.low);
}
inline DoubleDouble operator-(DoubleDouble x, DoubleDouble y) {
  return x + (-y);
}

inline DoubleDouble operator*(DoubleDouble x, DoubleDouble y) {  // algorithm 12, DWTimesDW3
  const DoubleDouble c = two_product(x.high, y.high);
  const double t = std::fma(x.high, y.low, x.low * y.low);
  return quick_two_sum(c.high, c.low + std::fma(x.low, y.high, t));
}
inline DoubleDouble operator*(DoubleDouble x, double y) {  // algorithm 9, DWTimesFP3
  const DoubleDouble c = two_product(x.high, y);
  return quick_two_sum(c.high, std::fma(x.low, y, c.low));
}
inline DoubleDouble operator*(double x, DoubleDouble y) {
  return y * x;
}

inline DoubleDouble operator/(DoubleDouble x, DoubleDouble y) {  // algorithm 17, DWDivDW2
  const double q = x.high / y.high;
  const DoubleDouble r = y * q;
  const double remainder = (x.high - r.high) + (x.low - r.low);
  return quick_two_sum(q, remainder / y.high);
}

inline DoubleDouble& operator+=(DoubleDouble& x, DoubleDouble y) {
  return x = x + y;
}
inline DoubleDouble& operator-=(DoubleDouble& x, DoubleDouble y) {
  return x = x - y;
}
inline DoubleDouble& operator*=(DoubleDouble& x, DoubleDouble y) {
  return x = x * y;
}
inline DoubleDouble& operator/=(DoubleDouble& x, DoubleDouble y) {
  return x = x / y;
}

inline bool operator<(DoubleDouble x, DoubleDouble y) {
  return x.high < y.high || (x.high == y.high && x.low < y.low);
}
inline bool operator>(DoubleDouble x, DoubleDouble y) {
  return y < x;
}
inline bool operator<=(DoubleDouble x, DoubleDouble y) {
  return !(y < x);
}
inline bool operator>=(DoubleDouble x, DoubleDouble y) {
  return !(x < y);
}
inline bool operator==(DoubleDouble x, DoubleDouble y) {
  return x.high == y.high && x.low == y.low;
}

inline DoubleDouble abs(DoubleDouble x) {
  return x < DoubleDouble(0.0) ? -x : x;
}

// One Newton step from the double square root (Karp and Markstein): relative error a few u².
inline DoubleDouble sqrt(DoubleDouble x) {
  if (!(x.high > 0)) return {std::sqrt(x.high), 0};
  const double root = std::sqrt(x.high);
  const DoubleDouble residual = x - two_product(root, root);
  return quick_two_sum(root, residual.high / (2 * root));
}

// x to the power n >= 0, by repeated multiplication in the order ((x·x)·x)…
inline DoubleDouble power(DoubleDouble x, int n) {
  DoubleDouble result = 1.0;
  for (int i = 0; i < n; ++i) result = result * x;
  return result;
}

}  // namespace muster
