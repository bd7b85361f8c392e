#include "train_options.h"

#include <fmt/format.h>

#include <memory>

#include "option_values.h"

namespace muster::cli {

namespace {

// Options of train as given, before they mean something.
struct Unread {
  bool no_intercept = false;
  std::vector<std::string> polynomials;
};

void add_data_options(OptionSet& set, DataOptions& data, Unread& unread) {
  set.group("data");
  set.words("DATA", data.paths, "files, globs or directories: CSV, Parquet or LIBSVM, also .gz and .zst");
  set.text("--target", "NAME", data.target, "the column to predict (LIBSVM files carry their own label)");
  add_format_option(set, data.format);
  set.list("--features", "A,B,'x*'", data.features,
           "columns to use, by name or glob; a comma in a name is written \\, [every column not used otherwise]");
  set.list("--drop", "C", data.drop, "columns to leave out, by name or glob");
  set.list("--categorical", "D", data.categorical,
           "columns to one-hot encode although they look numeric (columns of text always are)");
  set.choice<MissingPolicy>(
      "--missing", {{"error", MissingPolicy::error}, {"drop", MissingPolicy::drop}, {"mean", MissingPolicy::mean}},
      data.missing,
      "what to do about missing cells: refuse them, drop their rows, or fill in the column's mean [error]");
  set.text("--weight", "NAME", data.weight, "column of sample weights, at least 0 [every row weighs 1]");
  set.text("--offset", "NAME", data.offset, "column added to the margin with a coefficient fixed at 1 [none]");
  set.flag("--no-intercept", unread.no_intercept, "fit no constant term [there is one, never penalised]");
  set.list("--poly", "NAME:DEGREE", unread.polynomials, "add the powers 2 to DEGREE of a column");
  set.choice<LibsvmBase>(
      "--libsvm-base", {{"auto", LibsvmBase::automatic}, {"0", LibsvmBase::zero}, {"1", LibsvmBase::one}},
      data.libsvm_base, "index of the first feature of LIBSVM files [auto: 0 where that index occurs, else 1]");
  set.choice<StorageChoice>(
      "--storage",
      {{"auto", StorageChoice::automatic}, {"float64", StorageChoice::float64}, {"float32", StorageChoice::float32}},
      data.storage, "element type of the rows in memory [auto: float32 where that loses nothing]");
  set.value("--memory", "SIZE",
            "what a process may use, as in 2GB; rows that do not fit are streamed on every pass [what is available]",
            [&data](const std::string& given) { data.memory_bytes = parse_size(given); });
  set.flag("--cache", data.cache,
           "keep the parsed rows in hidden files beside the data, for other runs on the same files and for passes over "
           "rows that do not fit [a run parses text, and sets aside what does not fit in TMPDIR]");
}

// The grid that suits most tables where none is given: f is an average, so strengths do not depend on the number of
// rows.
constexpr const char* kUsualGrid = "1e-6:1e2:17";

void add_tuning_options(OptionSet& set, TuningOptions& tuning) {
  set.group("penalties: every pair is tried on every fold");
  set.value("--l2", "FROM:TO:COUNT|A,B,...",
            fmt::format("strengths of the L2 penalty to try, at equal ratios or listed [{} where --l1 is not given]",
                        kUsualGrid),
            [&tuning](const std::string& given) { tuning.l2 = parse_strengths("--l2", given); });
  set.value("--l1", "FROM:TO:COUNT|A,B,...", "likewise of the L1 penalty [0]",
            [&tuning](const std::string& given) { tuning.l1 = parse_strengths("--l1", given); });
  set.integer("--folds", "K", 2, tuning.folds, "parts of the rows, each held out once; dealt by --seed [5]");
  set.value("--fold-column", "NAME",
            "hold out the rows of one label in this column together, each label once (groups that are not to be split: "
            "patients, sites, days); the column is no feature [--folds]",
            [&tuning](const std::string& given) {
              if (given.empty()) throw InputError("--fold-column is empty");
              tuning.fold_column = given;
            });
  set.flag("--one-standard-error", tuning.one_standard_error,
           "take the strongest penalties whose loss is within one standard error of the best [the best]");
}

void add_problem_options(OptionSet& set, ProblemOptions& problem, bool penalties) {
  set.group("problem: minimise (1/S) sum s_i loss(x_i w + b + o_i, y_i) + (l2/2)|w|^2 + l1|w|_1");
  set.choice<Loss>(
      "--loss", {{"squared", Loss::squared}, {"logistic", Loss::logistic}, {"softmax", Loss::softmax}}, problem.loss,
      "squared: linear regression; logistic: two classes, given as 0/1, -1/1 or two texts; softmax: two or "
      "more classes, numbers or texts, each with coefficients of its own [squared]");
  if (penalties) {
    set.number("--l2", "LAMBDA", problem.l2, "strength of the L2 penalty (ridge) [0]");
    set.number("--l1", "LAMBDA", problem.l1, "strength of the L1 penalty, which makes coefficients zero (lasso) [0]");
  }
  set.flag("--standardize", problem.standardize,
           "let the penalties act on columns scaled to standard deviation 1, as Spark and glmnet do");
  set.text("--positive", "LEVEL", problem.positive, "logistic: the level that counts as 1 [the larger of the two]");
}

void add_run_options(OptionSet& set, RunOptions& run) {
  set.group("how");
  set.choice<Mode>("--mode",
                   {{"mapreduce", Mode::mapreduce},
                    {"parameter-server", Mode::parameter_server},
                    {"decentralized", Mode::decentralized}},
                   run.mode,
                   "programming model; mapreduce: every round, the workers' gradients are summed at a barrier; "
                   "parameter-server: workers pull, compute and push at their own speed; decentralized: nodes average "
                   "with their neighbours, without a server [mapreduce]");
  set.integer("-n,--workers", "N", 1, run.workers,
              "number of workers [one per processor; under mpirun or srun, its ranks are the workers]");
  set.choice<TransportChoice>("--transport",
                              {{"auto", TransportChoice::automatic},
                               {"threads", TransportChoice::threads},
                               {"mpi", TransportChoice::mpi},
                               {"sim", TransportChoice::sim}},
                              run.transport,
                              "how workers exchange messages; sim: over a simulated network, on a virtual clock [auto: "
                              "mpi under a launcher, else "
                              "threads]");
  set.text(
      "--simulate", "CLUSTER.toml", run.simulate,
      "run on the simulated cluster of this file (docs/SIMULATION.md); its nodes are the workers unless -n says fewer");
  set.choice<SolverChoice>(
      "--solver",
      {{"auto", SolverChoice::automatic},
       {"gd", SolverChoice::gd},
       {"nesterov", SolverChoice::nesterov},
       {"lbfgs", SolverChoice::lbfgs},
       {"cg", SolverChoice::cg},
       {"newton-cg", SolverChoice::newton_cg},
       {"exact", SolverChoice::exact},
       {"dave", SolverChoice::dave},
       {"sgd", SolverChoice::sgd},
       {"ftrl", SolverChoice::ftrl},
       {"hogwild", SolverChoice::hogwild},
       {"nids", SolverChoice::nids},
       {"gradient-tracking", SolverChoice::gradient_tracking},
       {"push-sum", SolverChoice::push_sum},
       {"pairwise", SolverChoice::pairwise},
       {"dgd", SolverChoice::dgd}},
      run.solver,
      "mapreduce: exact (squared loss by one pass and one solve), cg (squared loss by conjugate gradients), lbfgs "
      "(limited-memory BFGS), newton-cg (Newton's method by conjugate gradients), gd (gradient descent with step 1/L), "
      "nesterov (accelerated; the one for --l1) [auto: exact for the squared loss where cheaper, else cg; lbfgs for "
      "the "
      "other losses]; parameter-server: dave (exact whatever "
      "the workers' speeds), sgd (the plain rule, biased by unequal speeds), ftrl (one pass or more over sparse rows), "
      "hogwild (one worker, whose --threads update one model without locks) "
      "[auto: dave]; decentralized: nids (exact, symmetric graphs), "
      "gradient-tracking (changing graphs), push-sum (directed graphs), pairwise (without rounds, exact at any "
      "speeds), "
      "dgd (the plain rule, biased) [auto: by the graph; with --sync async: pairwise]");
  set.value("--sync", "bsp|ssp:S|async",
            "who waits for whom; bsp: all for all, every round; ssp:S: a worker that is S clocks ahead of the slowest; "
            "async: nobody; decentralized: no rounds, neighbours average in pairs [bsp; parameter-server: async]",
            [&run](const std::string& given) { run.sync = parse_sync(given); });
  set.value(
      "--split", "auto|rows|features|RxC",
      "mapreduce: who holds what; rows: each worker its rows; features: each worker its columns, for models of many "
      "more columns than one should hold; RxC: a grid of R row blocks by C column blocks, R*C workers [auto: by the "
      "shape of the data]",
      [&run](const std::string& given) { run.split = parse_split(given); });
  set.choice<ReducePattern>(
      "--reduce",
      {{"auto", ReducePattern::automatic},
       {"star", ReducePattern::star},
       {"tree", ReducePattern::tree},
       {"ring", ReducePattern::ring},
       {"engine", ReducePattern::engine}},
      run.reduce,
      "mapreduce: how the workers' sums are added every round; star: at one server, the textbook's; tree: pairwise, in "
      "log2 N steps; ring: each worker a part, 2(N-1)/N of the numbers sent by each; engine: as the transport does, "
      "in the order of the tree [auto: engine]");
  set.value("--compress", "none|float32|float16|int8|topk:K",
            "how gradients and models are written in messages; what is lost of one is added to the next, so the result "
            "still meets the tolerance [none]",
            [&run](const std::string& given) { run.compression = parse_compression(given); });
  set.integer("--threads", "K", 1, run.threads, "threads of each worker [1; hogwild: one per processor]");
  set.flag("--reproducible", run.reproducible,
           "add across workers in a fixed order: the same data and N give the same bits on every transport");
  set.integer("--seed", "SEED", 0, run.seed, "of everything random [0]");
  set.number("--silence", "SECONDS", run.silence_seconds,
             "a worker waited for that does not answer for so long is lost, and the run ends [8]");
}

void add_server_options(OptionSet& set, ServerOptions& server) {
  set.group("how, with --mode parameter-server");
  set.integer("--servers", "S", 1, server.servers,
              "ranks beside the workers that own the model's parts; under mpirun, the last of its ranks [1]");
  set.integer("--replicas", "R", 1, server.replicas,
              "servers that hold each part, so that R - 1 of them may be lost [1]");
  set.integer("--batch", "ROWS", 1, server.batch,
              "rows of one step of sgd or ftrl [sgd: all of a worker's; ftrl: a few]");
  set.flag("--adagrad", server.adagrad, "sgd: a step size of its own for each coordinate (AdaGrad)");
  set.flag("--decay", server.decay, "sgd: steps that shrink as 1/(1 + passes over the data)");
  set.flag("--staleness-damping", server.staleness_damping, "sgd: late gradients count less");
}

void add_network_options(OptionSet& set, NetworkOptions& network) {
  set.group("how, with --mode decentralized");
  set.text(
      "--topology", "NAME|file:PATH", network.topology,
      "who talks to whom (docs/TOPOLOGIES.md; 'muster topology NAME -n N' describes it): ring, line, star, complete, "
      "torus[:RxC], hypercube, exponential, symmetric-exponential, one-peer-exponential, random-regular:K [ring]");
  set.choice<MixingWeights>("--weights",
                            {{"auto", MixingWeights::automatic},
                             {"metropolis", MixingWeights::metropolis},
                             {"lazy", MixingWeights::lazy},
                             {"uniform", MixingWeights::uniform},
                             {"file", MixingWeights::file}},
                            network.weights, "of a node's neighbours in its average [auto: lazy Metropolis]");
  set.integer("--local-steps", "H", 1, network.local_steps, "gradient steps between two exchanges [1]");
  set.flag("--chebyshev", network.chebyshev, "accelerate the averaging by Chebyshev's polynomials");
  set.integer("--node", "K", 0, network.node, "save node K's copy of the model [the average of all]");
  set.flag("--takeover", network.takeover, "a neighbour re-reads the rows of a node that is lost");
  set.flag(
      "--allow-parts", network.allow_parts,
      "where losses cut the network into parts, let each go on by itself, to a model of its own rows: that of most "
      "rows goes to --output, m.json say, and the others' beside it, m.part2.json and so on [the run ends, naming "
      "the parts]");
}

void add_start_option(OptionSet& set, std::string& warm_start) {
  set.value("--warm-start", "MODEL",
            "start from the coefficients of this model, by name of feature and class; what it does not have begins at "
            "0; the optimum stays the same, and from nearby is reached sooner [the best constant model]",
            [&warm_start](const std::string& given) {
              if (given.empty()) throw InputError("--warm-start is empty");
              warm_start = given;
            });
}

void add_stop_options(OptionSet& set, StopOptions& stop) {
  set.group("stop");
  set.number("--tolerance", "EPSILON", stop.tolerance,
             "when the objective is proven to be within EPSILON of the best possible, relative to the larger of itself "
             "and the best constant model's [1e-6]");
  set.integer("--max-rounds", "N", 1, stop.max_rounds, "after so many rounds [100000]");
  set.number("--max-epochs", "N", stop.max_epochs,
             "after so many passes over the data, on average; 1 with --solver sgd, ftrl or hogwild: learn from rows as "
             "they are read, once [no limit]");
  set.number("--max-time", "SECONDS", stop.max_seconds, "after so long in training [no limit]");
}

void add_output_options(OptionSet& set, TrainCommand& command) {
  set.group("output");
  set.text("-o,--output", "FILE", command.output, "where the model goes [model.json]");
  set.text("--report", "FILE", command.report, "an account of the run, as JSON [none]");
  set.value("--trace", "FILE", "what each worker did when, as a trace for ui.perfetto.dev or chrome://tracing [none]",
            [&command](const std::string& given) {
              if (given.empty()) throw InputError("--trace is empty");
              command.trace = given;
              command.options.trace = true;
            });
  set.text("--checkpoint", "DIR", command.options.checkpoint.directory, "save progress there, to resume from [none]");
  set.number("--checkpoint-every", "SECONDS", command.options.checkpoint.every_seconds, "how often [30]");
  set.flag("--resume", command.options.checkpoint.resume,
           "go on from the checkpoint in DIR, with any number of workers; start afresh where there is none");
  set.flag(
      "--summary", command.options.summary,
      "also standard errors, t or z values, p-values, 95% intervals, R², F or deviance, residual quantiles and AIC, "
      "for a fit without a penalty");
  set.flag("--verify", command.options.verify, "exact: read the rows again for the certificate");
  set.flag("-q,--quiet", command.quiet, "print nothing but errors");
}

}  // namespace

void add_format_option(OptionSet& set, Format& format) {
  set.choice<Format>(
      "--format",
      {{"auto", Format::automatic}, {"csv", Format::csv}, {"parquet", Format::parquet}, {"libsvm", Format::libsvm}},
      format, "of the files [auto: by extension, then by content]");
}

namespace {

std::function<void()> add_options(OptionSet& set, TrainCommand& command, bool tunes) {
  TrainOptions& options = command.options;
  const auto unread = std::make_shared<Unread>();
  add_data_options(set, options.data, *unread);
  add_problem_options(set, options.problem, !tunes);
  if (tunes) add_tuning_options(set, options.tuning);
  add_run_options(set, options.run);
  add_start_option(set, options.warm_start);
  add_server_options(set, options.run.server);
  add_network_options(set, options.run.network);
  add_stop_options(set, options.stop);
  add_output_options(set, command);
  return [unread, &options, tunes] {
    options.problem.intercept = !unread->no_intercept;
    for (const std::string& text : unread->polynomials) add_polynomial(text, options.data.polynomials);
    if (tunes && !options.tuning.asked()) options.tuning.folds = 5;
    if (tunes && options.tuning.l2.empty() && options.tuning.l1.empty())
      options.tuning.l2 = parse_strengths("--l2", kUsualGrid);
  };
}

}  // namespace

std::function<void()> add_train_options(OptionSet& set, TrainCommand& command) {
  return add_options(set, command, false);
}

std::function<void()> add_tune_options(OptionSet& set, TrainCommand& command) {
  return add_options(set, command, true);
}

}  // namespace muster::cli
