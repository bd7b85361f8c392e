#include "engine/fit_choice.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/check_options.h"
#include "model/loss_names.h"
#include "muster/error.h"

namespace muster {
namespace {

// `exact` is chosen up to this many columns: its statistics and factor then take some hundred megabytes and seconds.
constexpr std::size_t kColumnsOfExact = 2000;
// Up to this many columns it is cheaper whatever the rows are like.
constexpr std::size_t kFewColumns = 200;
// And it is refused above this many: 20,000 columns need 3 GB for a matrix in double.
constexpr std::size_t kMostColumnsOfExact = 20'000;
// Passes over the rows that conjugate gradients may need.
constexpr double kExpectedPasses = 250;

Choice choose_batch_solver(const FitContext& context) {
  const std::size_t columns = context.all_columns();
  const auto d = static_cast<double>(columns), rows = static_cast<double>(context.agreed.rows);
  if (context.problem().l1 > 0) return {SolverChoice::nesterov, "nesterov, because an l1 penalty has no gradient at 0"};
  if (context.problem().loss != Loss::squared)
    return {SolverChoice::lbfgs,
            fmt::format("lbfgs, because a {} loss is not solved in one pass", name(context.problem().loss))};
  if (columns > kColumnsOfExact)
    return {SolverChoice::cg, fmt::format("cg, because the dense solve of exact is too large for {} columns", columns)};
  const double row_entries = context.agreed.entries / std::max(1.0, rows);
  // Sparse rows: pairs of entries cost some hundred operations each; dense ones a fraction of one.
  const double statistics =
      context.agreed.sparse ? std::min(100 * rows * row_entries * row_entries, rows * d * d) : rows * d * d;
  const double passes = kExpectedPasses * 4 * context.agreed.entries;
  if (columns > kFewColumns && context.agreed.sparse && statistics + d * d * d / 3 > passes)
    return {SolverChoice::cg,
            fmt::format("cg, because the rows are sparse and {} columns make passes over them cheaper than "
                        "a dense solve",
                        columns)};
  return {SolverChoice::exact,
          fmt::format("exact, because for {} column{} one pass and a dense solve are cheaper than gradient rounds",
                      columns, columns == 1 ? "" : "s")};
}

void check_exact(const FitContext& context) {
  if (context.problem().loss != Loss::squared)
    throw InputError(fmt::format("--solver exact solves the squared loss only: for --loss {} use --solver lbfgs",
                                 name(context.problem().loss)));
  if (context.all_columns() > kMostColumnsOfExact)
    throw InputError(
        fmt::format("--solver exact needs a dense matrix of {0} x {0} numbers for {0} columns: use --solver cg",
                    context.all_columns()));
}

Choice choose_network_solver(const Topology& topology, const RunOptions& run) {
  if (run.sync.kind == Synchronisation::Kind::async)
    return {SolverChoice::pairwise, "pairwise, because --sync async has no rounds, and it is exact at any speeds"};
  if (topology.period() > 1)
    return {SolverChoice::gradient_tracking,
            fmt::format("gradient-tracking, because the graph {} changes from round to round", topology.name())};
  if (!topology.symmetric())
    return {SolverChoice::push_sum, fmt::format("push-sum, because the graph {} is directed", topology.name())};
  return {SolverChoice::nids, "nids, because it is exact on every connected graph whose weights are symmetric"};
}

}  // namespace

Choice choose_session_solver(const RunOptions& run, const Topology* topology) {
  const bool automatic = run.solver == SolverChoice::automatic;
  if (run.mode == Mode::parameter_server) {
    if (automatic)
      return {SolverChoice::dave, "dave, because it reaches the exact minimiser whatever the workers' speeds"};
    return {run.solver};
  }
  return automatic ? choose_network_solver(*topology, run) : Choice{run.solver};
}

std::size_t columns_surely_exact(const TrainOptions& options) {
  const RunOptions& run = options.run;
  const bool by_rows = run.split.kind == SplitOptions::Kind::automatic || run.split.kind == SplitOptions::Kind::rows;
  // Without an intercept the certificate goes back to the targets.
  const bool one_pass = options.tuning.folds == 0 && !options.summary && options.problem.intercept;
  if (run.mode != Mode::mapreduce || !by_rows || !one_pass || options.problem.loss != Loss::squared ||
      options.problem.l1 > 0)
    return 0;
  return run.solver == SolverChoice::exact       ? kMostColumnsOfExact
         : run.solver == SolverChoice::automatic ? kFewColumns
                                                 : 0;
}

Choice choose_solver(const FitContext& context) {
  const RunOptions& run = context.request.options.run;
  if (run.mode != Mode::mapreduce) return choose_session_solver(run, context.topology);
  if (run.solver == SolverChoice::automatic) return choose_batch_solver(context);
  if (run.solver == SolverChoice::exact) check_exact(context);
  return {run.solver};
}

}  // namespace muster
