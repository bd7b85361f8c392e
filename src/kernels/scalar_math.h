// e^x and log(1 + x) in plain C++ without fused operations or a libm, whose results differ between machines.
//
// Sources: fdlibm's e_exp.c and s_log1p.c (Sun Microsystems, 1993), whose reductions and polynomials these are; both
// stay below 1 ulp where results are normal.
#pragma once

#include <bit>
#include <cstdint>

namespace muster {

inline constexpr double kLn2High = 6.93147180369123816490e-01;
inline constexpr double kLn2Low = 1.90821492927058770002e-10;

// 2^k · x in two steps, so that a subnormal result is reached from a normal one; k in [-1075, 1024].
inline double scale_by_power_of_two(double x, int k) {
  const auto power = [](int n) { return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52); };
  return x * power(k / 2) * power(k - k / 2);
}

inline double scalar_exp(double x) {
  if (!(x > -746)) return x < 0 ? 0.0 : x;  // NaN passes
  if (x > 709.79) return std::bit_cast<double>(0x7ff0000000000000);
  constexpr double kLog2E = 1.44269504088896338700e+00;
  const int k = static_cast<int>(x * kLog2E + (x < 0 ? -0.5 : 0.5));
  const double high = x - k * kLn2High;
  const double low = k * kLn2Low;
  const double r = high - low;
  const double t = r * r;
  const double c =
      r -
      t * (1.66666666666666019037e-01 +
           t * (-2.77777777770155933842e-03 +
                t * (6.61375632143793436117e-05 + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
  const double y = 1 + (r * c / (2 - c) - low + high);
  return k == 0 ? y : scale_by_power_of_two(y, k);
}

// x > −1.
inline double scalar_log1p(double x) {
  const double u = 1 + x;
  if (u == 1 || !(u < std::bit_cast<double>(0x7ff0000000000000))) return x;
  const double lost = (u >= 2 ? 1 - (u - x) : x - (u - 1)) / u;  // what rounding u took away, relative to u
  // u = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)).
  const auto bits = std::bit_cast<std::uint64_t>(u) + (0x3ff0000000000000 - 0x3fe6a09e00000000);
  const int k = static_cast<int>(bits >> 52) - 1023;
  const double f = std::bit_cast<double>((bits & 0x000fffffffffffff) + 0x3fe6a09e00000000) - 1;
  const double half_square = 0.5 * f * f;
  const double s = f / (2 + f);
  const double z = s * s;
  const double r = z * (6.666666666666735130e-01 +
                        z * (3.999999999940941908e-01 +
                             z * (2.857142874366239149e-01 +
                                  z * (2.222219843214978396e-01 +
                                       z * (1.818357216161805012e-01 +
                                            z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01))))));
  return k * kLn2High - ((half_square - (s * (half_square + r) + (k * kLn2Low + lost))) - f);
}

}  // namespace muster
