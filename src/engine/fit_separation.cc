#include "engine/fit_separation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "muster/error.h"

namespace muster {
namespace {

// What one class spans in a column.
using Span = std::pair<double, double>;

// Whether some values are at most a threshold where all others are at least it, class by class.
bool falls_apart(std::vector<Span> spans) {
  std::sort(spans.begin(), spans.end());
  double below = spans.front().second;
  for (std::size_t k = 1; k < spans.size(); ++k) {
    if (below <= spans[k].first) return true;
    below = std::max(below, spans[k].second);
  }
  return false;
}

bool falls_apart_at_zero(const std::vector<Span>& spans) {
  std::size_t low = 0, high = 0;
  for (const auto& [smallest, largest] : spans) {
    if (smallest < 0 && largest > 0) return false;
    low += largest <= 0;
    high += smallest >= 0;
  }
  return low > 0 && high > 0;
}

}  // namespace

std::vector<double> agree_on_class_weights(FitContext& context) {
  const std::vector<std::string>& classes = context.request.data.encoding.classes;
  std::vector<double> weight(classes.size(), 0.0);
  context.rows.each_target([&](double target, double s) { weight[static_cast<std::size_t>(target)] += s; });
  context.add_up(weight);
  for (std::size_t k = 0; k < classes.size(); ++k) {
    if (weight[k] > 0) continue;
    throw InputError(
        context.problem().loss == Loss::logistic
            ? fmt::format("no row of the target has the level '{}': logistic regression needs both levels", classes[k])
            : fmt::format("every row of the class '{}' has weight 0: leave them out of the files", classes[k]));
  }
  return weight;
}

ClassRanges agree_on_ranges(FitContext& context) {
  const std::size_t d = context.columns(), classes = context.request.data.encoding.classes.size();
  std::vector<double> flat(2 * classes * d);
  context.pass([&] { return context.rows.ranges_by_class(classes, flat); });
  context.add_up(flat, ReduceOp::min);
  ClassRanges ranges{std::vector<std::vector<double>>(classes), std::vector<std::vector<double>>(classes)};
  for (std::size_t k = 0; k < classes; ++k) {
    const auto* begin = flat.data() + 2 * k * d;
    ranges.smallest[k].assign(begin, begin + d);
    ranges.largest[k].assign(begin + d, begin + 2 * d);
    for (double& value : ranges.largest[k]) value = -value;
  }
  return ranges;
}

std::optional<std::size_t> find_separating_column(const ClassRanges& ranges, bool intercept) {
  const std::size_t classes = ranges.smallest.size();
  std::vector<Span> spans(classes);
  for (std::size_t j = 0; j < ranges.smallest[0].size(); ++j) {
    double smallest = ranges.smallest[0][j], largest = ranges.largest[0][j];
    for (std::size_t k = 0; k < classes; ++k) {
      spans[k] = {ranges.smallest[k][j], ranges.largest[k][j]};
      smallest = std::min(smallest, spans[k].first);
      largest = std::max(largest, spans[k].second);
    }
    const bool varies = intercept ? smallest < largest : smallest < 0 || largest > 0;
    if (varies && (intercept ? falls_apart(spans) : falls_apart_at_zero(spans))) return j;
  }
  return std::nullopt;
}

}  // namespace muster
