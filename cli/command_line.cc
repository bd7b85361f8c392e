#include "command_line.h"

#include <fmt/format.h>

#include "nearest.h"
#include "option_set.h"
#include "train_options.h"

namespace muster::cli {

namespace {

const std::vector<std::string> kSubcommands{"train", "tune", "predict", "evaluate", "topology"};

constexpr const char* kShortHelp = R"(Muster trains linear models, on one machine or many.

  muster train DATA... --target NAME     fit a model to the rows of files; writes model.json
  muster tune DATA... --target NAME      the same, with penalties chosen by cross-validation
  muster predict MODEL DATA...           apply it to rows
  muster evaluate MODEL DATA...          measure it on rows whose target is known
  muster topology NAME -n N              describe a graph for decentralized training

Start with a table of your own:

  muster train table.csv --target COLUMN

'muster train --help' lists what can be chosen; every default is meant to be right without reading it.
)";

constexpr const char* kExitCodes = R"(
exit codes
  0 converged; 2 bad command or input; 3 stopped before the tolerance (the model is saved, marked so);
  4 a worker was lost; 5 a bug in Muster; 130 interrupted (the model is saved, marked so)
)";

Command parse_train(const std::vector<std::string>& arguments) {
  OptionSet set("train", "Fits a linear model to the rows of files and says how good it is.",
                "DATA... --target NAME [options]");
  TrainCommand command;
  const auto finish = add_train_options(set, command);
  if (!set.parse(arguments)) return Text{set.help() + kExitCodes};
  finish();
  return command;
}

Command parse_tune(const std::vector<std::string>& arguments) {
  OptionSet set("tune",
                "Chooses the penalties by cross-validation, fits a model of them to all rows, and says how good it is.",
                "DATA... --target NAME [--l2 FROM:TO:COUNT] [--folds K] [options]");
  TrainCommand command;
  const auto finish = add_tune_options(set, command);
  if (!set.parse(arguments)) return Text{set.help() + kExitCodes};
  finish();
  return command;
}

// MODEL and DATA, which predict and evaluate share.
void add_model_and_data(OptionSet& set, std::string& model, PredictOptions& options) {
  set.group("data");
  set.one_word("MODEL", model, "a model.json that 'muster train' wrote");
  set.words("DATA", options.paths,
            "files, globs or directories with the model's columns, in any order; others are ignored");
  add_format_option(set, options.format);
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
  if (name == "tune") return parse_tune(arguments);
  if (name == "predict") return parse_predict(arguments);
  if (name == "evaluate") return parse_evaluate(arguments);
  if (name == "topology") return parse_topology(arguments);
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
