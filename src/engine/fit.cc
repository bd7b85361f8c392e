#include "engine/fit.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/fit_certificate.h"
#include "engine/fit_context.h"
#include "engine/fit_exact.h"
#include "engine/fit_iterative.h"
#include "engine/fit_scaling.h"
#include "muster/error.h"

namespace muster {
namespace {

// `exact` is chosen up to this many columns: its statistics and factor then take some hundred megabytes and seconds.
constexpr std::size_t kColumnsOfExact = 2000;
// Up to this many columns it is cheaper whatever the rows are like.
constexpr std::size_t kFewColumns = 200;
// And it is refused above this many: 20,000 columns need 3 GB for a matrix in double.
constexpr std::size_t kMostColumnsOfExact = 20'000;
// Passes over the rows that L-BFGS may need.
constexpr double kExpectedPasses = 500;

struct Choice {
  SolverChoice solver;
  std::string reason;
};

// From global numbers only, so that the number of workers does not change the solver.
Choice choose_solver(const FitContext& context) {
  const std::size_t columns = context.columns();
  const auto d = static_cast<double>(columns), rows = static_cast<double>(context.agreed.rows);
  if (context.problem().loss == Loss::logistic)
    return {SolverChoice::lbfgs, "lbfgs, because a logistic loss is not solved in one pass"};
  if (columns > kColumnsOfExact)
    return {SolverChoice::lbfgs,
            fmt::format("lbfgs, because the dense solve of exact is too large for {} columns", columns)};
  const double row_entries = context.agreed.entries / std::max(1.0, rows);
  // Sparse rows: pairs of entries cost some hundred operations each; dense ones a fraction of one.
  const double statistics =
      context.agreed.sparse ? std::min(100 * rows * row_entries * row_entries, rows * d * d) : rows * d * d;
  const double passes = kExpectedPasses * 4 * context.agreed.entries;
  if (columns > kFewColumns && context.agreed.sparse && statistics + d * d * d / 3 > passes)
    return {SolverChoice::lbfgs,
            fmt::format("lbfgs, because the rows are sparse and {} columns make passes over them cheaper than "
                        "a dense solve",
                        columns)};
  return {SolverChoice::exact,
          fmt::format("exact, because for {} column{} one pass and a dense solve are cheaper than gradient rounds",
                      columns, columns == 1 ? "" : "s")};
}

Choice resolve_solver(const FitContext& context) {
  const SolverChoice asked = context.request.options.run.solver;
  if (asked == SolverChoice::automatic) return choose_solver(context);
  if (asked == SolverChoice::exact && context.problem().loss == Loss::logistic)
    throw InputError("--solver exact solves the squared loss only: for --loss logistic use --solver lbfgs");
  if (asked == SolverChoice::exact && context.columns() > kMostColumnsOfExact)
    throw InputError(
        fmt::format("--solver exact needs a dense matrix of {0} x {0} numbers for {0} columns: use --solver lbfgs",
                    context.columns()));
  return {asked, ""};
}

void note_columns(const FitContext& context, Trained& trained) {
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

// Every rank's measures, on every rank.
std::vector<WorkerReport> gather_workers(FitContext& context) {
  enum : std::size_t { kRows, kCompute, kWait, kCommunicate, kBytes, kMessages, kFields };
  const auto size = static_cast<std::size_t>(context.endpoint().size());
  std::vector<double> table(size * kFields, 0.0);
  double* mine = table.data() + static_cast<std::size_t>(context.endpoint().rank()) * kFields;
  const Traffic traffic = context.endpoint().traffic();
  mine[kRows] = static_cast<double>(context.rows.rows());
  mine[kCompute] = context.compute_seconds;
  mine[kWait] = traffic.wait_seconds;
  mine[kCommunicate] = traffic.communicate_seconds;
  mine[kBytes] = static_cast<double>(traffic.bytes_sent);
  mine[kMessages] = static_cast<double>(traffic.messages_sent);
  context.add_up(table);
  std::vector<WorkerReport> workers(size);
  for (std::size_t r = 0; r < size; ++r) {
    const double* row = table.data() + r * kFields;
    workers[r].rows = static_cast<std::int64_t>(row[kRows]);
    workers[r].compute_seconds = row[kCompute];
    workers[r].wait_seconds = row[kWait];
    workers[r].communicate_seconds = row[kCommunicate];
    workers[r].bytes_sent = static_cast<std::int64_t>(row[kBytes]);
    workers[r].messages_sent = static_cast<std::int64_t>(row[kMessages]);
  }
  return workers;
}

Report make_report(FitContext& context, Trained trained, std::string solver_reason, Certificate certificate) {
  Report report;
  report.stop_reason = trained.reason;
  report.stop_detail = std::move(trained.detail);
  report.mode = "mapreduce";
  report.solver = std::move(trained.solver);
  report.solver_reason = std::move(solver_reason);
  report.instruction_set = name(context.request.instruction_set);
  report.reproducible = context.request.options.run.reproducible;
  report.rounds_done = trained.rounds;
  report.rounds = std::move(trained.history);
  report.dependent_columns = std::move(trained.dependent_columns);
  report.notes = std::move(trained.notes);
  report.certificate = std::move(certificate);
  report.workers = gather_workers(context);
  report.train_seconds = context.endpoint().now() - context.start;
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
  return {std::move(model), make_report(context, std::move(exact.trained), std::move(reason), std::move(certificate))};
}

FitResult finish_iterative(FitContext& context, Choice choice) {
  Trained trained = fit_iterative(context, choice.solver);
  trained.dependent_columns = find_dependent_columns(context);
  note_columns(context, trained);
  Certificate certificate = certify_from_rows(context, trained, nullptr);
  LinearModel model = trained.model;
  return {std::move(model), make_report(context, std::move(trained), std::move(choice.reason), std::move(certificate))};
}

}  // namespace

FitResult fit(const FitRequest& request, Endpoint& endpoint, Executor& executor) {
  MUSTER_CHECK(request.data.encoding.features.size() == request.data.shard.cols(), "a name for every column");
  LinearRows rows(request.data.shard, executor, request.instruction_set);
  FitContext context{request, endpoint, rows, {}, endpoint.now(), 0};
  if (context.stop_requested()) throw Cancelled("stopped before there was a model to save");
  agree_on_scaling(context);
  Choice choice = resolve_solver(context);
  return choice.solver == SolverChoice::exact ? finish_exact(context, std::move(choice.reason))
                                              : finish_iterative(context, std::move(choice));
}

}  // namespace muster
