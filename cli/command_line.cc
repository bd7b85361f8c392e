#include "command_line.h"

#include <fmt/format.h>

#include <charconv>

#include "nearest.h"
#include "option_set.h"

namespace muster::cli {

namespace {

const std::vector<std::string> kSubcommands{"train", "predict", "evaluate"};

constexpr const char* kShortHelp = R"(Muster trains linear models, on one machine or many.

  muster train DATA... --target NAME     fit a model to the rows of files; writes model.json
  muster predict MODEL DATA...           apply it to rows
  muster evaluate MODEL DATA...          measure it on rows whose target is known

Start with a table of your own:

  muster train table.csv --target COLUMN

'muster train --help' lists what can be chosen; every default is meant to be right without reading it.
)";

constexpr const char* kExitCodes = R"(
exit codes
  0 converged; 2 bad command or input; 3 stopped before the tolerance (the model is saved, marked so);
  4 a worker was lost; 5 a bug in Muster; 130 interrupted (the model is saved, marked so)
)";

// NAME:DEGREE; a name may hold colons itself.
void add_polynomial(const std::string& text, std::map<std::string, int>& polynomials) {
  const std::size_t colon = text.rfind(':');
  int degree = 0;
  const char* end = text.data() + text.size();
  const char* begin = colon == std::string::npos ? end : text.data() + colon + 1;
  const auto [rest, error] = std::from_chars(begin, end, degree);
  if (colon == std::string::npos || colon == 0 || error != std::errc() || rest != end) {
    throw InputError(fmt::format("--poly takes NAME:DEGREE, as in carat:3, not '{}'", text));
  }
  if (degree < 2) throw InputError(fmt::format("--poly {}: the degree must be at least 2", text));
  polynomials[text.substr(0, colon)] = degree;
}

const std::vector<std::pair<std::string, Format>> kFormats{
    {"auto", Format::automatic}, {"csv", Format::csv}, {"parquet", Format::parquet}, {"libsvm", Format::libsvm}};

// Options of train as given, before they mean something.
struct Unread {
  bool no_intercept = false;
  std::vector<std::string> polynomials;
};

void add_data_options(OptionSet& set, DataOptions& data, Unread& unread) {
  set.group("data");
  set.words("DATA", data.paths, "files, globs or directories: CSV, Parquet or LIBSVM, also .gz and .zst");
  set.text("--target", "NAME", data.target, "the column to predict (LIBSVM files carry their own label)");
  set.choice("--format", kFormats, data.format, "of the files [auto: by extension, then by content]");
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
}

void add_problem_options(OptionSet& set, ProblemOptions& problem) {
  set.group("problem: minimise (1/S) sum s_i loss(x_i w + b + o_i, y_i) + (l2/2)|w|^2");
  set.choice<Loss>("--loss", {{"squared", Loss::squared}, {"logistic", Loss::logistic}}, problem.loss,
                   "squared: linear regression; logistic: two classes, given as 0/1, -1/1 or two texts [squared]");
  set.number("--l2", "LAMBDA", problem.l2, "strength of the L2 penalty (ridge) [0]");
  set.flag("--standardize", problem.standardize,
           "let the penalty act on columns scaled to standard deviation 1, as Spark and glmnet do");
  set.text("--positive", "LEVEL", problem.positive, "logistic: the level that counts as 1 [the larger of the two]");
}

void add_run_options(OptionSet& set, RunOptions& run) {
  set.group("how");
  set.choice<Mode>("--mode", {{"mapreduce", Mode::mapreduce}}, run.mode,
                   "programming model: every round, the workers' gradients are summed at a barrier [mapreduce]");
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
       {"lbfgs", SolverChoice::lbfgs},
       {"exact", SolverChoice::exact}},
      run.solver,
      "exact: squared loss by one pass and one solve; lbfgs: limited-memory BFGS; gd: gradient descent with step 1/L "
      "[auto: exact for the squared loss where cheaper, else lbfgs]");
  set.integer("--threads", "K", 1, run.threads, "threads of each worker [1]");
  set.flag("--reproducible", run.reproducible,
           "add across workers in a fixed order: the same data and N give the same bits on every transport");
  set.integer("--seed", "SEED", 0, run.seed, "of everything random [0]");
  set.number("--silence", "SECONDS", run.silence_seconds,
             "a worker waited for that does not answer for so long is lost, and the run ends [8]");
}

void add_stop_options(OptionSet& set, StopOptions& stop) {
  set.group("stop");
  set.number("--tolerance", "EPSILON", stop.tolerance,
             "when the objective is proven to be within EPSILON of the best possible, relative to the larger of itself "
             "and the best constant model's [1e-6]");
  set.integer("--max-rounds", "N", 1, stop.max_rounds, "after so many rounds [100000]");
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
  set.flag("--verify", command.options.verify, "exact: read the rows again for the certificate");
  set.flag("-q,--quiet", command.quiet, "print nothing but errors");
}

Command parse_train(const std::vector<std::string>& arguments) {
  OptionSet set("train", "Fits a linear model to the rows of files and says how good it is.",
                "DATA... --target NAME [options]");
  TrainCommand command;
  TrainOptions& options = command.options;
  Unread unread;
  add_data_options(set, options.data, unread);
  add_problem_options(set, options.problem);
  add_run_options(set, options.run);
  add_stop_options(set, options.stop);
  add_output_options(set, command);
  if (!set.parse(arguments)) return Text{set.help() + kExitCodes};
  options.problem.intercept = !unread.no_intercept;
  for (const std::string& text : unread.polynomials) add_polynomial(text, options.data.polynomials);
  return command;
}

// MODEL and DATA, which predict and evaluate share.
void add_model_and_data(OptionSet& set, std::string& model, PredictOptions& options) {
  set.group("data");
  set.one_word("MODEL", model, "a model.json that 'muster train' wrote");
  set.words("DATA", options.paths,
            "files, globs or directories with the model's columns, in any order; others are ignored");
  set.choice("--format", kFormats, options.format, "of the files [auto: by extension, then by content]");
}

Command parse_predict(const std::vector<std::string>& arguments) {
  OptionSet set(
      "predict",
      "Applies a model to rows: CSV with a column `prediction` (and, for logistic models, `probability` of the\n"
      "positive level), one line a row, in input order.",
      "MODEL DATA... [-o FILE]");
  PredictCommand command;
  add_model_and_data(set, command.model, command.options);
  set.group("output");
  set.text("-o,--output", "FILE", command.output, "where the predictions go [standard output]");
  set.flag("-q,--quiet", command.quiet, "print nothing but predictions and errors");
  if (!set.parse(arguments)) return Text{set.help()};
  return command;
}

Command parse_evaluate(const std::vector<std::string>& arguments) {
  OptionSet set(
      "evaluate",
      "Measures a model on rows whose target is known: RMSE, MAE and R² for squared loss; log-loss, accuracy,\n"
      "AUC and the confusion counts for logistic loss. The model's weight column, if any, is respected.",
      "MODEL DATA... [--json]");
  EvaluateCommand command;
  add_model_and_data(set, command.model, command.options);
  set.group("output");
  set.flag("--json", command.json, "as JSON instead of a table");
  if (!set.parse(arguments)) return Text{set.help()};
  return command;
}

Command parse_subcommand(const std::string& name, const std::vector<std::string>& arguments) {
  if (name == "train") return parse_train(arguments);
  if (name == "predict") return parse_predict(arguments);
  if (name == "evaluate") return parse_evaluate(arguments);
  const bool is_option = name.front() == '-';
  const std::vector<std::string> known = is_option ? std::vector<std::string>{"--help", "--version"} : kSubcommands;
  throw InputError(fmt::format("there is no {} {}{}; 'muster --help' lists all", is_option ? "option" : "command", name,
                               did_you_mean(name, known)));
}

}  // namespace

Command parse_command_line(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return Text{kShortHelp, ExitCode::bad_input};
  const std::string& first = arguments.front();
  std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (first == "--version") return Text{fmt::format("muster {}\n", version())};
  if (first == "-h" || first == "--help" || first == "help") {
    if (rest.empty()) return Text{kShortHelp};
    return parse_subcommand(rest.front(), {"--help"});
  }
  if (first.empty()) throw InputError("there is no command ''; 'muster --help' lists all");
  return parse_subcommand(first, rest);
}

}  // namespace muster::cli
