#include "engine/fit_session.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "engine/check_options.h"
#include "engine/fit_iterative.h"
#include "engine/fit_problem.h"
#include "engine/fit_scaling.h"
#include "engine/part_results.h"
#include "engine/session_options.h"
#include "muster/error.h"

namespace muster {
namespace {

class SessionTrainer {
 public:
  SessionTrainer(FitContext& context, SolverChoice solver)
      : context_(context), solver_(solver), problem_(context), rows_before_(context.agreed.rows) {}

  Trained run() {
    Trained trained;
    trained.solver = name(solver_);
    const std::optional<std::size_t> column = problem_.separating_column();
    std::vector<double> v = best_constant();
    if (column) {
      mark_separated(context_, *column, trained);
    } else {
      if (context_.request.start) v = problem_.from_user(*context_.request.start);
      if (!context_.request.start || !stops_at(v, trained)) v = train(std::move(v), trained);
    }
    trained.model = problem_.to_user(v);
    trained.baseline = problem_.baseline();
    trained.curvature_by_intercept = curvature_;
    return trained;
  }

 private:
  std::vector<double> best_constant() {
    MapReduce map_reduce(problem_.objective(), context_.endpoint(), problem_.options());
    std::vector<double> v = problem_.best_constant(map_reduce);
    curvature_ = problem_.curvature_by_intercept(map_reduce.tallies(), map_reduce.weight());
    context_.compute_seconds += map_reduce.compute_seconds();
    return v;
  }

  // Whether a start that was given meets the tolerance. Workers that see their own rows' gradients alone, none of which
  // is 0 at the optimum, would take many rounds to find that out.
  bool stops_at(const std::vector<double>& start, Trained& trained) {
    MapReduceOptions options = problem_.options();
    options.judge = [this](const RoundState& state) { return judge(state); };
    MapReduce map_reduce(problem_.objective(), context_.endpoint(), std::move(options));
    std::vector<double> gradient(start.size());
    const double value = map_reduce.value_and_gradient(start, gradient);
    Problem::Verdict verdict = map_reduce.after_round(1, start, value, gradient);
    context_.compute_seconds += map_reduce.compute_seconds();
    if (!verdict.stop) return false;
    trained.reason = verdict.reason;
    trained.detail = std::move(verdict.detail);
    trained.rounds = 1;
    trained.history = map_reduce.rounds();
    if (context_.topology != nullptr)
      trained.network =
          describe_network(std::vector<double>(static_cast<std::size_t>(context_.endpoint().size()), 0.0));
    return true;
  }

  std::vector<double> train(std::vector<double> start, Trained& trained) {
    SessionResult session = context_.request.options.run.mode == Mode::parameter_server
                                ? serve(std::move(start), trained)
                                : gossip(std::move(start), trained);
    take_account(session, trained);
    context_.compute_seconds += session.compute_seconds;
    if (session.survivors) {
      context_.survivors = std::move(session.survivors);
      context_.group = context_.survivors.get();
      agree_on_rows_left(context_);
      context_.rows_lost = rows_before_ - context_.agreed.rows;
      if (!trained.cut) tell_losses(trained);
    }
    return std::move(session.w);
  }

  SessionResult serve(std::vector<double> start, Trained& trained) {
    ParameterServerOptions options;
    options.session = session_options();
    options.solver = server_solver(solver_);
    options.server = context_.request.options.run.server;
    options.implicit_centre = problem_.objective().implicit_centre();
    options.outputs = problem_.objective().outputs();
    if (!problem_.classifies()) options.radius = std::sqrt(context_.agreed.target_square);
    options.restore = [this]() -> std::optional<std::vector<double>> {
      const std::optional<LinearModel> model = context_.request.restore ? context_.request.restore() : std::nullopt;
      if (!model) return std::nullopt;
      return problem_.from_user(*model);
    };
    ParameterServerResult result =
        train_parameter_server(problem_.objective(), context_.endpoint(), std::move(start), options);
    trained.staleness = std::move(result.staleness);
    return std::move(result.session);
  }

  SessionResult gossip(std::vector<double> start, Trained& trained) {
    DecentralizedOptions options;
    options.session = session_options();
    if (!context_.request.options.run.network.takeover) options.session.adopt = {};
    options.solver = network_solver(solver_);
    options.network = context_.request.options.run.network;
    options.regroup = [this](Endpoint& group) { return regroup(group); };
    const Topology& topology = *context_.topology;
    if (!topology.note().empty()) trained.notes.push_back("the topology: " + topology.note());
    DecentralizedResult result =
        train_decentralized(problem_.objective(), context_.endpoint(), topology, std::move(start), options);
    trained.network = describe_network(std::move(result.consensus_distance));
    take_network_account(result, trained);
    return std::move(result.session);
  }

  // Its spectrum is added later.
  NetworkReport describe_network(std::vector<double> consensus_distance) const {
    const Topology& topology = *context_.topology;
    return {topology.name(), topology.weights_name(), 0, 0, std::move(consensus_distance)};
  }

  // Rows that nobody took over are in neither the sums nor the certificate.
  void tell_losses(Trained& trained) const {
    note_losses(trained.lost, trained.notes);
    if (context_.rows_lost == 0) return;
    trained.notes.push_back(fmt::format(
        "{} rows of lost ranks are not in the model; --takeover has neighbours read them again", context_.rows_lost));
  }

  // What "converged" means is relative to the rows at hand.
  StopEstimate regroup(Endpoint& group) {
    context_.group = &group;
    try {
      agree_on_rows_left(context_);
      if (const std::optional<std::size_t> column = problem_.separating_column())
        throw InputError(fmt::format("column '{}' separates the classes", context_.name_of(*column)));
      best_constant();
    } catch (const InputError& error) {
      throw ClusterError(fmt::format("there is no model of the rows left after losses: {}", error.what()));
    }
    return problem_.estimate(curvature_);
  }

  SessionOptions session_options() {
    const TrainOptions& asked = context_.request.options;
    SessionOptions options = muster::session_options(asked.run, asked.stop, context_.request.cancellation);
    options.penalty = problem_.coordinates().penalty();
    options.l1 = problem_.coordinates().l1();
    options.estimate = problem_.estimate(curvature_);
    options.judge = [this](const RoundState& state) { return judge(state); };
    options.on_round = [this](const RoundReport& report, std::span<const double> w) { observe(report, w); };
    options.adopt = context_.request.adopt;
    options.losses_end_run = context_.request.losses_end_run;
    return options;
  }

  Problem::Verdict judge(const RoundState& state) {
    curvature_ = problem_.curvature_by_intercept(state.tallies, context_.agreed.weight);
    return problem_.judge(state, problem_.gap(state, curvature_), 1);
  }

  void observe(const RoundReport& report, std::span<const double> w) {
    const FitRequest& request = context_.request;
    if (request.on_round) request.on_round(report, problem_.estimated_gap(report));
    if (request.wants_checkpoint && request.wants_checkpoint())
      request.save_checkpoint(report.round, problem_.to_user(w));
  }

  FitContext& context_;
  SolverChoice solver_;
  FitProblem problem_;
  std::int64_t rows_before_;
  double curvature_ = 1;
};

}  // namespace

Trained fit_session(FitContext& context, SolverChoice solver) {
  return SessionTrainer(context, solver).run();
}

}  // namespace muster
