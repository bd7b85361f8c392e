#include <fmt/format.h>

#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "output.h"
#include "progress_line.h"
#include "results.h"
#include "run.h"

namespace muster::cli {

namespace {

// The first signal asks for a stop after the current round. A second Ctrl-C ends at once; a second SIGTERM does not,
// since launchers pass one on after a Ctrl-C of their own.
extern "C" void on_signal(int signal) {
  static volatile std::sig_atomic_t interrupts = 0;
  if (signal == SIGINT) {
    if (interrupts) ::_exit(static_cast<int>(ExitCode::interrupted));
    interrupts = 1;
  }
  request_stop();
}

void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

ExitCode exit_code(StopReason reason) {
  switch (reason) {
    case StopReason::converged:
      return ExitCode::ok;
    case StopReason::interrupted:
      return ExitCode::interrupted;
    default:
      return ExitCode::not_converged;
  }
}

// Of a network that losses have cut: that of the first part that has not converged.
ExitCode exit_code(const Report& report) {
  ExitCode code = exit_code(report.stop_reason);
  for (const PartReport& part : report.parts)
    if (code == ExitCode::ok) code = exit_code(part.stop_reason);
  return code;
}

// m.json: m.part2.json.
std::string path_of_part(const std::string& path, std::size_t part) {
  const std::filesystem::path whole(path);
  return (whole.parent_path() / fmt::format("{}.part{}{}", whole.stem().string(), part, whole.extension().string()))
      .string();
}

void save_models(const std::string& path, TrainResult& result) {
  result.model.save(path);
  std::vector<PartReport>& parts = result.report.parts;
  if (!parts.empty()) parts[0].file = path;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    parts[i].file = path_of_part(path, i + 1);
    result.other_parts[i - 1].model.save(parts[i].file);
  }
}

// What the user should know besides the results.
std::string remarks(const Report& report) {
  std::string text;
  for (const std::string& note : report.notes) text += fmt::format("note: {}\n", note);
  if (!report.dependent_columns.empty()) {
    const std::string taken =
        report.warm_start.empty() ? "minimum-norm solution" : "solution nearest to " + report.warm_start;
    text += fmt::format("note: these columns depend on others, so the {} was taken: {}\n", taken,
                        fmt::join(report.dependent_columns, ", "));
  }
  if (!report.solver_reason.empty()) text += fmt::format("solver: {}\n", report.solver_reason);
  return text;
}

}  // namespace

int run(const TrainCommand& command) {
  const bool writes = !silent_rank();
  if (command.options.run.network.allow_parts && is_standard_output(command.output))
    throw InputError("--allow-parts may leave several models, which standard output has no place for: give --output");
  if (writes) {
    check_writable(command.output);
    if (!command.report.empty()) check_writable(command.report);
    if (!command.trace.empty()) check_writable(command.trace);
  }
  stop_on_signals();

  TrainResult result;
  {
    ProgressLine line(command.quiet || !writes);
    result = train(command.options, [&](const Progress& progress) { line.show(progress); });
  }
  // A launcher ends the run at the first process that does not exit with 0, so the others leave the code to the rank
  // that has yet to save the model.
  if (!result.speaks) return static_cast<int>(ExitCode::ok);
  const ExitCode code = exit_code(result.report);

  save_models(command.output, result);
  if (!command.report.empty()) write_file(command.report, to_json(result.report));
  if (!command.trace.empty()) write_file(command.trace, result.trace);
  if (command.quiet) return static_cast<int>(code);
  // The table would spoil a model or report that goes to standard output itself.
  if (!is_standard_output(command.output) && !is_standard_output(command.report)) print(describe(result));
  std::fputs(remarks(result.report).c_str(), stderr);
  std::fprintf(stderr, "model: %s\n", command.output.c_str());
  return static_cast<int>(code);
}

}  // namespace muster::cli
