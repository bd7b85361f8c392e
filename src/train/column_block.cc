#include "train/column_block.h"

#include <algorithm>

#include "base/check.h"
#include "cluster/collectives.h"

namespace muster {

ColumnBlockObjective::ColumnBlockObjective(Objective& objective, MarginFunction& parts, Grid grid,
                                           ReducePattern pattern)
    : objective_(objective), parts_(parts), grid_(grid), pattern_(pattern) {
  MUSTER_CHECK(grid.over_columns != nullptr, "columns are cut");
}

void ColumnBlockObjective::whole_margins(std::span<const double> v, std::span<double> margins) {
  grid_.whole.charge(parts_.margins(v, margins));
  allreduce(*grid_.over_columns, pattern_, margins, ReduceOp::sum, Deadline::never());
}

template <std::size_t kCount>
std::optional<std::array<std::size_t, kCount>> ColumnBlockObjective::agree_on_places(
    const std::array<std::span<const double>, kCount>& points) {
  constexpr std::size_t kPlaces = KeptMargins::kPoints;
  std::array<double, kCount * kPlaces> there;
  for (std::size_t i = 0; i < there.size(); ++i)
    there[i] = kept_.is_at(i % kPlaces, points[i / kPlaces], parts_.margin_count()) ? 1 : 0;
  grid_.sum_over_columns(there, ReduceOp::min);
  std::array<std::size_t, kCount> places;
  for (std::size_t p = 0; p < kCount; ++p) {
    const double* begin = there.data() + p * kPlaces;
    places[p] = static_cast<std::size_t>(std::find(begin, begin + kPlaces, 1.0) - begin);
    if (places[p] == kPlaces) return std::nullopt;
  }
  return places;
}

Work ColumnBlockObjective::value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                                              std::span<double> tallies) {
  const std::span<double> margins = kept_.put(w, parts_.margin_count());
  whole_margins(w, margins);
  return parts_.value_and_gradient_at(margins, value, gradient, tallies);
}

Work ColumnBlockObjective::curvature_product(std::span<const double> v, std::span<double> product) {
  of_v_.resize(parts_.margin_count());
  whole_margins(v, of_v_);
  return parts_.curvature_product_at(of_v_, product);
}

Work ColumnBlockObjective::hessian_product(std::span<const double> w, std::span<const double> v,
                                           std::span<double> product) {
  const auto places = agree_on_places<1>({w});
  std::span<const double> margins;
  if (places) {
    margins = kept_.in(places->front());
  } else {
    const std::span<double> found = kept_.put(w, parts_.margin_count());
    whole_margins(w, found);
    margins = found;
  }
  of_v_.resize(parts_.margin_count());
  whole_margins(v, of_v_);
  return parts_.hessian_product_at(margins, of_v_, product);
}

std::optional<Work> ColumnBlockObjective::begin_line(std::span<const double> a, std::span<const double> b) {
  const auto places = agree_on_places<2>({a, b});
  if (!places) return std::nullopt;
  line_ = *places;
  return Work{};
}

Work ColumnBlockObjective::look_along(std::span<const double> a, std::span<const double> b) {
  const std::size_t count = parts_.margin_count();
  const auto found = agree_on_places<1>({a});
  const std::size_t place = found ? found->front() : kept_.older();
  if (!found || kept_.worn(place)) whole_margins(a, kept_.put_in(place, a, count));
  line_ = {place, 1 - place};
  whole_margins(b, kept_.put_in(1 - place, b, count));
  return {};
}

Work ColumnBlockObjective::value_and_gradient_on_line(double t, std::span<const double> w, double& value,
                                                      std::span<double> gradient, std::span<double> tallies) {
  return parts_.value_and_gradient_at(kept_.move_along(line_[0], line_[1], t, w), value, gradient, tallies);
}

Work ColumnBlockObjective::value_on_line(double t, double& value, double& slope) {
  return parts_.value_on_line_at(kept_.in(line_[0]), kept_.in(line_[1]), t, value, slope);
}

}  // namespace muster
