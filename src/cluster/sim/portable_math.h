// log, exp and the inverse of the normal distribution in plain IEEE arithmetic: libm's differ in the last bit between
// machines, and a simulated run must not.
#pragma once

namespace muster {

// x > 0 and normal. Within 2 ulp.
double portable_log(double x);

// Within 2 ulp for |x| < 700; 0 below that, infinity above.
double portable_exp(double x);

// The z with P(Z <= z) = p for a standard normal Z, 0 < p < 1. Relative error about 1e-16.
// Source: M. J. Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37
// (1988) 477-484, routine PPND16.
double normal_quantile(double p);

}  // namespace muster
