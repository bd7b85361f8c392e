#include "engine/fit_separation.h"

#include <fmt/format.h>

#include <cmath>

#include "muster/error.h"

namespace muster {

// Σ s of either class: a target without one of its levels has no minimiser either.
void require_both_classes(FitContext& context) {
  double weight[2] = {0, 0};
  context.rows.each_target([&](double target, double s) { weight[target == 0 ? 0 : 1] += s; });
  context.add_up(weight);
  const Encoding& encoding = context.request.data.encoding;
  for (int label : {0, 1}) {
    if (weight[label] > 0) continue;
    const std::string& level = label == 0 ? encoding.negative_level : encoding.positive_level;
    throw InputError(
        fmt::format("no row of the target has the level '{}': logistic regression needs both levels", level));
  }
}

ClassRanges agree_on_ranges(FitContext& context) {
  const std::size_t d = context.columns();
  std::vector<double> flat(4 * d);
  context.pass([&] { return context.rows.ranges_by_class(flat); });
  context.add_up(flat, ReduceOp::min);
  ClassRanges ranges;
  for (std::size_t label : {0, 1}) {
    const auto* begin = flat.data() + 2 * label * d;
    ranges.smallest[label].assign(begin, begin + d);
    ranges.largest[label].assign(begin + d, begin + 2 * d);
    for (double& value : ranges.largest[label]) value = -value;
  }
  return ranges;
}

std::optional<std::size_t> find_separating_column(const ClassRanges& ranges, bool intercept) {
  for (std::size_t j = 0; j < ranges.smallest[0].size(); ++j) {
    const double low0 = ranges.smallest[0][j], high0 = ranges.largest[0][j];
    const double low1 = ranges.smallest[1][j], high1 = ranges.largest[1][j];
    const bool varies = intercept ? std::min(low0, low1) < std::max(high0, high1)
                                  : std::min(low0, low1) < 0 || std::max(high0, high1) > 0;
    const bool upward = intercept ? high0 <= low1 : high0 <= 0 && low1 >= 0;
    const bool downward = intercept ? high1 <= low0 : high1 <= 0 && low0 >= 0;
    if (varies && (upward || downward)) return j;
  }
  return std::nullopt;
}

}  // namespace muster
