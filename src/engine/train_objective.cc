// One run with an objective that the program brought: the trainers of the three programming models, which know no
// linear model, with a stopping criterion that needs none, the norm of the gradient.
#include "muster/train_objective.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

#include "engine/check_options.h"
#include "engine/fit_certificate.h"
#include "engine/fit_choice.h"
#include "engine/fit_report.h"
#include "engine/launch.h"
#include "engine/minimise.h"
#include "engine/objective_shares.h"
#include "engine/part_results.h"
#include "engine/reporter.h"
#include "engine/session_options.h"
#include "engine/stop_request.h"

namespace muster {
namespace {

// As far as options can be judged without data.
TrainOptions as_train_options(const ObjectiveOptions& options) {
  TrainOptions all;
  all.run = options.run;
  all.stop = options.stop;
  if (!options.l1.empty()) all.problem.l1 = 1;
  return all;
}

class ObjectiveRun {
 public:
  ObjectiveRun(const ObjectiveFactory& make, const std::vector<double>& start, const ObjectiveOptions& options,
               Endpoint& endpoint, Reporter& reporter)
      : make_(make),
        options_(options),
        whole_(endpoint),
        reporter_(reporter),
        workers_(readers_of(options.run, endpoint.size())),
        start_time_(endpoint.now()),
        start_(start),
        objective_(start) {
    if (endpoint.rank() < workers_) objective_.add(make(endpoint.rank(), workers_));
    double agreed[] = {static_cast<double>(objective_.tallies()), objective_.takes_rows() ? 0.0 : 1.0};
    endpoint.allreduce(agreed, ReduceOp::max, Deadline::never());
    objective_.set_tallies(static_cast<std::size_t>(agreed[0]));
    takes_rows_ = agreed[1] == 0;
  }

  ObjectiveResult run() {
    if (options_.run.mode == Mode::decentralized) {
      topology_ =
          make_topology(options_.run.network.topology, whole_.size(), options_.run.network.weights, options_.run.seed);
      check_connected(*topology_);
    }
    Choice choice = choose();
    Trained trained;
    trained.solver = name(choice.solver);
    std::vector<double> w = train(choice.solver, trained);
    Certificate certificate = certify(w);
    const RunAccount account{options_.run,      whole_,        living(),         topology_ ? &*topology_ : nullptr,
                             objective_.rows(), start_.size(), compute_seconds_, start_time_};
    const bool speaks = whole_.rank() == living().members().front();
    Report report = make_report(account, std::move(trained), std::move(choice.reason), std::move(certificate));
    for (std::size_t r = 0; r < report.workers.size(); ++r) report.workers[r].host = whole_.host(static_cast<int>(r));
    return {std::move(w), std::move(report), speaks};
  }

 private:
  Endpoint& living() { return survivors_ ? *survivors_ : whole_; }

  Choice choose() {
    const RunOptions& run = options_.run;
    if (run.solver == SolverChoice::hogwild)
      throw InputError("solver hogwild is for linear models: leave the choice of solver to muster, or take dave");
    if (run.mode != Mode::mapreduce) {
      Choice choice = choose_session_solver(run, topology_ ? &*topology_ : nullptr);
      const bool batches = choice.solver == SolverChoice::ftrl || run.server.batch > 0;
      if (batches && !takes_rows_)
        throw InputError(fmt::format("solver {} takes rows a few at a time, which needs a RowObjective",  //
                                     name(choice.solver)));
      return choice;
    }
    if (run.solver == SolverChoice::exact)
      throw InputError("solver exact is for linear models: leave the choice of solver to muster, or take lbfgs");
    if (run.solver == SolverChoice::cg)
      throw InputError(
          "solver cg is for quadratic functions, such as the squared loss of a linear model: take newton_cg or lbfgs");
    if (run.solver != SolverChoice::automatic) return {run.solver};
    if (!options_.l1.empty()) return {SolverChoice::nesterov, "nesterov, because an l1 penalty has no gradient at 0"};
    return {SolverChoice::lbfgs, "lbfgs, because it needs no bound on the curvature"};
  }

  std::vector<double> penalty() const {
    return options_.l2.empty() ? std::vector<double>(start_.size(), 0.0) : options_.l2;
  }

  MapReduceOptions map_reduce_options() const {
    MapReduceOptions options;
    options.reduce = options_.run.reduce;
    options.penalty = penalty();
    options.l1 = options_.l1;
    options.cancellation = &stop_request();
    options.max_seconds = options_.stop.max_seconds;
    return options;
  }

  double norm_at_start(MapReduce& map_reduce) const {
    std::vector<double> gradient(start_.size());
    map_reduce.value_and_gradient(start_, gradient);
    double square = 0;
    for (const double g : minimum_norm_subgradient(start_, gradient, options_.l1)) square += g * g;
    return std::sqrt(square);
  }

  std::vector<double> train(SolverChoice solver, Trained& trained) {
    MapReduceOptions all = map_reduce_options();
    all.judge = [this](const RoundState& state) { return judge(state); };
    all.on_round = [this](const RoundReport& round, const RoundState&) { observe(round); };
    MapReduce map_reduce(objective_, whole_, all);
    first_norm_ = norm_at_start(map_reduce);
    if (options_.run.mode != Mode::mapreduce) return train_session(solver, trained);
    SolverResult result =
        minimise(solver, map_reduce, start_,
                 {.l1 = options_.l1, .max_rounds = options_.stop.max_rounds, .seed = options_.run.seed});
    trained.reason = result.reason;
    trained.detail = std::move(result.detail);
    trained.rounds = result.rounds;
    trained.history = map_reduce.rounds();
    trained.sent_per_round = map_reduce.sent_per_round();
    trained.passes = map_reduce.passes();
    compute_seconds_ += map_reduce.compute_seconds();
    return std::move(result.w);
  }

  std::vector<double> train_session(SolverChoice solver, Trained& trained) {
    SessionResult session = options_.run.mode == Mode::parameter_server ? serve(solver, trained)  //
                                                                        : gossip(solver, trained);
    take_account(session, trained);
    compute_seconds_ += session.compute_seconds;
    survivors_ = std::move(session.survivors);
    if (!trained.cut) note_losses(trained.lost, trained.notes);
    return std::move(session.w);
  }

  StopEstimate estimate() const {
    const double allowed = options_.stop.tolerance * first_norm_;
    return {std::vector<double>(start_.size(), 1.0),
            [allowed](double, double square) { return square <= allowed * allowed; }};
  }

  SessionOptions session() {
    SessionOptions options = session_options(options_.run, options_.stop, &stop_request());
    options.penalty = penalty();
    options.l1 = options_.l1;
    options.estimate = estimate();
    options.judge = [this](const RoundState& state) { return judge(state); };
    options.on_round = [this](const RoundReport& round, std::span<const double>) { observe(round); };
    options.adopt = [this](int lost) { objective_.add(make_(lost, workers_)); };
    options.losses_end_run = choose_transport(options_.run) == TransportChoice::mpi;
    return options;
  }

  SessionResult serve(SolverChoice solver, Trained& trained) {
    ParameterServerOptions options;
    options.session = session();
    options.solver = server_solver(solver);
    options.server = options_.run.server;
    ParameterServerResult result = train_parameter_server(objective_, whole_, start_, options);
    trained.staleness = std::move(result.staleness);
    return std::move(result.session);
  }

  SessionResult gossip(SolverChoice solver, Trained& trained) {
    DecentralizedOptions options;
    options.session = session();
    if (!options_.run.network.takeover) options.session.adopt = {};
    options.solver = network_solver(solver);
    options.network = options_.run.network;
    options.regroup = [this](Endpoint& group) {
      MapReduce map_reduce(objective_, group, map_reduce_options());
      if (!(map_reduce.weight() > 0)) throw ClusterError("there are no rows left after losses");
      first_norm_ = norm_at_start(map_reduce);
      return estimate();
    };
    DecentralizedResult result = train_decentralized(objective_, whole_, *topology_, start_, options);
    trained.network =
        NetworkReport{topology_->name(), topology_->weights_name(), 0, 0, std::move(result.consensus_distance)};
    take_network_account(result, trained);
    return std::move(result.session);
  }

  Problem::Verdict judge(const RoundState& state) const {
    if (state.gradient_norm <= options_.stop.tolerance * first_norm_)
      return {true, StopReason::converged, "the gradient norm met the tolerance"};
    return {};
  }

  void observe(const RoundReport& round) {
    if (options_.run.mode == Mode::mapreduce && whole_.rank() != 0) return;  // sessions tell one rank alone
    const double allowed = options_.stop.tolerance * first_norm_;
    reporter_.training(round, allowed > 0 ? round.gradient_norm / allowed : 0);
  }

  // From scratch, over the rows of the living.
  Certificate certify(std::span<const double> w) {
    MapReduce all(objective_, living(), map_reduce_options());
    std::vector<double> gradient(w.size());
    Certificate certificate;
    certificate.objective = all.value_and_gradient(w, gradient);
    for (const double g : minimum_norm_subgradient(w, gradient, options_.l1)) certificate.gradient_norm += g * g;
    certificate.gradient_norm = std::sqrt(certificate.gradient_norm);
    certificate.bound_source = "none is known for an objective of one's own";
    certificate.relative_target = std::abs(certificate.objective);
    auto rows = static_cast<double>(objective_.rows());
    living().allreduce({&rows, 1}, ReduceOp::sum, Deadline::never());
    certificate.rows_read = certificate.rows_in_files = static_cast<std::int64_t>(rows);
    certificate.computed_from = "rows";
    compare_ranks(living(), w, certificate);
    return certificate;
  }

  const ObjectiveFactory& make_;
  const ObjectiveOptions& options_;
  Endpoint& whole_;
  Reporter& reporter_;
  const int workers_;
  const Time start_time_;
  const std::vector<double>& start_;
  ObjectiveShares objective_;
  std::optional<Topology> topology_;
  std::unique_ptr<Endpoint> survivors_;
  bool takes_rows_ = false;  // every share here and elsewhere
  double first_norm_ = 0, compute_seconds_ = 0;
};

}  // namespace

ObjectiveResult train_objective(const ObjectiveFactory& make, std::vector<double> start,
                                const ObjectiveOptions& options, const ProgressObserver& observer) {
  check_options(as_train_options(options));
  for (const std::vector<double>* penalty : {&options.l2, &options.l1})
    if (!penalty->empty() && penalty->size() != start.size())
      throw InputError(fmt::format("a penalty has {} numbers and the start {}: they must be as many", penalty->size(),
                                   start.size()));
  const SplitOptions::Kind split = options.run.split.kind;
  if (split != SplitOptions::Kind::automatic && split != SplitOptions::Kind::rows)
    throw InputError("an objective of one's own is split by rows: drop --split");
  const TransportChoice transport = choose_transport(options.run);
  EndpointOptions endpoint_options;
  endpoint_options.silence_seconds = options.run.silence_seconds;
  endpoint_options.tolerate_losses = options.run.mode != Mode::mapreduce;

  const auto train_one = [&](Endpoint& endpoint) {
    Reporter reporter(observer, endpoint);
    reporter.begin(Progress::Stage::training);
    return ObjectiveRun(make, start, options, endpoint, reporter).run();
  };
  const bool processes = transport == TransportChoice::mpi;
  PartResults<ObjectiveResult> results;
  const std::vector<std::string> notes = launch(transport, options.run, endpoint_options, [&](Endpoint& endpoint) {
    results.collect(endpoint.rank(), processes, [&] { return train_one(endpoint); });
  });
  ObjectiveResult result = results.join();
  result.report.notes.insert(result.report.notes.end(), notes.begin(), notes.end());
  result.report.transport = name(transport);
  if (options.run.mode == Mode::mapreduce) {
    result.report.split = "rows";
    result.report.reduce = name(pattern_used(options.run, transport, false));
  }
  return result;
}

}  // namespace muster
