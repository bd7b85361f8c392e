#include "engine/fit_exact.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/fit_by_rows.h"
#include "engine/fit_scaling.h"

namespace muster {
namespace {

constexpr double kDigitsWanted = 13;
constexpr double kDigitsNeeded = 8;
// Rows·p² + 4p³ that double-double handles in about a second on one core.
constexpr double kCheap = 4e8;

enum : std::size_t { kIntercept, kObjective, kGradient, kGap, kDigits, kRefinedDigits, kCertain, kScalars };
constexpr double kIndependent = 0, kDependent = 1;

// What the other ranks need of a solution, as one message.
std::vector<double> flatten(const ExactSolution& s) {
  const std::size_t d = s.w.size();
  std::vector<double> flat(kScalars + 2 * d, kIndependent);
  flat[kIntercept] = s.intercept;
  flat[kObjective] = s.objective;
  flat[kGradient] = s.gradient_norm;
  flat[kGap] = s.suboptimality;
  flat[kDigits] = s.digits;
  flat[kRefinedDigits] = s.refined_digits;
  flat[kCertain] = s.rank_is_certain ? 1 : 0;
  std::copy(s.w.begin(), s.w.end(), flat.begin() + kScalars);
  for (std::size_t j : s.dependent) flat[kScalars + d + j] = kDependent;
  return flat;
}

bool cheap_in_double_double(const FitContext& context) {
  const double p = static_cast<double>(context.all_columns()) + 2;
  return static_cast<double>(context.agreed.rows) * p * p + 4 * p * p * p <= kCheap;
}

class ExactTrainer {
 public:
  explicit ExactTrainer(FitContext& context) : context_(context) {
    options_.intercept = context.problem().intercept;
    options_.l2 = context.problem().l2;
    options_.standardize = context.problem().standardize;
    options_.between = [&context] { context.endpoint().progress(); };
  }

  ExactFit run() {
    statistics_ = agree_on_statistics(context_);
    ++passes_;
    solve();
    const double wanted = cheap_in_double_double(context_) ? kDigitsWanted : kDigitsNeeded;
    const bool poor = flat_[kDigits] < wanted || flat_[kCertain] == 0;
    bool stopped = context_.stop_requested();
    if (poor && !stopped) {
      gather_in_pairs();
      solve();
      if (flat_[kDigits] < kDigitsWanted && flat_[kRefinedDigits] > flat_[kDigits]) refine();
      stopped = context_.stop_requested();
    }
    return finish(poor, stopped);
  }

  // Of the statistics alone: the solution is for the squared loss.
  ColumnFacts facts() {
    gather_in_pairs();
    solve();
    ColumnFacts facts{named_dependent_columns(), true, {}};
    if (context_.problem().loss == Loss::squared) facts.solution = std::move(solution_);
    return facts;
  }

 private:
  void gather_in_pairs() {
    statistics_ = {};
    statistics_.columns = context_.columns();
    statistics_.precision = Statistics::Precision::double_double;
    const AlignedVector<double>& means = context_.agreed.scaling.centre;
    statistics_.centre.assign(means.begin(), means.end());
    statistics_.centre.push_back(context_.agreed.target_centre);
    context_.pass([&] { return context_.rows.accumulate(statistics_); });
    ++passes_;
    context_.endpoint().reduce(statistics_.sums, ReduceOp::sum_double_double, context_.speaker(), Deadline::never());
  }

  // Solved on one rank and broadcast: ranks need not agree on a processor's rounding to agree on the model.
  void solve() {
    if (context_.endpoint().rank() == context_.speaker()) solution_ = solve_exact(statistics_, options_);
    share();
  }

  void share() {
    flat_.assign(kScalars + 2 * context_.columns(), 0.0);
    if (solution_) flat_ = flatten(*solution_);
    context_.endpoint().broadcast(flat_, context_.speaker(), Deadline::never());
  }

  void refine() {
    const std::size_t d = context_.columns();
    const std::span<const double> w(flat_.data() + kScalars, d);
    std::vector<double> sums(2 * (d + 2));
    context_.pass([&] {
      return context_.rows.certify(Loss::squared, w, {&flat_[kIntercept], 1}, context_.agreed.scaling.centre, sums);
    });
    ++passes_;
    context_.endpoint().reduce(sums, ReduceOp::sum_double_double, context_.speaker(), Deadline::never());
    if (solution_)
      solution_ = refine_exact(std::move(*solution_), statistics_, options_, std::span<const double>(sums).subspan(2));
    share();
  }

  ExactFit finish(bool double_double, bool stopped) {
    ExactFit fit;
    Trained& trained = fit.trained;
    const std::size_t d = context_.columns();
    trained.solver = "exact";
    trained.model.w.assign(flat_.begin() + kScalars, flat_.begin() + static_cast<std::ptrdiff_t>(kScalars + d));
    trained.model.intercepts = {flat_[kIntercept]};
    trained.reason = stopped ? StopReason::interrupted : StopReason::converged;
    trained.detail = fmt::format("solved directly from {} statistics",
                                 statistics_.precision == Statistics::Precision::float64 ? "double" : "double-double");
    if (stopped) trained.detail += "; a stop was asked for";
    trained.rounds = 1;
    trained.passes = passes_;
    trained.history = {{1, context_.endpoint().now() - context_.start, flat_[kObjective], flat_[kGradient]}};
    trained.baseline = context_.constant_objective();
    fit.objective = flat_[kObjective];
    fit.gradient_norm = flat_[kGradient];
    fit.suboptimality = flat_[kGap];
    fit.digits = flat_[kDigits];
    fit.double_double = double_double;
    trained.dependent_columns = named_dependent_columns();
    fit.solution = std::move(solution_);
    return fit;
  }

  std::vector<std::string> named_dependent_columns() const {
    std::vector<std::string> names;
    for (std::size_t j = 0; j < context_.columns(); ++j)
      if (flat_[kScalars + context_.columns() + j] == kDependent) names.push_back(context_.name_of(j));
    return names;
  }

  FitContext& context_;
  ExactOptions options_;
  Statistics statistics_;
  std::optional<ExactSolution> solution_;
  std::vector<double> flat_;
  std::int64_t passes_ = 0;
};

}  // namespace

ExactFit fit_exact(FitContext& context) {
  return ExactTrainer(context).run();
}

ColumnFacts find_column_facts(FitContext& context) {
  if (context.problem().l2 > 0 || !cheap_in_double_double(context)) return {};
  if (!context.columns_are_cut()) return ExactTrainer(context).facts();
  FitByRows by_rows(context);
  agree_on_scaling(by_rows.context());
  return ExactTrainer(by_rows.context()).facts();
}

}  // namespace muster
