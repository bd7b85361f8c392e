// What the parts of fit() share: one rank's rows, its group, and what all agreed on before training.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/endpoint.h"
#include "engine/fit.h"
#include "objective/linear_rows.h"
#include "train/mapreduce.h"
#include "train/topology.h"

namespace muster {

// Equal on every rank, but for the scaling where columns are cut: that is of the columns held.
struct Agreement {
  double weight = 0;      // S
  std::int64_t rows = 0;  // of all shards
  double entries = 0;     // stored values of all shards
  bool sparse = false;
  std::size_t outputs = 1;   // margins of a row
  Scaling scaling;           // centre: the means, or 0 without an intercept; scale: root mean square around it
  double target_centre = 0;  // of t = y − offset
  double target_square = 0;  // mean of (t − centre)²
};

struct FitContext {
  const FitRequest& request;
  Endpoint& whole;     // all ranks the run began with
  LinearRows& rows;    // where columns are cut: of the columns held
  Executor& executor;  // the threads of this rank
  Agreement agreed;
  Time start = 0;
  double compute_seconds = 0;
  const Topology* topology = nullptr;             // decentralized: who talks to whom
  std::int64_t rows_lost = 0;                     // with ranks whose rows nobody took over
  std::unique_ptr<Endpoint> survivors = nullptr;  // where ranks were lost: the living, or those of this part
  Endpoint* group = nullptr;                      // the same, and who they are while training goes on; null: all

  Endpoint& endpoint() { return group ? *group : whole; }
  int speaker() { return endpoint().members().front(); }
  const ProblemOptions& problem() const { return request.options.problem; }
  std::size_t columns() const { return rows.columns(); }  // held here
  std::size_t outputs() const { return agreed.outputs; }

  // Where columns are cut into blocks (--split); else everybody has all columns, and sums over columns are whole.
  const Division* division() const { return request.division; }
  bool columns_are_cut() const { return division() != nullptr && division()->columns_are_cut(); }
  Grid grid() { return columns_are_cut() ? division()->grid(whole) : Grid(endpoint()); }
  std::size_t first_column() const { return columns_are_cut() ? division()->first_column() : 0; }
  std::size_t all_columns() const { return columns_are_cut() ? division()->all_columns() : columns(); }
  // Whether the coordinates of the intercepts are among those held.
  bool holds_intercept() const { return problem().intercept && (!columns_are_cut() || division()->has_last_block()); }
  std::string name_of(std::size_t column) const { return request.data.encoding.feature_name(column); }
  void sum_over_columns(std::span<double> values, ReduceOp op = ReduceOp::sum) { grid().sum_over_columns(values, op); }
  // What is computed from rows alone, equal but for rounding on the ranks that have them: the first one's.
  void agree_over_columns(std::span<double> values) {
    if (columns_are_cut()) grid().over_columns->broadcast(values, 0, Deadline::never());
  }
  // At the speaker the model of all columns, from the part each holds; where columns are cut, elsewhere its intercepts
  // alone. Collective then.
  LinearModel whole_model(LinearModel held) {
    if (!columns_are_cut()) return held;
    if (grid().over_rows.rank() != 0) return {{}, std::move(held.intercepts)};
    return {division()->gather_columns(std::move(held.w), outputs()), std::move(held.intercepts)};
  }
  // The first of the columns that ranks name, each one of its own or none, counted over all columns.
  std::optional<std::size_t> first_of_all(std::optional<std::size_t> own_column) {
    if (!columns_are_cut()) return own_column;
    double first = static_cast<double>(own_column ? first_column() + *own_column : all_columns());
    sum_over_columns({&first, 1}, ReduceOp::min);
    return first < static_cast<double>(all_columns()) ? std::optional(static_cast<std::size_t>(first)) : std::nullopt;
  }

  // Does a pass over this rank's rows: timed, and told to the endpoint's clock.
  void pass(const std::function<Work()>& work) {
    const Time begin = whole.now();
    whole.charge(work());
    compute_seconds += whole.now() - begin;
  }
  // Over the rows of all workers.
  void add_up(std::span<double> values, ReduceOp op = ReduceOp::sum) {
    grid().over_rows.allreduce(values, op, Deadline::never());
  }
  // Whether any rank has been asked to stop. Collective.
  bool stop_requested() {
    double asked = request.cancellation != nullptr && request.cancellation->cancelled() ? 1 : 0;
    endpoint().allreduce({&asked, 1}, ReduceOp::sum, Deadline::never());
    return asked > 0;
  }

  // l2 in the user's units: the penalty is ½ Σ λ_j w_j².
  double lambda(std::size_t j) const {
    const double scale = agreed.scaling.scale[j];
    return problem().standardize ? problem().l2 * scale * scale : problem().l2;
  }
  // f at the best constant model, squared loss.
  double constant_objective() const { return agreed.target_square / 2; }
  // l1 in the user's units, as lambda.
  double lambda1(std::size_t j) const {
    return problem().standardize ? problem().l1 * agreed.scaling.scale[j] : problem().l1;
  }
};

// What a solver hands to the certificate.
struct Trained {
  LinearModel model;
  std::string solver;
  StopReason reason = StopReason::converged;
  std::string detail;
  std::int64_t rounds = 0;
  std::int64_t passes = 0;  // over the rows, by the solver; 0: not counted
  std::vector<RoundReport> history;
  double baseline = 0;                // f at the best constant model
  double curvature_by_intercept = 1;  // ∂²f/∂b² near the model
  std::vector<std::string> dependent_columns, notes;
  SentPerRound sent_per_round;  // by this rank
  // Where workers go at their own pace:
  std::vector<std::int64_t> updates;       // by rank
  std::vector<double> waited_for_seconds;  // by rank
  std::vector<LostRank> lost;
  bool cut = false, leads = true;  // train/decentralized.h
  std::optional<StalenessReport> staleness;
  std::optional<NetworkReport> network;
};

}  // namespace muster
