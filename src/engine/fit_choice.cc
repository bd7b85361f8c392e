#include "engine/fit_choice.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/check_options.h"
#include "engine/cost.h"
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
// It has no tolerance, so it may take longer than an iterative solver by this.
constexpr double kWorthExactness = 2;
// Problems that lbfgs has not solved in so many rounds are mostly ill-conditioned ones, on which Newton's method is
// quicker; others lose little by the change (docs/PERFORMANCE.md).
constexpr std::int64_t kRoundsOfLbfgs = 150;

Choice choose_batch_solver(const FitContext& context) {
  const std::size_t columns = context.all_columns();
  const DataShape data{static_cast<double>(context.agreed.rows), static_cast<double>(columns), context.agreed.entries,
                       context.agreed.sparse, static_cast<double>(context.outputs())};
  const Cost cost(data, context.whole.size());
  const GridShape shape = context.division() ? context.division()->choice().shape : GridShape{context.whole.size(), 1};
  const double round = cost.of_round(shape);
  const std::string rounds = fmt::format("a round for {} takes about {}", cost.subject(), in_seconds(round));
  if (context.problem().l1 > 0)
    return {SolverChoice::nesterov, fmt::format("nesterov, because an l1 penalty has no gradient at 0; {}", rounds)};
  if (context.problem().loss != Loss::squared)
    return {SolverChoice::lbfgs,
            fmt::format("lbfgs, because a {} loss is not solved in one pass, and newton-cg from round {} on, because "
                        "then it is mostly quicker; {}",
                        name(context.problem().loss), kRoundsOfLbfgs + 1, rounds),
            kRoundsOfLbfgs};
  if (columns > kColumnsOfExact)
    return {SolverChoice::cg,
            fmt::format("cg, because the dense solve of exact is too large for {} columns; {}", columns, rounds)};
  const double exact = cost.of_exact() + cost.of_cutting(shape), iterative = kExpectedRounds * round;
  const std::string both = fmt::format("because for {} exact takes about {} and {} rounds of cg about {}",
                                       cost.subject(), in_seconds(exact), kExpectedRounds, in_seconds(iterative));
  if (columns > kFewColumns && exact > kWorthExactness * iterative) return {SolverChoice::cg, "cg, " + both};
  return {SolverChoice::exact, "exact, " + both};
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
