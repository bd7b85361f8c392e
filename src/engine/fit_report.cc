#include "engine/fit_report.h"

#include <algorithm>

#include "engine/check_options.h"

namespace muster {
namespace {

// Every living rank's measures, on every rank.
std::vector<WorkerReport> gather_workers(FitContext& context) {
  enum : std::size_t { kRows, kCompute, kWait, kCommunicate, kBytes, kMessages, kFields };
  const auto size = static_cast<std::size_t>(context.whole.size());
  std::vector<double> table(size * kFields, 0.0);
  double* mine = table.data() + static_cast<std::size_t>(context.whole.rank()) * kFields;
  const Traffic traffic = context.whole.traffic();
  mine[kRows] = static_cast<double>(context.rows.rows());
  mine[kCompute] = context.compute_seconds;
  mine[kWait] = traffic.wait_seconds;
  mine[kCommunicate] = traffic.communicate_seconds;
  mine[kBytes] = static_cast<double>(traffic.bytes_sent);
  mine[kMessages] = static_cast<double>(traffic.messages_sent);
  context.add_up(table);
  std::vector<WorkerReport> workers(size);
  for (std::size_t r = 0; r < size; ++r) {
    const double* row = table.data() + r * kFields;
    workers[r].rows = static_cast<std::int64_t>(row[kRows]);
    workers[r].compute_seconds = row[kCompute];
    workers[r].wait_seconds = row[kWait];
    workers[r].communicate_seconds = row[kCommunicate];
    workers[r].bytes_sent = static_cast<std::int64_t>(row[kBytes]);
    workers[r].messages_sent = static_cast<std::int64_t>(row[kMessages]);
  }
  return workers;
}

void name_roles(const FitContext& context, const Trained& trained, std::vector<WorkerReport>& workers) {
  const RunOptions& run = context.request.options.run;
  if (run.mode == Mode::parameter_server) {
    const auto servers = static_cast<std::size_t>(run.server.servers);
    for (std::size_t r = workers.size() - servers; r < workers.size(); ++r) workers[r].role = "server";
  }
  for (std::size_t r = 0; r < workers.size() && r < trained.updates.size(); ++r)
    workers[r].updates = trained.updates[r];
  for (std::size_t r = 0; r < workers.size() && r < trained.waited_for_seconds.size(); ++r)
    workers[r].waited_for_seconds = trained.waited_for_seconds[r];
  for (const LostRank& lost : trained.lost) workers[static_cast<std::size_t>(lost.rank)].role = "lost";
}

std::string synchronisation(const RunOptions& run) {
  if (run.sync.kind != Synchronisation::Kind::automatic) return name(run.sync);
  return run.mode == Mode::parameter_server ? "async" : "bsp";
}

// A graph of thousands of nodes takes seconds: one rank looks, after the others have stopped waiting.
void add_spectrum(FitContext& context, NetworkReport& network) {
  double found[] = {0, 0};
  if (context.endpoint().rank() == context.speaker()) {
    const Spectrum of_graph = spectrum(*context.topology);
    found[0] = of_graph.lambda2_modulus;
    found[1] = of_graph.spectral_gap;
  }
  context.endpoint().broadcast(found, context.speaker(), Deadline::never());
  network.lambda2_modulus = found[0];
  network.spectral_gap = found[1];
}

}  // namespace

Report make_report(FitContext& context, Trained trained, std::string solver_reason, Certificate certificate) {
  const RunOptions& run = context.request.options.run;
  Report report;
  report.stop_reason = trained.reason;
  report.stop_detail = std::move(trained.detail);
  report.mode = name(run.mode);
  report.synchronisation = synchronisation(run);
  report.compression = name(run.compression);
  report.solver = trained.solver;
  report.solver_reason = std::move(solver_reason);
  report.instruction_set = name(context.request.instruction_set);
  report.reproducible = run.reproducible;
  report.rounds_done = trained.rounds;
  report.rounds = std::move(trained.history);
  report.dependent_columns = std::move(trained.dependent_columns);
  report.notes = std::move(trained.notes);
  report.certificate = std::move(certificate);
  report.train_seconds = context.whole.now() - context.start;
  report.workers = gather_workers(context);
  name_roles(context, trained, report.workers);
  report.staleness = std::move(trained.staleness);
  report.network = std::move(trained.network);
  if (report.network) add_spectrum(context, *report.network);
  report.lost = std::move(trained.lost);
  return report;
}

}  // namespace muster
