// The problem as every trainer that iterates is given it, whatever the programming model: f in scaled coordinates, its
// best constant model, and what "converged" means.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "engine/fit_context.h"
#include "engine/fit_coordinates.h"
#include "engine/fit_intercepts.h"
#include "train/column_block.h"
#include "train/mapreduce.h"
#include "train/session.h"

namespace muster {

// Threads: as its context. Made on every rank; what it computes from agreed numbers is equal on all.
class FitProblem {
 public:
  explicit FitProblem(FitContext& context);

  FitContext& context() { return context_; }
  const Coordinates& coordinates() const { return coordinates_; }
  LinearObjective& objective() { return objective_; }
  std::size_t dimension() const { return coordinates_.dimension(); }
  bool classifies() const { return context_.problem().loss != Loss::squared; }
  bool penalised() const { return context_.problem().l2 > 0; }
  // Whether gradients bound f − f*.
  bool bounded() const { return penalised() || context_.problem().l1 > 0; }
  bool has_intercept() const { return context_.problem().intercept; }
  // The coordinate of the first intercept, where they are held.
  std::size_t first_intercept() const { return context_.columns() * context_.outputs(); }

  // What a MapReduce over context().grid() sums: where columns are cut, by margins added over them.
  Objective& summed_objective();
  std::size_t first_coordinate() const { return context_.first_column() * context_.outputs(); }

  // Collective over the ranks with the same rows. From a whole model, to the part held here with whole intercepts.
  std::vector<double> from_user(const LinearModel& model) const;
  LinearModel to_user(std::span<const double> v) const;

  // What a MapReduce over this problem is made with; judge and on_round are the caller's to add.
  MapReduceOptions options() const;

  // Collective: a column along which an unpenalised loss of classes falls for ever. Throws InputError where a class has
  // no row that counts.
  std::optional<std::size_t> separating_column();

  // Collective: the best constant model, v = 0 and b*, whose value and gradient norm tolerances are relative to.
  // Squared loss: b* is the mean. Softmax: the logarithms of the classes' shares. Logistic: Newton's method, started
  // where the loss is most curved, since offsets leave no formula.
  std::vector<double> best_constant(MapReduce& map_reduce);
  // Collective: moves the intercepts by Newton's method until ∂f/∂b is rounding only, and returns F there. gradient: at
  // v, before and after.
  double settle_intercepts(MapReduce& map_reduce, std::vector<double>& v, double value,
                           std::vector<double>& gradient) const;
  double baseline() const { return baseline_value_; }

  // The least ∂²f/∂b² where the tallies were taken (InterceptCurvature).
  double curvature_by_intercept(std::span<const double> tallies, double weight) const;

  // Collective. Bound on f − f*, where there is a penalty: by strong convexity of F(w) = min_b f(w, b) in the
  // coordinates of l2, or by l1 alone (engine/fit_l1_bound.h); with what the intercepts still have to give. value: F
  // there.
  double bound(std::span<const double> v, std::span<const double> gradient, double value,
               double curvature_by_intercept) const;
  double tolerated(double value) const;

  // Gap to the stopping rule: at most 1 is converged.
  double gap(const RoundState& state, double curvature_by_intercept) const;
  // Converged, at the rounding floor, separable; or nothing. The gap must be at most strictness. estimate: of f − f*,
  // where there is no bound; it must be tolerated too.
  Problem::Verdict judge(const RoundState& state, double gap, double strictness, double estimate = 0) const;

  // As gap, of a round known by its norms alone: for progress.
  double estimated_gap(const RoundReport& round) const;

  // The same criterion for a trainer that has F and its gradient by estimates and in parts.
  StopEstimate estimate(double curvature_by_intercept) const;

 private:
  double bound_by_l2(std::span<const double> v, std::span<const double> gradient, double curvature) const;
  double bound_by_l1(std::span<const double> v, std::span<const double> gradient, double value, double curvature) const;
  double rounding_floor(const RoundState& state) const;
  std::vector<double> pairs_over_columns(const std::vector<DoubleDouble>& values) const;

  FitContext& context_;
  Coordinates coordinates_;
  LinearObjective objective_;
  std::optional<ColumnBlockObjective> block_;  // where columns are cut
  std::vector<double> class_weights_;          // Σ s by class; empty for the squared loss
  double baseline_value_ = 0, baseline_norm_ = 0;
};

}  // namespace muster
