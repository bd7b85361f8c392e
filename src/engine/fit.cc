#include "engine/fit.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/check_options.h"
#include "engine/fit_by_rows.h"
#include "engine/fit_certificate.h"
#include "engine/fit_choice.h"
#include "engine/fit_context.h"
#include "engine/fit_exact.h"
#include "engine/fit_iterative.h"
#include "engine/fit_report.h"
#include "engine/fit_scaling.h"
#include "engine/fit_session.h"
#include "engine/fit_summary.h"
#include "muster/error.h"

namespace muster {
namespace {

// So many columns are named; more are counted.
constexpr std::size_t kMostNamed = 10;

void note_constant_columns(FitContext& context, Trained& trained) {
  // By column block: how many, and the first of them, from 1.
  const std::size_t blocks = context.columns_are_cut() ? context.grid().over_columns->members().size() : 1;
  const std::size_t block =
      context.columns_are_cut() ? static_cast<std::size_t>(context.grid().over_columns->rank()) : 0;
  std::vector<double> found(blocks * (1 + kMostNamed), 0.0);
  double* mine = found.data() + block * (1 + kMostNamed);
  for (std::size_t j = 0; j < context.columns(); ++j) {
    if (context.agreed.scaling.scale[j] != 0) continue;
    if (mine[0] < kMostNamed)
      mine[static_cast<std::size_t>(mine[0]) + 1] = static_cast<double>(context.first_column() + j + 1);
    ++mine[0];
  }
  context.sum_over_columns(found);
  std::size_t count = 0;
  std::vector<std::string> named;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i % (1 + kMostNamed) == 0) {
      count += static_cast<std::size_t>(found[i]);
    } else if (found[i] > 0 && named.size() < kMostNamed) {
      named.push_back(fmt::format("'{}'", context.name_of(static_cast<std::size_t>(found[i]) - 1)));
    }
  }
  const std::string_view what = context.problem().intercept ? "constant" : "0 in every row";
  if (count == 1) {
    trained.notes.push_back(fmt::format("column {} is {}: its coefficient is 0", named[0], what));
  } else if (count > 1) {
    const std::string more = count > named.size() ? fmt::format(" and {} more", count - named.size()) : "";
    trained.notes.push_back(
        fmt::format("columns {}{} are {}: their coefficients are 0", fmt::join(named, ", "), more, what));
  }
}

// Which model it is where many fit equally well: rules step within the span of the rows.
std::string_view which_of_many(const FitContext& context, const Trained& trained) {
  const TrainOptions& options = context.request.options;
  const bool steps = trained.solver != name(SolverChoice::exact);
  // Of hogwild on sparse rows they leave it.
  if (options.run.solver == SolverChoice::hogwild && context.agreed.sparse) return "one of them; --l2 makes the choice";
  return steps && !options.warm_start.empty() ? "the one nearest to the start in scaled columns"
                                              : "the one of least norm in scaled columns";
}

void note_columns(FitContext& context, Trained& trained) {
  if (context.problem().l1 > 0) {
    const auto zeros = std::count(trained.model.w.begin(), trained.model.w.end(), 0.0);
    double counts[] = {static_cast<double>(static_cast<std::ptrdiff_t>(trained.model.w.size()) - zeros),
                       static_cast<double>(trained.model.w.size())};
    context.sum_over_columns(counts);
    trained.notes.push_back(fmt::format("{} of {} coefficients are not zero", counts[0], counts[1]));
  }
  note_constant_columns(context, trained);
  const auto rows = static_cast<std::size_t>(context.agreed.rows);
  if (context.problem().l2 == 0 && context.all_columns() + (context.problem().intercept ? 1 : 0) > rows)
    trained.notes.push_back(fmt::format("{} columns and {} row{}: many models fit equally well, and this is {}",
                                        context.all_columns(), rows, rows == 1 ? "" : "s",
                                        which_of_many(context, trained)));
}

// model: whole.
FitResult account_for(FitContext& context, LinearModel model, Trained trained, std::string solver_reason,
                      Certificate certificate) {
  std::optional<Summary> summary;
  if (context.request.options.summary) summary = summarise(context, model, trained.baseline, trained.notes);
  const RunAccount account{context.request.options.run, context.whole,     context.endpoint(),      context.topology,
                           context.rows.rows(),         context.columns(), context.compute_seconds, context.start};
  const bool leads = trained.leads;
  Report report = make_report(account, std::move(trained), std::move(solver_reason), std::move(certificate));
  const RunOptions& run = context.request.options.run;
  if (run.mode == Mode::mapreduce) {
    report.split = context.division() ? name(context.division()->choice().shape) : "rows";
    if (context.division()) report.split_reason = context.division()->choice().reason;
  }
  report.instruction_set = name(context.request.instruction_set);
  report.summary = std::move(summary);
  return {std::move(model), context.speaker(), leads, std::move(report)};
}

FitResult finish_exact(FitContext& context) {
  std::optional<FitByRows> by_rows;
  if (context.columns_are_cut()) by_rows.emplace(context);
  FitContext& whole = by_rows ? by_rows->context() : context;
  ExactFit exact = fit_exact(whole);
  note_columns(whole, exact.trained);
  Certificate certificate =
      context.request.options.verify ? certify_from_rows(whole, exact) : certify_from_statistics(whole, exact);
  by_rows.reset();
  if (context.request.on_round) {
    const double allowed = context.request.options.stop.tolerance * certificate.relative_target;
    context.request.on_round(exact.trained.history.back(),
                             allowed > 0 ? *certificate.suboptimality_bound / allowed : 0);
  }
  LinearModel model = exact.trained.model;
  std::string reason = choose_solver(context).reason;  // now that the rows are known
  return account_for(context, std::move(model), std::move(exact.trained), std::move(reason), std::move(certificate));
}

// Without a penalty solvers stop by gradients, which are small where f is flat. Where the certificate has a bound, it
// has the last word.
void take_back_convergence(const FitContext& context, const Certificate& certificate, Trained& trained) {
  if (trained.reason != StopReason::converged || context.problem().l2 > 0 || context.problem().l1 > 0) return;
  const double allowed = context.request.options.stop.tolerance * certificate.relative_target;
  if (certificate.suboptimality_bound.value_or(0) <= allowed) return;
  trained.reason = StopReason::stalled;
  trained.detail =
      "the gradient is small, but columns depend on each other so nearly that f may still fall: use --solver "
      "exact, or add a penalty with --l2";
}

FitResult finish_iterative(FitContext& context, Choice choice) {
  const bool rounds_of_all = context.request.options.run.mode == Mode::mapreduce;
  const bool one_problem = rounds_of_all || choice.solver == SolverChoice::hogwild;
  Trained trained = one_problem ? fit_iterative(context, choice) : fit_session(context, choice.solver);
  const ColumnFacts facts = find_column_facts(context);
  trained.dependent_columns = facts.dependent;
  note_columns(context, trained);
  Certificate certificate = certify_from_rows(context, trained, facts);
  take_back_convergence(context, certificate, trained);
  LinearModel model = context.whole_model(std::move(trained.model));
  return account_for(context, std::move(model), std::move(trained), std::move(choice.reason), std::move(certificate));
}

}  // namespace

FitResult fit(const FitRequest& request, Endpoint& endpoint, Executor& executor) {
  HeldRows held(request.data.shard);
  LinearRows rows(request.rows ? *request.rows : held, executor, request.instruction_set, request.budget);
  FitContext context{request, endpoint, rows, executor, {}, endpoint.now(), 0, request.topology};
  MUSTER_CHECK(request.data.encoding.feature_count() == context.all_columns(), "a name for every column");
  if (request.rows && context.columns_are_cut())
    throw InputError("columns are cut of rows in memory: say --split rows, or let the rows be kept");
  if (context.stop_requested()) throw Cancelled("stopped before there was a model to save");
  agree_on_rows(context);
  if (request.first_pass) return finish_exact(context);
  Choice choice = choose_solver(context);
  if (choice.solver == SolverChoice::exact) return finish_exact(context);
  agree_on_scaling(context);
  return finish_iterative(context, std::move(choice));
}

}  // namespace muster
