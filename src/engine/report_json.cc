// report.json and metrics as JSON text, under the names of the report's own fields.
#include <nlohmann/json.hpp>

#include "model/certificate_json.h"
#include "muster/muster.h"

namespace muster {

namespace {

using Json = nlohmann::ordered_json;

Json to_json(const std::vector<WorkerReport>& workers) {
  Json list = Json::array();
  for (std::size_t rank = 0; rank < workers.size(); ++rank) {
    const WorkerReport& worker = workers[rank];
    list.push_back({{"rank", rank},
                    {"host", worker.host},
                    {"role", worker.role},
                    {"rows", worker.rows},
                    {"columns", worker.columns},
                    {"compute_seconds", worker.compute_seconds},
                    {"wait_seconds", worker.wait_seconds},
                    {"communicate_seconds", worker.communicate_seconds},
                    {"bytes_sent", worker.bytes_sent},
                    {"messages_sent", worker.messages_sent},
                    {"bytes_per_round", worker.bytes_per_round},
                    {"messages_per_round", worker.messages_per_round},
                    {"updates", worker.updates},
                    {"waited_for_seconds", worker.waited_for_seconds}});
  }
  return list;
}

Json to_json(const std::vector<RoundReport>& rounds) {
  Json list = Json::array();
  for (const RoundReport& round : rounds) {
    list.push_back({{"round", round.round},
                    {"seconds", round.seconds},
                    {"objective", round.objective},
                    {"gradient_norm", round.gradient_norm}});
    if (round.staleness) list.back()["staleness"] = *round.staleness;
    if (round.consensus_distance) list.back()["consensus_distance"] = *round.consensus_distance;
  }
  return list;
}

Json to_json(const StalenessReport& staleness) {
  return {{"mean", staleness.mean},
          {"largest", staleness.largest},
          {"largest_clock_gap", staleness.largest_clock_gap},
          {"updates", staleness.updates},
          {"histogram", staleness.histogram}};
}

Json to_json(const NetworkReport& network) {
  return {{"topology", network.topology},
          {"weights", network.weights},
          {"lambda2_modulus", network.lambda2_modulus},
          {"spectral_gap", network.spectral_gap},
          {"consensus_distance", network.consensus_distance}};
}

Json to_json(const std::vector<LostRank>& lost) {
  Json list = Json::array();
  for (const LostRank& one : lost)
    list.push_back({{"rank", one.rank}, {"sentence", one.sentence}, {"rows_taken_over_by", one.rows_taken_over_by}});
  return list;
}

Json to_json(const std::vector<PartReport>& parts) {
  Json list = Json::array();
  for (const PartReport& part : parts)
    list.push_back({{"nodes", part.nodes},
                    {"rows", part.rows},
                    {"rounds", part.rounds},
                    {"objective", part.objective},
                    {"gradient_norm", part.gradient_norm},
                    {"stop_reason", name(part.stop_reason)},
                    {"stop_detail", part.stop_detail},
                    {"file", part.file}});
  return list;
}

// A number that there is none of, such as F without columns, is null.
Json to_json(const Summary& summary) {
  Json json;
  json["distribution"] = summary.distribution;
  json["confidence"] = summary.confidence;
  json["rows"] = summary.rows;
  json["degrees_of_freedom"] = summary.degrees_of_freedom;
  json["coefficients"] = Json::array();
  for (const CoefficientSummary& one : summary.coefficients)
    json["coefficients"].push_back({{"feature", one.feature},
                                    {"estimate", one.estimate},
                                    {"standard_error", one.standard_error},
                                    {"statistic", one.statistic},
                                    {"p_value", one.p_value},
                                    {"lower", one.lower},
                                    {"upper", one.upper}});
  json["residual_quantiles"] = summary.residual_quantiles;
  json["log_likelihood"] = summary.log_likelihood;
  json["aic"] = summary.aic;
  if (summary.distribution == "t") {
    json["residual_standard_error"] = summary.residual_standard_error;
    json["r2"] = summary.r2;
    json["adjusted_r2"] = summary.adjusted_r2;
    json["f_statistic"] = summary.f_statistic ? Json(*summary.f_statistic) : Json();
    json["f_degrees_of_freedom"] = summary.f_degrees_of_freedom;
    json["f_p_value"] = summary.f_p_value ? Json(*summary.f_p_value) : Json();
  } else {
    json["null_deviance"] = summary.null_deviance;
    json["null_degrees_of_freedom"] = summary.null_degrees_of_freedom;
    json["residual_deviance"] = summary.residual_deviance;
  }
  return json;
}

Json to_json(const TuningReport& tuning) {
  Json points = Json::array();
  for (const TuningPoint& point : tuning.points)
    points.push_back({{"l2", point.l2},
                      {"l1", point.l1},
                      {"loss", point.loss},
                      {"standard_error", point.standard_error},
                      {"by_fold", point.by_fold}});
  Json folds = Json::array();
  for (const TuningFold& fold : tuning.folds) folds.push_back({{"label", fold.label}, {"rows", fold.rows}});
  return {{"points", std::move(points)},
          {"folds", std::move(folds)},
          {"best", tuning.best},
          {"chosen", tuning.chosen},
          {"unconverged", tuning.unconverged}};
}

// Names and levels come from files in any encoding; a report is not refused for one of them.
std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string to_json(const Report& report) {
  Json json;
  json["stop_reason"] = name(report.stop_reason);
  json["stop_detail"] = report.stop_detail;
  json["mode"] = report.mode;
  json["transport"] = report.transport;
  json["synchronisation"] = report.synchronisation;
  json["compression"] = report.compression;
  if (!report.split.empty()) {
    json["split"] = report.split;
    json["split_reason"] = report.split_reason;
  }
  if (!report.reduce.empty()) json["reduce"] = report.reduce;
  json["solver"] = report.solver;
  json["solver_reason"] = report.solver_reason;
  if (!report.warm_start.empty()) json["warm_start"] = report.warm_start;
  json["instruction_set"] = report.instruction_set;
  json["reproducible"] = report.reproducible;
  json["rounds_done"] = report.rounds_done;
  if (report.passes > 0) json["passes"] = report.passes;
  if (report.progressive_loss) json["progressive_loss"] = *report.progressive_loss;
  json["load_seconds"] = report.load_seconds;
  json["train_seconds"] = report.train_seconds;
  json["workers"] = to_json(report.workers);
  if (report.staleness) json["staleness"] = to_json(*report.staleness);
  if (report.network) json["network"] = to_json(*report.network);
  if (!report.lost.empty()) json["lost"] = to_json(report.lost);
  if (!report.parts.empty()) json["parts"] = to_json(report.parts);
  json["rounds"] = to_json(report.rounds);
  json["dependent_columns"] = report.dependent_columns;
  json["notes"] = report.notes;
  if (report.tuning) json["tuning"] = to_json(*report.tuning);
  if (report.summary) json["summary"] = to_json(*report.summary);
  json["certificate"] = certificate_to_json(report.certificate);
  json["muster"] = version();
  return text_of(json);
}

std::string to_json(const Metrics& metrics, Loss loss) {
  Json json;  // a measure that the data do not define is NaN, which becomes null
  json["rows"] = metrics.rows;
  if (loss == Loss::squared) {
    json["rmse"] = metrics.rmse;
    json["mae"] = metrics.mae;
    json["r2"] = metrics.r2;
  } else if (loss == Loss::softmax) {
    json["log_loss"] = metrics.log_loss;
    json["accuracy"] = metrics.accuracy;
    json["classes"] = metrics.classes;
    json["confusion"] = metrics.confusion;  // [class][predicted]
  } else {
    json["log_loss"] = metrics.log_loss;
    json["accuracy"] = metrics.accuracy;
    json["auc"] = metrics.auc;
    json["true_positive"] = metrics.true_positive;
    json["false_positive"] = metrics.false_positive;
    json["true_negative"] = metrics.true_negative;
    json["false_negative"] = metrics.false_negative;
  }
  return text_of(json);
}

const char* version() {
  return MUSTER_VERSION;
}

}  // namespace muster
