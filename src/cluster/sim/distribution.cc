#include "cluster/sim/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"
#include "cluster/sim/portable_math.h"

namespace muster {

double Distribution::sample(double u) const {
  switch (kind) {
    case Kind::constant:
      return a;
    case Kind::uniform:
      return a + (b - a) * u;
    case Kind::exponential:
      return -a * portable_log(1 - u);
    case Kind::lognormal:
      return a * portable_exp(b * normal_quantile(std::clamp(u, std::ldexp(1.0, -54), 1 - std::ldexp(1.0, -53))));
    case Kind::pareto:
      return a * portable_exp(-portable_log(1 - u) / b);
    case Kind::empirical: {
      MUSTER_CHECK(!values.empty(), "an empirical distribution has values");
      const auto index = static_cast<std::size_t>(u * static_cast<double>(values.size()));
      return values[std::min(index, values.size() - 1)];
    }
  }
  return a;
}

double Distribution::mean() const {
  switch (kind) {
    case Kind::constant:
    case Kind::exponential:
      return a;
    case Kind::uniform:
      return (a + b) / 2;
    case Kind::lognormal:
      return a * portable_exp(b * b / 2);
    case Kind::pareto:
      return b > 1 ? a * b / (b - 1) : std::numeric_limits<double>::infinity();
    case Kind::empirical:
      return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  }
  return a;
}

}  // namespace muster
