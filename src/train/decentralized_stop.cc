#include "train/decentralized_stop.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace muster {
namespace {

constexpr double kUnit = std::numeric_limits<double>::epsilon();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kStill = 16 * kUnit;    // of |w|: copies that move less in a window stand still
constexpr double kNearlyStill = 1e-13;   // of |w|: likewise, together with
constexpr std::int64_t kPatience = 300;  // rounds without a new least estimate
constexpr double kGrowth = 1e4;          // of the square, over its first value: the step is too long

}  // namespace

NetworkStop::Decision NetworkStop::decide(const std::array<double, StopAgreement::kMaxima>& agreed, std::int64_t at) {
  if (agreed[StopAgreement::kCancelled] > 0) return {Ending::interrupted};
  if (agreed[StopAgreement::kOutOfTime] > 0) return {Ending::max_time};
  if (agreed[StopAgreement::kOutOfRounds] > 0) return {Ending::max_rounds};
  const bool met_all = std::isfinite(agreed[StopAgreement::kDisagreement]);
  const double square =
      std::max(agreed[StopAgreement::kGradient], met_all ? agreed[StopAgreement::kDisagreement] : 0.0);
  if (first_square_ < 0) {
    first_square_ = square;
    least_square_ = kInfinity;
    least_at_ = at;
  }
  if (agreed[StopAgreement::kNotFinite] > 0 || square > kGrowth * first_square_ + 1e-300) return {std::nullopt, true};
  if (!met_all) return {};
  if (estimate_.met && estimate_.met(-agreed[StopAgreement::kMinusValue], square * strictness_)) return {Ending::met};
  if (agreed[StopAgreement::kMoved] <= kStill) return {Ending::stalled};
  // With a step that is too long the first copies seen are far away already, farther than the start.
  const bool best = square < least_square_ && std::isfinite(least_square_);
  if (square < least_square_) {
    least_square_ = square;
    least_at_ = at;
  }
  if (at - least_at_ >= kPatience && agreed[StopAgreement::kMoved] <= kNearlyStill) return {Ending::stalled};
  return {std::nullopt, false, best};
}

void NetworkStop::tighten(std::int64_t at) {
  strictness_ *= 8;
  least_square_ = kInfinity;
  least_at_ = at;
}

}  // namespace muster
