// What a training run says about itself. Serialised by muster::to_json (muster/muster.h) as report.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

enum class StopReason { converged, max_rounds, max_time, diverged, interrupted, stalled };
std::string_view name(StopReason reason);

// How good the saved model is, computed from scratch over all workers for exactly the saved numbers.
struct Certificate {
  double objective = 0;                       // f(w, b), penalty included, user's units
  double gradient_norm = 0;                   // |∇f(w, b)|, in scaled coordinates
  std::optional<double> suboptimality_bound;  // f(w, b) − f* is at most this; none where no bound is known
  std::string bound_source;    // "strong convexity", "duality gap", "newton decrement", or why there is none
  double relative_target = 0;  // max(|f|, f at the best constant model), what the tolerance multiplies
  std::int64_t rows_read = 0;
  std::int64_t rows_in_files = 0;
  bool same_model_on_all_ranks = false;
  double consensus_distance = 0;  // largest distance between two ranks' models
  std::optional<double> digits;   // exact: estimated correct decimal digits of the coefficients
  std::string computed_from;      // "rows" or "statistics"
  // Squared loss, on the training rows, weights respected; none for other losses. R² also none for a constant target.
  std::optional<double> training_rmse;
  std::optional<double> training_r2;
};

struct WorkerReport {
  std::string host;
  std::string role = "worker";  // or "server", "lost"
  std::int64_t rows = 0;
  std::int64_t columns = 0;  // held by this rank, of those rows
  double compute_seconds = 0;
  double wait_seconds = 0;
  double communicate_seconds = 0;
  std::int64_t bytes_sent = 0;
  std::int64_t messages_sent = 0;
  // MapReduce: of these, for one round (an evaluation of f and its gradient), on average. Headers included.
  double bytes_per_round = 0;
  double messages_per_round = 0;
  // Where workers go at their own pace:
  std::int64_t updates = 0;       // gradients computed and sent
  double waited_for_seconds = 0;  // others waited for this one, as the servers saw it
};

// Parameter server: how many updates by others each update missed.
struct StalenessReport {
  std::vector<std::int64_t> histogram;  // [τ] = updates that came τ updates late; the last counts all beyond
  std::int64_t updates = 0;
  double mean = 0;
  std::int64_t largest = 0;
  std::int64_t largest_clock_gap = 0;  // between a worker that started a clock and the slowest
};

struct NetworkReport {
  std::string topology;
  std::string weights;
  double lambda2_modulus = 0;
  double spectral_gap = 0;
  std::vector<double> consensus_distance;  // by node, at the end: |w_k − mean|
};

// A part of a network that losses have cut. It went on by itself, on the rows of its own nodes alone.
struct PartReport {
  std::vector<int> nodes;  // at the end
  std::int64_t rows = 0;
  std::int64_t rounds = 0;
  double objective = 0, gradient_norm = 0;  // of its certificate
  StopReason stop_reason = StopReason::converged;
  std::string stop_detail;
  std::string file;  // with its model; filled by who writes it
};

// A rank that died, as its peers saw it.
struct LostRank {
  int rank = -1;
  std::string sentence;
  int rows_taken_over_by = -1;  // -1: by nobody
};

// What a statistician asks of an unpenalised fit: estimates with their uncertainty under the usual assumptions
// (independent rows; squared loss: normal errors of one variance, divided by the rows' weights).
struct CoefficientSummary {
  std::string feature;  // "(intercept)" for the intercept
  double estimate = 0;
  double standard_error = 0;
  double statistic = 0;  // estimate / standard_error
  double p_value = 0;    // two-sided
  double lower = 0, upper = 0;
};

struct Summary {
  std::string distribution;                      // of the statistics: "t" (squared loss) or "z" (logistic)
  double confidence = 0.95;                      // of the intervals
  std::int64_t rows = 0;                         // of weight above 0
  std::int64_t degrees_of_freedom = 0;           // rows less parameters
  std::vector<CoefficientSummary> coefficients;  // the intercept first
  // Minimum, quartiles, maximum, by R's rule 7. Squared loss: of √s·(y − z); logistic: of the deviance residuals.
  std::vector<double> residual_quantiles;
  double log_likelihood = 0, aic = 0;
  // Squared loss:
  double residual_standard_error = 0, r2 = 0, adjusted_r2 = 0;
  std::optional<double> f_statistic, f_p_value;  // none without columns
  std::int64_t f_degrees_of_freedom = 0;         // of the numerator
  // Logistic:
  double null_deviance = 0, residual_deviance = 0;
  std::int64_t null_degrees_of_freedom = 0;
};

// How models of some penalties did on rows they were not fitted to.
struct TuningPoint {
  double l2 = 0, l1 = 0;
  double loss = 0;                   // mean loss of a held-out row, over all folds
  double standard_error = 0;         // of the folds' means
  std::vector<double> by_fold = {};  // mean loss of each fold's rows
};

// The rows of one label of the fold column.
struct TuningFold {
  std::string label;
  std::int64_t rows = 0;
};

struct TuningReport {
  std::vector<TuningPoint> points;  // from strong to weak penalties
  std::vector<TuningFold> folds;    // in the order of TuningPoint::by_fold; empty: they were dealt by the seed
  std::size_t best = 0, chosen = 0;
  std::int64_t unconverged = 0;  // fits that stopped before the tolerance
};

struct RoundReport {
  std::int64_t round = 0;
  double seconds = 0;  // since training began
  double objective = 0;
  double gradient_norm = 0;                        // scaled coordinates
  std::optional<double> staleness = std::nullopt;  // parameter server: mean of this round
  // Decentralized: root mean square of |w_k − mean|, scaled coordinates; the network's own estimate, and
  // exact in the last entry.
  std::optional<double> consensus_distance = std::nullopt;
};

struct Report {
  StopReason stop_reason = StopReason::converged;
  std::string stop_detail;  // one clause, for people
  std::string mode;
  std::string transport;
  std::string solver;
  std::string solver_reason;  // why automatic chose it; empty when asked for
  std::string warm_start;     // the model file that training started from; empty: none
  std::string instruction_set;
  bool reproducible = false;
  std::int64_t rounds_done = 0;
  // MapReduce: the solver's passes over the rows. One to agree on scales before and one for the certificate after are
  // not counted. 0: not counted in this mode.
  std::int64_t passes = 0;
  // One pass of sgd, ftrl or hogwild: the mean loss of a row, as predicted before it was learned from. Nothing is known
  // of f for the model saved.
  std::optional<double> progressive_loss;
  double load_seconds = 0;
  double train_seconds = 0;
  std::string synchronisation;  // "bsp", "ssp:4", "async"
  std::string compression;      // "none", "int8", …
  std::string split;            // "rows", "features", "2x3"; empty unless MapReduce
  std::string split_reason;     // why automatic chose it; empty when asked for
  std::string reduce;           // MapReduce: "tree", "ring", …; empty elsewhere
  std::vector<WorkerReport> workers;
  std::optional<StalenessReport> staleness;
  std::optional<NetworkReport> network;
  std::vector<LostRank> lost;
  // Where losses have cut the network: its parts, the one whose model and report this is first, the others likewise by
  // rows (of as many: by their lowest node).
  std::vector<PartReport> parts;
  std::vector<RoundReport> rounds;             // thinned to at most about 1,000
  std::vector<std::string> dependent_columns;  // named, in input order
  std::vector<std::string> notes;              // sentences the user should read
  std::optional<Summary> summary;              // where it was asked for
  std::optional<TuningReport> tuning;          // likewise: the model is that of the point chosen
  Certificate certificate;
};

}  // namespace muster
