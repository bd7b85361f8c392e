#include "engine/fit_iterative.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/check_options.h"
#include "engine/fit_problem.h"
#include "engine/fit_progress.h"
#include "engine/minimise.h"
#include "muster/error.h"
#include "train/hogwild.h"

namespace muster {
namespace {

constexpr int kAttempts = 12;  // returns to the solver after the last bound was not yet met

class IterativeTrainer {
 public:
  IterativeTrainer(FitContext& context, const Choice& choice)
      : context_(context),
        solver_(choice.solver),
        patience_(choice.patience),
        problem_(context),
        passes_left_(context.request.options.stop.max_epochs),
        map_reduce_(problem_.summed_objective(), context.grid(), options(), problem_.first_coordinate()),
        progress_([&context](std::span<double> sums) { context.sum_over_columns(sums); }) {}

  Trained run() {
    Trained trained;
    trained.solver = name(solver_);
    const std::optional<std::size_t> column = problem_.separating_column();
    std::vector<double> v = problem_.best_constant(map_reduce_);
    if (column) {
      mark_separated(context_, *column, trained);
    } else if (context_.request.start) {
      descend(problem_.from_user(*context_.request.start), trained, v);
    } else {
      map_reduce_.begins_at(v);
      descend(v, trained, v);
    }
    if (impatient_at_ > 0) {
      trained.solver += fmt::format(", {}", name(solver_));
      trained.notes.push_back(
          fmt::format("lbfgs had not met the tolerance in {} rounds, and {} went on", impatient_at_, name(solver_)));
    }
    trained.model = problem_.to_user(v);
    trained.history = map_reduce_.rounds();
    trained.passes = map_reduce_.passes();
    trained.sent_per_round = map_reduce_.sent_per_round();
    trained.baseline = problem_.baseline();
    trained.curvature_by_intercept = curvature();
    context_.compute_seconds += map_reduce_.compute_seconds();
    return trained;
  }

 private:
  MapReduceOptions options() {
    MapReduceOptions options = problem_.options();
    options.judge = [this](const RoundState& state) { return judge(state); };
    options.on_round = [this](const RoundReport& report, const RoundState& state) { observe(report, state); };
    return options;
  }

  double curvature() const { return problem_.curvature_by_intercept(map_reduce_.tallies(), map_reduce_.weight()); }

  // Runs the solver; where its estimated bound says stop, removes what is left in the intercept's direction and checks
  // the bound that then holds; goes on with a stricter estimate where it does not.
  void descend(std::vector<double> start, Trained& trained, std::vector<double>& v) {
    std::vector<double> gradient(problem_.dimension());
    v = std::move(start);
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      SolverResult result = solve(std::move(v), trained.rounds);
      v = std::move(result.w);
      trained.rounds += result.rounds;
      trained.reason = result.reason;
      trained.detail = result.detail;
      if (result.reason == StopReason::max_rounds && changed_solver(trained.rounds)) continue;
      const bool estimated = result.reason == StopReason::converged && met_bound_;
      if (!estimated || !problem_.classifies() || !problem_.has_intercept()) return;
      const double value =
          problem_.settle_intercepts(map_reduce_, v, map_reduce_.value_and_gradient(v, gradient), gradient);
      if (problem_.bound(v, gradient, value, curvature()) <= problem_.tolerated(value)) return;
      strictness_ /= 4;
      met_bound_ = false;
    }
  }

  // Where the one chosen for easy problems has had its rounds, and there are more.
  bool changed_solver(std::int64_t rounds) {
    if (patience_ == 0 || rounds >= context_.request.options.stop.max_rounds) return false;
    solver_ = SolverChoice::newton_cg;
    impatient_at_ = std::exchange(patience_, 0);
    return true;
  }

  SolverResult solve(std::vector<double> start, std::int64_t first_round) {
    if (solver_ == SolverChoice::hogwild) return race(std::move(start), first_round);
    const TrainOptions& asked = context_.request.options;
    return minimise(solver_, map_reduce_, std::move(start),
                    {.l1 = problem_.coordinates().l1(),
                     .max_rounds = patience_ > 0 ? std::min(patience_, asked.stop.max_rounds) : asked.stop.max_rounds,
                     .first_round = first_round,
                     .seed = asked.run.seed});
  }

  SolverResult race(std::vector<double> start, std::int64_t first_round) {
    const TrainOptions& asked = context_.request.options;
    const Shard* rows = context_.rows.source().held();
    if (!rows)
      throw InputError(
          "--solver hogwild takes rows in random order, and these are not all in memory: raise --memory, or use "
          "--solver ftrl");
    const Time begin = context_.whole.now();
    const double evaluating = map_reduce_.compute_seconds();
    SolverResult result =
        minimise_hogwild(map_reduce_, problem_.objective(), *rows, context_.executor, std::move(start),
                         {.penalty = problem_.coordinates().penalty(),
                          .l1 = problem_.coordinates().l1(),
                          .max_rounds = asked.stop.max_rounds,
                          .max_passes = passes_left_,
                          .seed = asked.run.seed,
                          .first_round = first_round});
    passes_left_ -= static_cast<double>(result.rounds - 1);
    context_.compute_seconds += context_.whole.now() - begin - (map_reduce_.compute_seconds() - evaluating);
    return result;
  }

  Problem::Verdict judge(const RoundState& state) {
    met_bound_ = problem_.bounded() && gap_ <= strictness_;
    if (problem_.bounded()) return problem_.judge(state, gap_, strictness_);
    progress_.see(map_reduce_.passes(), state.w, state.gradient, state.value, state.gradient_norm);
    return problem_.judge(state, gap_, 1, progress_.above_optimum());
  }

  void observe(const RoundReport& report, const RoundState& state) {
    const FitRequest& request = context_.request;
    gap_ = problem_.gap(state, curvature());
    if (request.on_round) request.on_round(report, gap_);
    if (!request.wants_checkpoint) return;
    const bool speaks = context_.endpoint().rank() == context_.speaker();
    double wanted = speaks && request.wants_checkpoint() ? 1 : 0;
    if (context_.columns_are_cut() && !request.options.checkpoint.directory.empty())
      context_.endpoint().broadcast({&wanted, 1}, context_.speaker(), Deadline::never());
    if (wanted == 0) return;
    const LinearModel model = context_.whole_model(problem_.to_user(state.w));
    if (speaks) request.save_checkpoint(report.round, model);
  }

  FitContext& context_;
  SolverChoice solver_;
  std::int64_t patience_;          // rounds until it changes; 0: it does not
  std::int64_t impatient_at_ = 0;  // the round after which it has changed
  FitProblem problem_;
  double passes_left_;  // of hogwild
  MapReduce map_reduce_;
  ProgressEstimate progress_;  // where there is no bound
  double gap_ = 0;             // after the last round
  double strictness_ = 1;
  bool met_bound_ = false;
};

}  // namespace

void mark_separated(const FitContext& context, std::size_t column, Trained& trained) {
  // Nothing to iterate for: along this column the objective falls for ever.
  trained.reason = StopReason::diverged;
  trained.detail =
      fmt::format("column '{}' alone separates the classes: the minimiser does not exist; add a penalty with --l2",
                  context.name_of(column));
}

Trained fit_iterative(FitContext& context, const Choice& choice) {
  return IterativeTrainer(context, choice).run();
}

}  // namespace muster
