#include "model/certificate_json.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"

namespace muster {

namespace {

constexpr std::array<std::pair<StopReason, std::string_view>, 6> kStopReasons{{
    {StopReason::converged, "converged"},
    {StopReason::max_rounds, "max_rounds"},
    {StopReason::max_time, "max_time"},
    {StopReason::diverged, "diverged"},
    {StopReason::interrupted, "interrupted"},
    {StopReason::stalled, "stalled"},
}};

nlohmann::ordered_json number_or_null(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::string_view name(StopReason reason) {
  for (const auto& [known, text] : kStopReasons) {
    if (known == reason) return text;
  }
  MUSTER_CHECK(false, "a stop reason without a name");
}

std::optional<StopReason> stop_reason_from_name(std::string_view text) {
  for (const auto& [reason, known] : kStopReasons) {
    if (known == text) return reason;
  }
  return std::nullopt;
}

nlohmann::ordered_json certificate_to_json(const Certificate& certificate) {
  return {
      {"objective", certificate.objective},
      {"gradient_norm", certificate.gradient_norm},
      {"suboptimality_bound", number_or_null(certificate.suboptimality_bound)},
      {"bound_source", certificate.bound_source},
      {"relative_target", certificate.relative_target},
      {"rows_read", certificate.rows_read},
      {"rows_in_files", certificate.rows_in_files},
      {"same_model_on_all_ranks", certificate.same_model_on_all_ranks},
      {"consensus_distance", certificate.consensus_distance},
      {"digits", number_or_null(certificate.digits)},
      {"computed_from", certificate.computed_from},
      {"training_rmse", number_or_null(certificate.training_rmse)},
      {"training_r2", number_or_null(certificate.training_r2)},
  };
}

Certificate certificate_from_json(const JsonObject& json) {
  Certificate certificate;
  certificate.objective = json.number_or_nan("objective");
  certificate.gradient_norm = json.number_or_nan("gradient_norm");
  certificate.suboptimality_bound = json.optional_number("suboptimality_bound");
  certificate.bound_source = json.text("bound_source");
  certificate.relative_target = json.number_or_nan("relative_target");
  certificate.rows_read = json.integer("rows_read");
  certificate.rows_in_files = json.integer("rows_in_files");
  certificate.same_model_on_all_ranks = json.boolean("same_model_on_all_ranks");
  certificate.consensus_distance = json.number_or_nan("consensus_distance");
  certificate.digits = json.optional_number("digits");
  certificate.computed_from = json.text("computed_from");
  certificate.training_rmse = json.optional_number("training_rmse");
  certificate.training_r2 = json.optional_number("training_r2");
  return certificate;
}

}  // namespace muster
