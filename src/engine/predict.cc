// Prediction and evaluation: rows streamed through a model in blocks, so that memory does not grow with the files.
#include <fmt/format.h>

#include <iterator>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "data/load.h"
#include "model/margins.h"
#include "model/metrics.h"
#include "muster/muster.h"

namespace muster {

namespace {

// By column. LIBSVM features are named by their index, and zeros need not be listed.
std::vector<double> weights_of(const Model& model) {
  const Encoding& encoding = *model.encoding;
  std::vector<double> w(encoding.feature_count(), 0.0);
  std::size_t column = 0;
  for (const Coefficient& coefficient : model.coefficients) {
    if (encoding.format == Format::libsvm)
      column = std::stoul(coefficient.feature) - static_cast<std::size_t>(encoding.libsvm_base);
    MUSTER_CHECK(column < w.size(), "a coefficient of a feature of the model");
    w[column++] = coefficient.value;
  }
  return w;
}

// A CSV cell: quoted where it has to be (RFC 4180).
std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string cell = "\"";
  for (const char c : text) cell.append(c == '"' ? 2 : 1, c);
  return cell + "\"";
}

void append_predictions(const Model& model, std::span<const double> z, std::string& text) {
  const auto out = std::back_inserter(text);
  if (model.loss == Loss::squared) {
    for (const double prediction : z) fmt::format_to(out, "{}\n", prediction);
    return;
  }
  const std::string negative = csv_cell(model.encoding->negative_level);
  const std::string positive = csv_cell(model.encoding->positive_level);
  for (const double margin : z) fmt::format_to(out, "{},{}\n", margin > 0 ? positive : negative, probability(margin));
}

void send(std::ostream& out, std::string_view text) {
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (!out) throw InputError("cannot write the predictions: the output refused them");
}

template <class Accumulator>
Metrics accumulate(const Model& model, const StreamRequest& request) {
  const std::vector<double> w = weights_of(model);
  Accumulator accumulator;
  std::vector<double> z;
  stream(request, *model.encoding, [&](const Shard& block) {
    z.resize(block.rows());
    margins(w, model.intercept, block, z);
    accumulator.add({block.targets, z, block.weights});
  });
  return std::move(accumulator).result();
}

}  // namespace

std::int64_t predict(const Model& model, const PredictOptions& options, std::ostream& out) {
  MUSTER_CHECK(model.encoding != nullptr, "a model without an encoding can not predict");
  const std::vector<double> w = weights_of(model);
  std::int64_t rows = 0;
  std::vector<double> z;
  std::string text = model.loss == Loss::logistic ? "prediction,probability\n" : "prediction\n";
  stream({options.paths, options.format, false}, *model.encoding, [&](const Shard& block) {
    z.resize(block.rows());
    margins(w, model.intercept, block, z);
    append_predictions(model, z, text);
    send(out, text);
    text.clear();
    rows += static_cast<std::int64_t>(z.size());
  });
  send(out, text);  // the header, where there were no rows
  out.flush();
  if (!out) throw InputError("cannot write the predictions: the output refused them");
  return rows;
}

Metrics evaluate(const Model& model, const PredictOptions& options) {
  MUSTER_CHECK(model.encoding != nullptr, "a model without an encoding can not predict");
  const StreamRequest request{options.paths, options.format, true};
  const Metrics metrics = model.loss == Loss::logistic ? accumulate<ClassificationMetrics>(model, request)
                                                       : accumulate<RegressionMetrics>(model, request);
  if (metrics.rows == 0) throw InputError(fmt::format("{}: no rows to evaluate", fmt::join(options.paths, " ")));
  return metrics;
}

}  // namespace muster
