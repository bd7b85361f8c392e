#include "results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "summary_table.h"
#include "text_table.h"
#include "words.h"

namespace muster::cli {

namespace {

// More coefficients than this are for the model file; the first and the last are shown.
constexpr std::size_t kMostShown = 40;
constexpr std::size_t kShownOfMany = 10;

constexpr std::size_t kMostClassesShown = 8;

using Table = std::vector<std::vector<std::string>>;

std::string number(double value) {
  return fmt::format("{:.10g}", value);
}

// NaN is a measure that the data do not define.
std::string measure(double value) {
  return std::isnan(value) ? "undefined" : fmt::format("{:.6g}", value);
}

// A column for each class, the first ones of many.
std::string coefficients_by_class(const Model& model) {
  const std::size_t classes = std::min(model.classes.size(), kMostClassesShown), count = model.coefficients.size();
  Table table;
  const auto add = [&](const std::string& name, const std::vector<double>& values) {
    std::vector<std::string>& line = table.emplace_back(1, name);
    for (std::size_t k = 0; k < classes; ++k) line.push_back(fmt::format("{:.6g}", values[k]));
  };
  table.push_back({"feature"});
  table[0].insert(table[0].end(), model.classes.begin(), model.classes.begin() + static_cast<std::ptrdiff_t>(classes));
  if (model.has_intercept) add("(intercept)", model.intercepts);
  const bool all = count <= kMostShown;
  for (std::size_t j = 0; j < count; ++j) {
    if (!all && j == kShownOfMany) {
      j = count - kShownOfMany;
      table.push_back({fmt::format("... {} more, in the model file ...",
                                   grouped(static_cast<std::int64_t>(count - 2 * kShownOfMany)))});
    }
    add(model.coefficients[j].feature, model.coefficients[j].values);
  }
  std::string text = aligned(table);
  if (classes < model.classes.size())
    text += fmt::format("... and {} more classes, in the model file\n", model.classes.size() - classes);
  return text;
}

std::string coefficients(const Model& model) {
  if (model.loss == Loss::softmax) return coefficients_by_class(model);
  Table rows{{"feature", "coefficient"}};
  if (model.has_intercept) rows.push_back({"(intercept)", number(model.intercept)});
  const std::size_t count = model.coefficients.size();
  const bool all = count <= kMostShown;
  for (std::size_t j = 0; j < count; ++j) {
    if (!all && j == kShownOfMany) {
      j = count - kShownOfMany;
      rows.push_back({fmt::format("... {} more, in the model file ...",
                                  grouped(static_cast<std::int64_t>(count - 2 * kShownOfMany))),
                      ""});
    }
    rows.push_back({model.coefficients[j].feature, number(model.coefficients[j].value)});
  }
  return aligned(rows);
}

// What the chosen penalties lose on the rows of each label.
std::string folds(const TuningReport& tuning) {
  if (tuning.folds.empty()) return "";
  Table table{{"fold", "rows", "held-out loss"}};
  const std::size_t count = tuning.folds.size(), most = count > kMostShown ? 2 * kShownOfMany : count;
  for (std::size_t k = 0; k < most; ++k)
    table.push_back({tuning.folds[k].label, grouped(tuning.folds[k].rows),
                     fmt::format("{:.8g}", tuning.points[tuning.chosen].by_fold[k])});
  const std::string more = count > most ? fmt::format("... {} more, in --report ...\n", count - most) : "";
  return aligned(table) + more + '\n';
}

std::string tuning(const TuningReport& tuning) {
  Table table{{"l2", "l1", "held-out loss", "std. error", ""}};
  for (std::size_t i = 0; i < tuning.points.size(); ++i) {
    const TuningPoint& point = tuning.points[i];
    const std::string mark = i == tuning.chosen ? "chosen" : i == tuning.best ? "least" : "";
    table.push_back({fmt::format("{:.4g}", point.l2), fmt::format("{:.4g}", point.l1),
                     fmt::format("{:.8g}", point.loss), fmt::format("{:.2g}", point.standard_error), mark});
  }
  return aligned(table) + '\n' + folds(tuning);
}

std::string fit_on_training_rows(const Report& report) {
  if (report.progressive_loss)
    return fmt::format("progressive loss: {:.10g}, the mean over rows of what each lost before it was learned from\n",
                       *report.progressive_loss);
  const Certificate& certificate = report.certificate;
  std::vector<std::string> parts;
  if (certificate.training_rmse) parts.push_back(fmt::format("RMSE {:.6g}", *certificate.training_rmse));
  if (certificate.training_r2) parts.push_back(fmt::format("R² {:.6g}", *certificate.training_r2));
  parts.push_back(fmt::format("objective {:.10g}", certificate.objective));
  return fmt::format("on the training rows: {}\n", fmt::join(parts, ", "));
}

std::string bound(const Certificate& certificate) {
  if (!certificate.suboptimality_bound) {
    const std::string why = certificate.bound_source.empty() ? "" : " (" + certificate.bound_source + ")";
    return fmt::format("no bound on the distance to the best objective{}; ", why);
  }
  std::string text = fmt::format("within {:.2g} of the best possible objective", *certificate.suboptimality_bound);
  if (certificate.relative_target > 0 && *certificate.suboptimality_bound > 0) {
    text += fmt::format(", {:.2g} relative", *certificate.suboptimality_bound / certificate.relative_target);
  }
  if (!certificate.bound_source.empty()) text += fmt::format(" (by {})", certificate.bound_source);
  return text + "; ";
}

std::string rows(const Certificate& certificate) {
  if (certificate.rows_read == certificate.rows_in_files) {
    return fmt::format("all {} rows of the files read", grouped(certificate.rows_read));
  }
  return fmt::format("{} rows read of {} in the files", grouped(certificate.rows_read),
                     grouped(certificate.rows_in_files));
}

std::string certificate_in_words(const TrainResult& result) {
  const Certificate& certificate = result.report.certificate;
  if (result.report.progressive_loss)
    return fmt::format("certificate: none ({}); {}\n", certificate.bound_source, rows(certificate));
  std::string text = fmt::format("certificate: {}gradient norm {:.2g}", bound(certificate), certificate.gradient_norm);
  if (certificate.digits) text += fmt::format("; about {:.0f} correct digits", std::floor(*certificate.digits));
  text += fmt::format("\n             {}", rows(certificate));
  if (certificate.same_model_on_all_ranks) {
    text += result.report.workers.size() > 1 ? "; every worker holds the same model" : "";
  } else {
    text += fmt::format("; the workers' models differ by up to {:.2g}", certificate.consensus_distance);
  }
  if (!certificate.computed_from.empty()) text += fmt::format("; computed from the {}", certificate.computed_from);
  return text + '\n';
}

// Who held what, what workers at their own pace did, and who was lost.
std::string pace_in_words(const Report& report) {
  std::string text;
  if (!report.split.empty() && report.split != "rows") {
    const std::string why = report.split_reason.empty() ? "" : " (" + report.split_reason + ")";
    text += fmt::format("split: {}{}\n", report.split, why);
  }
  if (report.staleness) {
    text += fmt::format("staleness: {:.3g} updates on average, {} at most, of {}\n", report.staleness->mean,
                        grouped(report.staleness->largest), grouped(report.staleness->updates));
  }
  if (report.network) {
    const auto& distances = report.network->consensus_distance;
    const double farthest = distances.empty() ? 0 : *std::max_element(distances.begin(), distances.end());
    text += fmt::format("network: {} ({} weights), |lambda2| {:.6g}; nodes within {:.2g} of their mean\n",
                        report.network->topology, report.network->weights, report.network->lambda2_modulus, farthest);
  }
  return text;
}

// What each part of a network that was cut has come to.
std::string parts(const Report& report) {
  if (report.parts.empty()) return "";
  Table table{{"part of nodes", "rows", "rounds", "objective", "gradient norm", "stopped", "model"}};
  for (const PartReport& part : report.parts)
    table.push_back({ranges(part.nodes), grouped(part.rows), grouped(part.rounds), number(part.objective),
                     fmt::format("{:.2g}", part.gradient_norm), std::string(name(part.stop_reason)), part.file});
  return "losses have cut the network; each part went on by itself, and the model above is of the first:\n" +
         aligned(table);
}

std::string ranks_in_words(const Report& report) {
  std::int64_t servers = 0;
  for (const WorkerReport& worker : report.workers) servers += worker.role == "server" ? 1 : 0;
  const auto workers = static_cast<std::int64_t>(report.workers.size()) - servers;
  std::string text = fmt::format("{} worker{}", grouped(workers), workers == 1 ? "" : "s");
  if (servers > 0) text += fmt::format(" and {} server{}", grouped(servers), servers == 1 ? "" : "s");
  if (!report.lost.empty()) text += fmt::format(", {} of them lost", report.lost.size());
  return text;
}

std::string_view in_words(StopReason reason) {
  switch (reason) {
    case StopReason::converged:
      return "converged";
    case StopReason::max_rounds:
      return "not converged: --max-rounds or --max-epochs reached";
    case StopReason::max_time:
      return "not converged: --max-time reached";
    case StopReason::diverged:
      return "not converged: diverged, and the last finite model is kept";
    case StopReason::interrupted:
      return "not converged: interrupted";
    case StopReason::stalled:
      return "not converged: stalled";
  }
  return "";
}

// Recall: of the rows of a class, those predicted as it; precision: of the rows predicted as it, those of it.
std::string describe_classes(const Metrics& metrics) {
  const std::string text = aligned(Table{{"rows", grouped(metrics.rows)},
                                         {"log-loss", measure(metrics.log_loss)},
                                         {"accuracy", measure(metrics.accuracy)}});
  Table table{{"class", "rows", "recall", "precision", "most often taken for"}};
  const std::size_t classes = metrics.classes.size();
  for (std::size_t k = 0; k < std::min(classes, kMostShown); ++k) {
    const std::vector<std::int64_t>& row = metrics.confusion[k];
    std::int64_t rows = 0, predicted = 0;
    std::size_t other = k;
    for (std::size_t l = 0; l < classes; ++l) {
      rows += row[l];
      predicted += metrics.confusion[l][k];
      if (l != k && row[l] > 0 && (other == k || row[l] > row[other])) other = l;
    }
    const auto share = [&](std::int64_t of) { return static_cast<double>(row[k]) / static_cast<double>(of); };
    table.push_back({metrics.classes[k], grouped(rows), measure(share(rows)), measure(share(predicted)),
                     other == k ? "" : fmt::format("{} ({})", metrics.classes[other], grouped(row[other]))});
  }
  if (classes > kMostShown) table.push_back({fmt::format("... {} more, with --json ...", classes - kMostShown)});
  return text + '\n' + aligned(table);
}

}  // namespace

std::string describe_stop(const Report& report) {
  std::string text(in_words(report.stop_reason));
  if (!report.stop_detail.empty()) text += fmt::format(" ({})", report.stop_detail);
  return text + fmt::format(": {} round{}, {} of reading and {} of training, {}", grouped(report.rounds_done),
                            report.rounds_done == 1 ? "" : "s", duration(report.load_seconds),
                            duration(report.train_seconds), ranks_in_words(report));
}

std::string describe(const TrainResult& result) {
  const std::optional<Summary>& summary = result.report.summary;
  const std::string before = result.report.tuning ? tuning(*result.report.tuning) : "";
  return before + (summary ? describe(*summary) : coefficients(result.model)) + '\n' +
         fit_on_training_rows(result.report) + describe_stop(result.report) + '\n' + pace_in_words(result.report) +
         certificate_in_words(result) + parts(result.report);
}

std::string describe(const Metrics& metrics, Loss loss) {
  if (loss == Loss::softmax) return describe_classes(metrics);
  Table table{{"rows", grouped(metrics.rows)}};
  if (loss == Loss::squared) {
    table.insert(table.end(),
                 {{"RMSE", measure(metrics.rmse)}, {"MAE", measure(metrics.mae)}, {"R²", measure(metrics.r2)}});
  } else {
    table.insert(table.end(), {{"log-loss", measure(metrics.log_loss)},
                               {"accuracy", measure(metrics.accuracy)},
                               {"AUC", measure(metrics.auc)},
                               {"true positives", grouped(metrics.true_positive)},
                               {"false positives", grouped(metrics.false_positive)},
                               {"true negatives", grouped(metrics.true_negative)},
                               {"false negatives", grouped(metrics.false_negative)}});
  }
  return aligned(table);
}

}  // namespace muster::cli
