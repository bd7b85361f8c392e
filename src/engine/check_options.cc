#include "engine/check_options.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "muster/error.h"

namespace muster {
namespace {

using Kind = Synchronisation::Kind;

void require(bool holds, std::string_view sentence) {
  if (!holds) throw InputError(std::string(sentence));
}

struct SolverEntry {
  SolverChoice solver;
  std::string_view name;
  Mode mode;
};
constexpr std::array<SolverEntry, 15> kSolvers{{
    {SolverChoice::gd, "gd", Mode::mapreduce},
    {SolverChoice::nesterov, "nesterov", Mode::mapreduce},
    {SolverChoice::lbfgs, "lbfgs", Mode::mapreduce},
    {SolverChoice::cg, "cg", Mode::mapreduce},
    {SolverChoice::newton_cg, "newton-cg", Mode::mapreduce},
    {SolverChoice::exact, "exact", Mode::mapreduce},
    {SolverChoice::sgd, "sgd", Mode::parameter_server},
    {SolverChoice::dave, "dave", Mode::parameter_server},
    {SolverChoice::ftrl, "ftrl", Mode::parameter_server},
    {SolverChoice::hogwild, "hogwild", Mode::parameter_server},
    {SolverChoice::dgd, "dgd", Mode::decentralized},
    {SolverChoice::nids, "nids", Mode::decentralized},
    {SolverChoice::gradient_tracking, "gradient-tracking", Mode::decentralized},
    {SolverChoice::push_sum, "push-sum", Mode::decentralized},
    {SolverChoice::pairwise, "pairwise", Mode::decentralized},
}};

std::vector<std::string_view> solvers_of(Mode mode) {
  std::vector<std::string_view> names;
  for (const SolverEntry& entry : kSolvers)
    if (entry.mode == mode) names.push_back(entry.name);
  return names;
}

void check_solver(const RunOptions& run) {
  for (const SolverEntry& entry : kSolvers) {
    if (entry.solver != run.solver || entry.mode == run.mode) continue;
    throw InputError(fmt::format("--solver {} belongs to --mode {}: change one of them (--mode {} has {})", entry.name,
                                 name(entry.mode), name(run.mode), fmt::join(solvers_of(run.mode), ", ")));
  }
}

bool cuts_columns(const SplitOptions& split) {
  return split.kind == SplitOptions::Kind::features || (split.kind == SplitOptions::Kind::grid && split.columns > 1);
}

void check_mapreduce(const TrainOptions& options) {
  const RunOptions& run = options.run;
  require(run.sync.kind == Kind::automatic || run.sync.kind == Kind::bsp,
          "--mode mapreduce is bulk synchronous: drop --sync, or choose --mode parameter-server");
  require(run.compression.kind == MessageCompression::Kind::none,
          "--compress goes with --mode parameter-server or --mode decentralized");
  require(options.problem.l1 == 0 || run.solver == SolverChoice::nesterov || run.solver == SolverChoice::automatic,
          "--l1 under --mode mapreduce needs --solver nesterov: drop --solver");
  require(run.solver != SolverChoice::cg || options.problem.loss == Loss::squared,
          "--solver cg solves the squared loss only: use --solver newton-cg");
}

void check_server(const RunOptions& run) {
  const bool stochastic = run.solver == SolverChoice::sgd || run.solver == SolverChoice::ftrl;
  require(run.server.batch == 0 || stochastic, "--batch goes with --solver sgd or ftrl");
  const bool sgd = run.solver == SolverChoice::sgd;
  require(!run.server.adagrad || sgd, "--adagrad goes with --solver sgd");
  require(!run.server.decay || sgd, "--decay goes with --solver sgd");
  require(!run.server.staleness_damping || sgd, "--staleness-damping goes with --solver sgd");
  require(run.server.replicas <= run.server.servers,
          "--replicas counts the servers that hold each range, so it can not exceed --servers");
}

void check_hogwild(const TrainOptions& options) {
  const RunOptions& run = options.run;
  if (run.solver != SolverChoice::hogwild) return;
  require(run.workers <= 1,
          "--solver hogwild is one worker whose threads share the model: replace --workers by --threads");
  require(
      run.transport != TransportChoice::sim && run.simulate.empty(),
      "--solver hogwild races real threads, which a simulated cluster has not: drop --simulate and --transport sim");
  require(run.server.servers == 1, "--solver hogwild has no servers: drop --servers");
  require(run.sync.kind == Kind::automatic || run.sync.kind == Kind::async,
          "--solver hogwild is asynchronous: drop --sync");
  require(run.compression.kind == MessageCompression::Kind::none,
          "--solver hogwild sends no messages: drop --compress");
  require(!run.reproducible || run.threads == 1,
          "--solver hogwild depends on the order of its threads: with --reproducible, say --threads 1");
}

void check_network(const TrainOptions& options) {
  const RunOptions& run = options.run;
  require(run.sync.kind != Kind::ssp,
          "--mode decentralized goes in rounds (--sync bsp) or without (--sync async): change --sync, or choose --mode "
          "parameter-server");
  const bool pairwise = run.solver == SolverChoice::pairwise, automatic = run.solver == SolverChoice::automatic;
  require(run.sync.kind != Kind::async || pairwise || automatic,
          fmt::format("--solver {} goes in rounds: drop --sync async, or use --solver pairwise", name(run.solver)));
  require(run.sync.kind != Kind::bsp || !pairwise, "--solver pairwise has no rounds: drop --sync bsp");
  require(options.problem.l1 == 0 || run.solver != SolverChoice::dgd,
          "--l1 needs a solver that is exact, which dgd is not: drop --solver");
  require(run.network.node < 0 || run.workers == 0 || run.network.node < run.workers,
          "--node names a node, counted from 0, below the number of workers");
}

void check_tuning(const TrainOptions& options) {
  const TuningOptions& tuning = options.tuning;
  if (!tuning.asked()) return;
  require(tuning.folds == 0 || tuning.fold_column.empty(),
          "--fold-column says which rows are held out together, and --folds deals them out: drop one of them");
  require(tuning.folds == 0 || tuning.folds >= 2, "--folds must be at least 2");
  for (const std::vector<double>* strengths : {&tuning.l2, &tuning.l1})
    for (const double strength : *strengths)
      require(std::isfinite(strength) && strength >= 0, "--l2 and --l1 must be 0 or greater");
  require(options.checkpoint.directory.empty(), "--checkpoint goes with muster train: tuning is many short runs");
}

void check_foreign_options(const TrainOptions& options) {
  const ServerOptions servers;
  const NetworkOptions network;
  const RunOptions& run = options.run;
  require(run.mode == Mode::mapreduce || run.split.kind == SplitOptions::Kind::automatic,
          "--split goes with --mode mapreduce");
  require(run.mode == Mode::mapreduce || run.reduce == ReducePattern::automatic, "--reduce goes with --mode mapreduce");
  if (run.mode != Mode::parameter_server) {
    require(run.server.servers == servers.servers && run.server.replicas == servers.replicas,
            "--servers and --replicas go with --mode parameter-server");
    require(run.server.batch == 0 && !run.server.adagrad && !run.server.decay && !run.server.staleness_damping,
            "--batch, --adagrad, --decay and --staleness-damping go with --mode parameter-server --solver sgd");
    require(std::isinf(options.stop.max_epochs), "--max-epochs goes with --mode parameter-server: use --max-rounds");
  }
  if (run.mode != Mode::decentralized) {
    require(run.network.topology == network.topology && run.network.weights == network.weights,
            "--topology and --weights go with --mode decentralized");
    require(run.network.local_steps == 1 && !run.network.chebyshev && run.network.node == -1,
            "--local-steps, --chebyshev and --node go with --mode decentralized");
    require(!run.network.takeover && !run.network.allow_parts,
            "--takeover and --allow-parts go with --mode decentralized");
  }
}

void check_softmax(const TrainOptions& options) {
  require(options.data.offset.empty(),
          "--offset adds the same to every class's margin, which changes nothing under --loss softmax: drop it");
}

}  // namespace

std::string_view name(Mode mode) {
  switch (mode) {
    case Mode::mapreduce:
      return "mapreduce";
    case Mode::parameter_server:
      return "parameter-server";
    case Mode::decentralized:
      break;
  }
  return "decentralized";
}

std::string_view name(SolverChoice solver) {
  for (const SolverEntry& entry : kSolvers)
    if (entry.solver == solver) return entry.name;
  return "auto";
}

std::string name(const Synchronisation& sync) {
  switch (sync.kind) {
    case Kind::automatic:
      return "auto";
    case Kind::bsp:
      return "bsp";
    case Kind::ssp:
      return fmt::format("ssp:{}", sync.bound);
    case Kind::async:
      break;
  }
  return "async";
}

Synchronisation synchronisation(const RunOptions& run) {
  if (run.sync.kind != Kind::automatic) return run.sync;
  const bool async = run.mode == Mode::parameter_server || run.solver == SolverChoice::pairwise;
  return {async ? Kind::async : Kind::bsp};
}

std::string_view name(ReducePattern pattern) {
  switch (pattern) {
    case ReducePattern::automatic:
      return "auto";
    case ReducePattern::star:
      return "star";
    case ReducePattern::tree:
      return "tree";
    case ReducePattern::ring:
      return "ring";
    case ReducePattern::engine:
      break;
  }
  return "engine";
}

std::string name(const MessageCompression& compression) {
  switch (compression.kind) {
    case MessageCompression::Kind::none:
      return "none";
    case MessageCompression::Kind::float32:
      return "float32";
    case MessageCompression::Kind::float16:
      return "float16";
    case MessageCompression::Kind::int8:
      return "int8";
    case MessageCompression::Kind::top_k:
      break;
  }
  return fmt::format("topk:{}", compression.kept);
}

int servers_of(const RunOptions& run) {
  return run.mode == Mode::parameter_server && run.solver != SolverChoice::hogwild ? run.server.servers : 0;
}

void check_options(const TrainOptions& options) {
  require(options.run.workers >= 0, "--workers must be at least 1");
  require(options.run.threads >= 0, "--threads must be at least 1");
  require(options.run.silence_seconds > 0, "--silence must be greater than 0");
  require(std::isfinite(options.problem.l2) && options.problem.l2 >= 0, "--l2 must be 0 or greater");
  require(std::isfinite(options.problem.l1) && options.problem.l1 >= 0, "--l1 must be 0 or greater");
  require(options.stop.tolerance > 0 && options.stop.tolerance < 1, "--tolerance must be between 0 and 1");
  require(options.stop.max_rounds >= 1, "--max-rounds must be at least 1");
  require(options.stop.max_epochs > 0, "--max-epochs must be greater than 0");
  require(options.stop.max_seconds > 0, "--max-time must be greater than 0");
  require(options.run.server.servers >= 1 && options.run.server.replicas >= 1,
          "--servers and --replicas must be at least 1");
  require(options.checkpoint.every_seconds >= 0, "--checkpoint-every must be 0 (every round) or greater");
  require(!options.checkpoint.resume || !options.checkpoint.directory.empty(),
          "--resume needs --checkpoint DIR to resume from");
  require(options.warm_start.empty() || !options.checkpoint.resume,
          "--resume goes on from the checkpoint, which is where --warm-start has led to: drop --warm-start");
  require(options.warm_start.empty() || options.run.solver != SolverChoice::exact,
          "--solver exact solves in one pass wherever it starts: drop --warm-start, or use --solver cg");
  require(options.problem.positive.empty() || options.problem.loss == Loss::logistic,
          "--positive goes with --loss logistic");
  if (options.problem.loss == Loss::softmax) check_softmax(options);
  require(!options.summary || (options.problem.l1 == 0 && options.problem.l2 == 0),
          "--summary describes a fit without a penalty, whose coefficients are not biased: drop --l1 and --l2");
  require(!options.summary || options.problem.loss != Loss::softmax,
          "--summary is of one margin a row: it does not go with --loss softmax");
  require((!options.tuning.asked() && !options.summary) || !cuts_columns(options.run.split),
          "tuning and --summary weigh whole rows anew: use --split rows, or drop --split");
  check_tuning(options);
  check_foreign_options(options);
  check_solver(options.run);
  switch (options.run.mode) {
    case Mode::mapreduce:
      return check_mapreduce(options);
    case Mode::parameter_server:
      check_server(options.run);
      return check_hogwild(options);
    case Mode::decentralized:
      return check_network(options);
  }
}

}  // namespace muster
