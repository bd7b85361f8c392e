#include "engine/fit_one_pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "data/agree.h"
#include "engine/check_options.h"
#include "engine/endpoint_peers.h"
#include "engine/fit_report.h"
#include "engine/launch.h"
#include "engine/stop_request.h"
#include "muster/error.h"

namespace muster {
namespace {

bool plain_servers(const ServerOptions& asked) {
  const ServerOptions plain;
  return asked.servers == plain.servers && asked.replicas == plain.replicas && asked.batch == plain.batch &&
         asked.adagrad == plain.adagrad && asked.decay == plain.decay &&
         asked.staleness_damping == plain.staleness_damping;
}

// Why the pass ended before the files did: of several learners' reasons the last of these.
enum class Cut : int { none = 0, third_label, max_time, interrupted };

class Learning {
 public:
  Learning(const TrainOptions& options, OneReading& reading, OnePass& shared, Endpoint& endpoint)
      : options_(options), reading_(reading), learner_(shared), endpoint_(endpoint), start_(endpoint.now()) {}

  void run() {
    while (const Shard* rows = reading_.next()) {
      if (!learner_.learn(*rows)) return end(Cut::third_label);
      endpoint_.progress();
      if (stop_request().cancelled()) return end(Cut::interrupted);
      if (endpoint_.now() - start_ > options_.stop.max_seconds) return end(Cut::max_time);
    }
  }
  Cut cut() const { return cut_; }
  std::int64_t rows() const { return learner_.rows(); }
  double seconds() const { return endpoint_.now() - start_; }

 private:
  void end(Cut cut) { cut_ = cut; }

  const TrainOptions& options_;
  OneReading& reading_;
  OnePassLearner learner_;
  Endpoint& endpoint_;
  Time start_;
  Cut cut_ = Cut::none;
};

LinearModel model_of(const OnePass& shared, const OneReading& reading, const Dataset& data) {
  const bool turned = shared.classifies() && reading.positive(data) != shared.labels()[1];
  LinearModel model{std::vector<double>(data.encoding.feature_count()), {shared.intercept(turned)}};
  for (std::size_t j = 0; j < model.w.size(); ++j)
    model.w[j] = shared.coefficient(reading.first_feature() + static_cast<std::uint32_t>(j), turned);
  return model;
}

std::pair<StopReason, std::string> reason_of(Cut cut) {
  switch (cut) {
    case Cut::interrupted:
      return {StopReason::interrupted, "interrupted before the end of the files"};
    case Cut::max_time:
      return {StopReason::max_time, "time was up before the end of the files"};
    default:
      return {StopReason::max_rounds, "one pass over the rows, as --max-epochs asks"};
  }
}

Certificate no_certificate(const LoadSummary& summary) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  Certificate certificate;
  certificate.objective = certificate.gradient_norm = certificate.relative_target = kUnknown;
  certificate.bound_source = "one pass sees no row twice";
  certificate.rows_read = summary.rows_read;
  certificate.rows_in_files = summary.rows_in_files;
  certificate.same_model_on_all_ranks = true;
  return certificate;
}

}  // namespace

bool asks_for_one_pass(const TrainOptions& options, TransportChoice transport) {
  const RunOptions& run = options.run;
  const SolverChoice solver = run.solver;
  const bool learns = solver == SolverChoice::sgd || solver == SolverChoice::ftrl || solver == SolverChoice::hogwild;
  if (run.mode != Mode::parameter_server || !learns || options.stop.max_epochs != 1) return false;
  const bool penalty = options.problem.l1 > 0 || options.problem.l2 > 0;
  const bool many_looks = options.problem.loss == Loss::softmax || options.tuning.asked() || options.summary ||
                          options.verify || options.data.cache || (options.problem.standardize && penalty);
  const bool starts_or_resumes = !options.warm_start.empty() || !options.checkpoint.directory.empty();
  const bool rounds = options.stop.max_rounds != StopOptions{}.max_rounds ||
                      synchronisation(run).kind != Synchronisation::Kind::async ||
                      run.compression.kind != MessageCompression::Kind::none || !plain_servers(run.server);
  if (transport != TransportChoice::threads || many_looks || starts_or_resumes || rounds) return false;
  return !run.reproducible || learners_of(run) == 1;
}

TrainOptions options_of_one_pass(TrainOptions options) {
  RunOptions& run = options.run;
  run.workers = learners_of(run);
  run.threads = 1;
  run.server.servers = 0;
  return options;
}

OnlineProblem online_problem(const TrainOptions& options) {
  return {.rule = options.run.solver == SolverChoice::ftrl ? OnlineRule::ftrl : OnlineRule::adagrad,
          .function = options.problem.loss == Loss::logistic ? RowFunction::logistic : RowFunction::squared,
          .intercept = options.problem.intercept,
          .l2 = options.problem.l2,
          .l1 = options.problem.l1};
}

OnePassFit fit_in_one_pass(const TrainOptions& options, const LoadRequest& load, const StreamOptions& stream,
                           OnePass& shared, Endpoint& endpoint, Reporter& reporter) {
  EndpointPeers peers(endpoint, stop_request());
  const Time start = endpoint.now();
  const std::unique_ptr<OneReading> reading =
      read_once(load, stream, peers, [&](const LoadProgress& progress) { reporter.reading(progress); });
  Learning learning(options, *reading, shared, endpoint);
  together(peers, [&] { learning.run(); });
  const double compute_seconds = learning.seconds();

  double cut = static_cast<double>(learning.cut()), rows = static_cast<double>(learning.rows());
  endpoint.allreduce({&cut, 1}, ReduceOp::max, Deadline::never());
  endpoint.allreduce({&rows, 1}, ReduceOp::sum, Deadline::never());
  if (rows == 0 && stop_request().cancelled()) throw Cancelled("stopped before there was a model to save");
  OnePassFit fit{reading->finish({cut == 0, learning.rows(), shared.labels()}, peers), {}};

  const OnlineTotals totals = shared.exchange({});
  Trained trained;
  trained.solver = name(options.run.solver);
  std::tie(trained.reason, trained.detail) = reason_of(static_cast<Cut>(static_cast<int>(cut)));
  trained.rounds = trained.passes = 1;
  if (shared.sorted())
    trained.notes.push_back(
        "the rows seem to be sorted by their targets, and one pass remembers those best that come last: shuffle them");
  const double loss = totals.loss / totals.weight;
  trained.history.push_back({1, endpoint.now() - start, loss, std::numeric_limits<double>::quiet_NaN()});
  LinearModel model;
  if (endpoint.rank() == 0) model = model_of(shared, *reading, fit.data);
  const RunAccount account{options.run,
                           endpoint,
                           endpoint,
                           nullptr,
                           static_cast<std::size_t>(learning.rows()),
                           fit.data.encoding.feature_count(),
                           compute_seconds,
                           start};
  Report report = make_report(account, std::move(trained), "", no_certificate(fit.data.summary));
  report.progressive_loss = loss;
  fit.fitted = {std::move(model), 0, true, std::move(report)};
  return fit;
}

}  // namespace muster
