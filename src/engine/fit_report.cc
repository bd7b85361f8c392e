#include "engine/fit_report.h"

#include <algorithm>

#include "engine/check_options.h"

namespace muster {
namespace {

// Every living rank's measures, on every rank.
std::vector<WorkerReport> gather_workers(const RunAccount& account, const SentPerRound& sent) {
  enum : std::size_t {
    kRows,
    kColumns,
    kCompute,
    kWait,
    kCommunicate,
    kBytes,
    kMessages,
    kBytesPerRound,
    kMessagesPerRound,
    kFields
  };
  const auto size = static_cast<std::size_t>(account.whole.size());
  std::vector<double> table(size * kFields, 0.0);
  double* mine = table.data() + static_cast<std::size_t>(account.whole.rank()) * kFields;
  const Traffic traffic = account.whole.traffic();
  mine[kRows] = static_cast<double>(account.rows);
  mine[kColumns] = static_cast<double>(account.columns);
  mine[kCompute] = account.compute_seconds;
  mine[kWait] = traffic.wait_seconds;
  mine[kCommunicate] = traffic.communicate_seconds;
  mine[kBytes] = static_cast<double>(traffic.bytes_sent);
  mine[kMessages] = static_cast<double>(traffic.messages_sent);
  mine[kBytesPerRound] = sent.bytes;
  mine[kMessagesPerRound] = sent.messages;
  account.living.allreduce(table, ReduceOp::sum, Deadline::never());
  std::vector<WorkerReport> workers(size);
  for (std::size_t r = 0; r < size; ++r) {
    const double* row = table.data() + r * kFields;
    workers[r].rows = static_cast<std::int64_t>(row[kRows]);
    workers[r].columns = static_cast<std::int64_t>(row[kColumns]);
    workers[r].compute_seconds = row[kCompute];
    workers[r].wait_seconds = row[kWait];
    workers[r].communicate_seconds = row[kCommunicate];
    workers[r].bytes_sent = static_cast<std::int64_t>(row[kBytes]);
    workers[r].messages_sent = static_cast<std::int64_t>(row[kMessages]);
    workers[r].bytes_per_round = row[kBytesPerRound];
    workers[r].messages_per_round = row[kMessagesPerRound];
  }
  return workers;
}

void name_roles(const RunOptions& run, const Trained& trained, std::vector<WorkerReport>& workers) {
  const auto servers = static_cast<std::size_t>(servers_of(run));
  for (std::size_t r = workers.size() - servers; r < workers.size(); ++r) workers[r].role = "server";
  for (std::size_t r = 0; r < workers.size() && r < trained.updates.size(); ++r)
    workers[r].updates = trained.updates[r];
  for (std::size_t r = 0; r < workers.size() && r < trained.waited_for_seconds.size(); ++r)
    workers[r].waited_for_seconds = trained.waited_for_seconds[r];
  for (const LostRank& lost : trained.lost) workers[static_cast<std::size_t>(lost.rank)].role = "lost";
}

// A graph of thousands of nodes takes seconds: one rank looks, after the others have stopped waiting.
void add_spectrum(const RunAccount& account, NetworkReport& network) {
  const int speaker = account.living.members().front();
  double found[] = {0, 0};
  if (account.living.rank() == speaker) {
    const Spectrum of_graph = spectrum(*account.topology);
    found[0] = of_graph.lambda2_modulus;
    found[1] = of_graph.spectral_gap;
  }
  account.living.broadcast(found, speaker, Deadline::never());
  network.lambda2_modulus = found[0];
  network.spectral_gap = found[1];
}

PartReport part_of(const Report& report, Endpoint& living) {
  PartReport part{living.members(),
                  0,
                  report.rounds_done,
                  report.certificate.objective,
                  report.certificate.gradient_norm,
                  report.stop_reason,
                  report.stop_detail,
                  {}};
  for (const WorkerReport& worker : report.workers) part.rows += worker.rows;
  return part;
}

}  // namespace

Report make_report(const RunAccount& account, Trained trained, std::string solver_reason, Certificate certificate) {
  const RunOptions& run = account.run;
  Report report;
  report.stop_reason = trained.reason;
  report.stop_detail = std::move(trained.detail);
  report.mode = name(run.mode);
  report.synchronisation = name(synchronisation(run));
  report.compression = name(run.compression);
  report.solver = trained.solver;
  report.solver_reason = std::move(solver_reason);
  report.reproducible = run.reproducible;
  report.rounds_done = trained.rounds;
  report.passes = trained.passes;
  report.rounds = std::move(trained.history);
  report.dependent_columns = std::move(trained.dependent_columns);
  report.notes = std::move(trained.notes);
  report.certificate = std::move(certificate);
  report.train_seconds = account.whole.now() - account.start;
  report.workers = gather_workers(account, trained.sent_per_round);
  name_roles(run, trained, report.workers);
  report.staleness = std::move(trained.staleness);
  report.network = std::move(trained.network);
  if (report.network) add_spectrum(account, *report.network);
  report.lost = std::move(trained.lost);
  if (trained.cut) report.parts.push_back(part_of(report, account.living));
  return report;
}

}  // namespace muster
