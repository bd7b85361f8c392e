#include "engine/make_model.h"

#include <algorithm>
#include <memory>
#include <span>

#include "model/encoding_json.h"

namespace muster {

Model make_model(const TrainOptions& options, const Dataset& data, const FitResult& fitted) {
  Model model;
  model.loss = options.problem.loss;
  model.has_intercept = options.problem.intercept;
  const bool classes = model.loss == Loss::softmax;
  if (classes) {
    model.classes = data.encoding.classes;
    model.intercepts = fitted.model.intercepts;
  } else {
    model.intercept = fitted.model.intercepts[0];
  }
  const std::size_t outputs = fitted.model.outputs();
  const auto values_of = [&](std::size_t j) { return std::span(fitted.model.w).subspan(j * outputs, outputs); };
  const auto listed = [&](std::size_t j) {
    const std::span<const double> values = values_of(j);
    return std::any_of(values.begin(), values.end(), [&](double w) { return lists_coefficient(data.encoding, w); });
  };
  const std::size_t columns = fitted.model.w.size() / outputs;
  std::size_t count = 0;
  for (std::size_t j = 0; j < columns; ++j) count += listed(j);
  model.coefficients.reserve(count);
  for (std::size_t j = 0; j < columns; ++j) {
    if (!listed(j)) continue;
    const std::span<const double> values = values_of(j);
    Coefficient& coefficient = model.coefficients.emplace_back(Coefficient{data.encoding.feature_name(j)});
    if (classes) {
      coefficient.values.assign(values.begin(), values.end());
    } else {
      coefficient.value = values[0];
    }
  }
  model.stop_reason = fitted.report.stop_reason;
  model.certificate = fitted.report.certificate;
  model.encoding = std::make_shared<const Encoding>(data.encoding);
  return model;
}

}  // namespace muster
