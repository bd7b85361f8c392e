// Prediction and evaluation: rows streamed through a model in blocks, so that memory does not grow with the files.
#include <fmt/format.h>

#include <iterator>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "data/load.h"
#include "model/class_metrics.h"
#include "model/margins.h"
#include "model/metrics.h"
#include "muster/muster.h"

namespace muster {

namespace {

// Of one output, by column. LIBSVM features are named by their index, and zeros need not be listed.
std::vector<double> weights_of(const Model& model, std::size_t output) {
  const Encoding& encoding = *model.encoding;
  std::vector<double> w(encoding.feature_count(), 0.0);
  std::size_t column = 0;
  for (const Coefficient& coefficient : model.coefficients) {
    if (encoding.format == Format::libsvm)
      column = std::stoul(coefficient.feature) - static_cast<std::size_t>(encoding.libsvm_base);
    MUSTER_CHECK(column < w.size(), "a coefficient of a feature of the model");
    w[column++] = model.loss == Loss::softmax ? coefficient.values[output] : coefficient.value;
  }
  return w;
}

// A model's margins of blocks of rows: one a row, or for softmax one a row and class.
class Scorer {
 public:
  explicit Scorer(const Model& model)
      : outputs_(model.loss == Loss::softmax ? model.classes.size() : 1),
        intercepts_(model.loss == Loss::softmax ? model.intercepts : std::vector<double>{model.intercept}) {
    for (std::size_t k = 0; k < outputs_; ++k) w_.push_back(weights_of(model, k));
  }

  // Of every row, those of a row side by side; until the next call.
  std::span<const double> score(const Shard& block) {
    const std::size_t rows = block.rows();
    z_.resize(rows * outputs_);
    of_one_.resize(rows);
    for (std::size_t k = 0; k < outputs_; ++k) {
      margins(w_[k], intercepts_[k], block, of_one_);
      for (std::size_t i = 0; i < rows; ++i) z_[i * outputs_ + k] = of_one_[i];
    }
    return z_;
  }

 private:
  std::size_t outputs_;
  std::vector<double> intercepts_;
  std::vector<std::vector<double>> w_;  // by output
  std::vector<double> z_, of_one_;
};

// A CSV cell: quoted where it has to be (RFC 4180).
std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string cell = "\"";
  for (const char c : text) cell.append(c == '"' ? 2 : 1, c);
  return cell + "\"";
}

std::string header(const Model& model) {
  if (model.loss == Loss::squared) return "prediction\n";
  if (model.loss == Loss::logistic) return "prediction,probability\n";
  std::string text = "prediction";
  for (const std::string& level : model.classes) text += "," + csv_cell("probability_" + level);
  return text + "\n";
}

void append_classes(const Model& model, std::span<const double> z, std::string& text) {
  const std::size_t classes = model.classes.size();
  std::vector<double> probabilities(classes);
  for (; !z.empty(); z = z.subspan(classes)) {
    const std::span<const double> row = z.first(classes);
    class_probabilities(row, probabilities);
    text += csv_cell(model.classes[predicted_class(row)]);
    for (const double p : probabilities) fmt::format_to(std::back_inserter(text), ",{}", p);
    text += '\n';
  }
}

void append_predictions(const Model& model, std::span<const double> z, std::string& text) {
  const auto out = std::back_inserter(text);
  if (model.loss == Loss::softmax) return append_classes(model, z, text);
  if (model.loss == Loss::squared) {
    for (const double prediction : z) fmt::format_to(out, "{}\n", prediction);
    return;
  }
  const std::string negative = csv_cell(model.encoding->classes[0]);
  const std::string positive = csv_cell(model.encoding->classes[1]);
  for (const double margin : z) fmt::format_to(out, "{},{}\n", margin > 0 ? positive : negative, probability(margin));
}

void send(std::ostream& out, std::string_view text) {
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (!out) throw InputError("cannot write the predictions: the output refused them");
}

template <class Accumulator>
Metrics accumulate(const Model& model, const StreamRequest& request) {
  Scorer scorer(model);
  Accumulator accumulator;
  stream(request, *model.encoding, [&](const Shard& block) {
    accumulator.add({block.targets, scorer.score(block), block.weights});
  });
  return std::move(accumulator).result();
}

Metrics accumulate_classes(const Model& model, const StreamRequest& request) {
  Scorer scorer(model);
  SoftmaxMetrics metrics(model.classes);
  const std::size_t classes = model.classes.size();
  stream(request, *model.encoding, [&](const Shard& block) {
    const std::span<const double> z = scorer.score(block);
    for (std::size_t i = 0; i < block.rows(); ++i)
      metrics.add(static_cast<std::size_t>(block.targets[i]), z.subspan(i * classes, classes),
                  block.weights.empty() ? 1 : block.weights[i]);
  });
  return std::move(metrics).result();
}

Metrics measure(const Model& model, const StreamRequest& request) {
  switch (model.loss) {
    case Loss::logistic:
      return accumulate<ClassificationMetrics>(model, request);
    case Loss::softmax:
      return accumulate_classes(model, request);
    case Loss::squared:
      break;
  }
  return accumulate<RegressionMetrics>(model, request);
}

}  // namespace

std::int64_t predict(const Model& model, const PredictOptions& options, std::ostream& out) {
  MUSTER_CHECK(model.encoding != nullptr, "a model without an encoding can not predict");
  Scorer scorer(model);
  std::int64_t rows = 0;
  std::string text = header(model);
  stream({options.paths, options.format, false}, *model.encoding, [&](const Shard& block) {
    append_predictions(model, scorer.score(block), text);
    send(out, text);
    text.clear();
    rows += static_cast<std::int64_t>(block.rows());
  });
  send(out, text);  // the header, where there were no rows
  out.flush();
  if (!out) throw InputError("cannot write the predictions: the output refused them");
  return rows;
}

Metrics evaluate(const Model& model, const PredictOptions& options) {
  MUSTER_CHECK(model.encoding != nullptr, "a model without an encoding can not predict");
  const StreamRequest request{options.paths, options.format, true};
  Metrics metrics = measure(model, request);
  if (metrics.rows == 0) throw InputError(fmt::format("{}: no rows to evaluate", fmt::join(options.paths, " ")));
  return metrics;
}

}  // namespace muster
