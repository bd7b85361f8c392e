#include "summary_table.h"

#include <fmt/format.h>

#include "text_table.h"
#include "words.h"

namespace muster::cli {
namespace {

// More coefficients than this are for the report; the first are shown.
constexpr std::size_t kMostShown = 60;

std::string probability_in_words(double p) {
  return p < 1e-300 ? "0" : fmt::format("{:.3g}", p);
}

std::string coefficients(const Summary& summary) {
  const std::string letter = summary.distribution;
  std::vector<std::vector<std::string>> table{{"feature", "coefficient", "std. error", letter + " value",
                                               fmt::format("P(>|{}|)", letter),
                                               fmt::format("{:.0f}% from", 100 * summary.confidence), "to"}};
  for (const CoefficientSummary& one : summary.coefficients) {
    if (table.size() > kMostShown) break;
    table.push_back({one.feature, fmt::format("{:.10g}", one.estimate), fmt::format("{:.6g}", one.standard_error),
                     fmt::format("{:.4f}", one.statistic), probability_in_words(one.p_value),
                     fmt::format("{:.6g}", one.lower), fmt::format("{:.6g}", one.upper)});
  }
  std::string text = aligned(table);
  if (summary.coefficients.size() > kMostShown)
    text += fmt::format("... {} more, in the report (--report) ...\n",
                        grouped(static_cast<std::int64_t>(summary.coefficients.size() - kMostShown)));
  return text;
}

std::string residuals(const Summary& summary) {
  std::vector<std::string> numbers{summary.distribution == "t" ? "residuals" : "deviance residuals"};
  for (const double value : summary.residual_quantiles) numbers.push_back(fmt::format("{:.5g}", value));
  return aligned({{"", "min", "1st quartile", "median", "3rd quartile", "max"}, numbers});
}

std::string whole_fit(const Summary& summary) {
  if (summary.distribution == "z")
    return fmt::format("null deviance {:.8g} on {} degrees of freedom, residual deviance {:.8g} on {}; AIC {:.8g}\n",
                       summary.null_deviance, grouped(summary.null_degrees_of_freedom), summary.residual_deviance,
                       grouped(summary.degrees_of_freedom), summary.aic);
  std::string text =
      fmt::format("residual standard error {:.6g} on {} degrees of freedom; R² {:.6g}, adjusted {:.6g}; AIC {:.8g}\n",
                  summary.residual_standard_error, grouped(summary.degrees_of_freedom), summary.r2, summary.adjusted_r2,
                  summary.aic);
  if (summary.f_statistic)
    text += fmt::format("F {:.6g} on {} and {} degrees of freedom, p {}\n", *summary.f_statistic,
                        grouped(summary.f_degrees_of_freedom), grouped(summary.degrees_of_freedom),
                        probability_in_words(*summary.f_p_value));
  return text;
}

}  // namespace

std::string describe(const Summary& summary) {
  return residuals(summary) + '\n' + coefficients(summary) + '\n' + whole_fit(summary);
}

}  // namespace muster::cli
