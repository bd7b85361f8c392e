#include "engine/fit.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/fit_certificate.h"
#include "engine/fit_choice.h"
#include "engine/fit_context.h"
#include "engine/fit_exact.h"
#include "engine/fit_iterative.h"
#include "engine/fit_report.h"
#include "engine/fit_scaling.h"
#include "engine/fit_session.h"
#include "muster/error.h"

namespace muster {
namespace {

void note_columns(const FitContext& context, Trained& trained) {
  if (context.problem().l1 > 0) {
    const auto zeros = std::count(trained.model.w.begin(), trained.model.w.end(), 0.0);
    trained.notes.push_back(fmt::format("{} of {} coefficients are not zero",
                                        static_cast<std::ptrdiff_t>(trained.model.w.size()) - zeros,
                                        trained.model.w.size()));
  }
  std::vector<std::string> constant;
  for (std::size_t j = 0; j < context.columns(); ++j)
    if (context.agreed.scaling.scale[j] == 0) constant.push_back(fmt::format("'{}'", context.name_of(j)));
  const std::string_view what = context.problem().intercept ? "constant" : "0 in every row";
  if (constant.size() == 1) {
    trained.notes.push_back(fmt::format("column {} is {}: its coefficient is 0", constant[0], what));
  } else if (!constant.empty()) {
    trained.notes.push_back(
        fmt::format("columns {} are {}: their coefficients are 0", fmt::join(constant, ", "), what));
  }
  const auto rows = static_cast<std::size_t>(context.agreed.rows);
  if (context.problem().l2 == 0 && context.columns() + (context.problem().intercept ? 1 : 0) > rows)
    trained.notes.push_back(fmt::format(
        "{} columns and {} row{}: many models fit equally well, and this is the one of least norm in scaled columns",
        context.columns(), rows, rows == 1 ? "" : "s"));
}

Report account_for(FitContext& context, Trained trained, std::string solver_reason, Certificate certificate) {
  const RunAccount account{context.request.options.run, context.whole,           context.endpoint(), context.topology,
                           context.rows.rows(),         context.compute_seconds, context.start};
  Report report = make_report(account, std::move(trained), std::move(solver_reason), std::move(certificate));
  report.instruction_set = name(context.request.instruction_set);
  return report;
}

FitResult finish_exact(FitContext& context, std::string reason) {
  ExactFit exact = fit_exact(context);
  note_columns(context, exact.trained);
  Certificate certificate = context.request.options.verify ? certify_from_rows(context, exact.trained, &exact)
                                                           : certify_from_statistics(context, exact);
  if (context.request.on_round) {
    const double allowed = context.request.options.stop.tolerance * certificate.relative_target;
    context.request.on_round(exact.trained.history.back(),
                             allowed > 0 ? *certificate.suboptimality_bound / allowed : 0);
  }
  LinearModel model = exact.trained.model;
  return {std::move(model), context.speaker(),
          account_for(context, std::move(exact.trained), std::move(reason), std::move(certificate))};
}

FitResult finish_iterative(FitContext& context, Choice choice) {
  const bool rounds_of_all = context.request.options.run.mode == Mode::mapreduce;
  Trained trained = rounds_of_all ? fit_iterative(context, choice.solver) : fit_session(context, choice.solver);
  trained.dependent_columns = find_dependent_columns(context);
  note_columns(context, trained);
  Certificate certificate = certify_from_rows(context, trained, nullptr);
  LinearModel model = trained.model;
  return {std::move(model), context.speaker(),
          account_for(context, std::move(trained), std::move(choice.reason), std::move(certificate))};
}

}  // namespace

FitResult fit(const FitRequest& request, Endpoint& endpoint, Executor& executor) {
  HeldRows held(request.data.shard);
  LinearRows rows(request.rows ? *request.rows : held, executor, request.instruction_set);
  MUSTER_CHECK(request.data.encoding.features.size() == rows.columns(), "a name for every column");
  FitContext context{request, endpoint, rows, {}, endpoint.now(), 0, request.topology};
  if (context.stop_requested()) throw Cancelled("stopped before there was a model to save");
  agree_on_scaling(context);
  Choice choice = choose_solver(context);
  return choice.solver == SolverChoice::exact ? finish_exact(context, std::move(choice.reason))
                                              : finish_iterative(context, std::move(choice));
}

}  // namespace muster
