// One training run, from options to model.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/atomic_file.h"
#include "base/executor.h"
#include "base/temporary_file.h"
#include "cluster/tracing_endpoint.h"
#include "data/agree.h"
#include "data/load.h"
#include "data/part_reader.h"
#include "data/streamed_rows.h"
#include "engine/check_options.h"
#include "engine/checkpoint.h"
#include "engine/division.h"
#include "engine/endpoint_peers.h"
#include "engine/fit.h"
#include "engine/fit_choice.h"
#include "engine/fit_one_pass.h"
#include "engine/launch.h"
#include "engine/make_model.h"
#include "engine/memory_limit.h"
#include "engine/part_results.h"
#include "engine/reporter.h"
#include "engine/starting_point.h"
#include "engine/stop_request.h"
#include "engine/tuning.h"
#include "kernels/instruction_set.h"
#include "muster/muster.h"

namespace muster {

namespace {

InstructionSet agree_on_instruction_set(Endpoint& endpoint) {
  double smallest = static_cast<double>(best_instruction_set());
  endpoint.allreduce({&smallest, 1}, ReduceOp::min, Deadline::never());
  return static_cast<InstructionSet>(static_cast<int>(smallest));
}

// Used on one rank at a time.
class Checkpoints {
 public:
  Checkpoints(const TrainOptions& options, const Encoding& encoding, Endpoint& endpoint)
      : options_(options), encoding_(encoding), endpoint_(endpoint) {}

  bool wanted() const { return enabled() && endpoint_.now() - saved_at_ >= options_.checkpoint.every_seconds; }
  void save(std::int64_t round, const LinearModel& model) {
    if (!enabled()) return;
    Checkpoint checkpoint{options_.problem.loss, options_.problem.intercept, {}, {}, encoding_.classes, round, model};
    for (const Feature& feature : encoding_.features) checkpoint.features.push_back(feature.name);
    if (encoding_.format == Format::libsvm) checkpoint.indices = {encoding_.libsvm_base, encoding_.libsvm_features};
    write_file_atomically(checkpoint_path(options_.checkpoint.directory), serialise(checkpoint));
    saved_at_ = endpoint_.now();
  }

 private:
  bool enabled() const { return !options_.checkpoint.directory.empty(); }

  const TrainOptions& options_;
  const Encoding& encoding_;
  Endpoint& endpoint_;
  Time saved_at_ = -std::numeric_limits<double>::infinity();
};

TargetKind target_kind(Loss loss) {
  switch (loss) {
    case Loss::logistic:
      return TargetKind::binary;
    case Loss::softmax:
      return TargetKind::classes;
    case Loss::squared:
      break;
  }
  return TargetKind::real;
}

// What the user should know of the data, before what there is to know of the fit.
void add_notes(const LoadSummary& summary, std::vector<std::string>& notes) {
  std::vector<std::string> all = summary.notes;
  if (summary.rows_dropped > 0) {
    all.push_back(fmt::format("{} row{} with missing values left out", summary.rows_dropped,
                              summary.rows_dropped == 1 ? "" : "s"));
  }
  if (summary.cells_filled > 0) {
    all.push_back(fmt::format("{} missing cell{} filled with the column's mean", summary.cells_filled,
                              summary.cells_filled == 1 ? "" : "s"));
  }
  notes.insert(notes.begin(), all.begin(), all.end());
}

std::optional<Topology> make_network(const RunOptions& run, int nodes) {
  if (run.mode != Mode::decentralized) return std::nullopt;
  Topology topology = make_topology(run.network.topology, nodes, run.network.weights, run.seed);
  check_connected(topology);
  return topology;
}

void finish_report(const TrainOptions& options, const LoadSummary& summary, const StartingPoint& start,
                   Endpoint& endpoint, Report& report) {
  if (report.solver != name(SolverChoice::exact)) {
    report.warm_start = options.warm_start;
    report.notes.insert(report.notes.begin(), start.notes.begin(), start.notes.end());
  } else if (!options.warm_start.empty()) {
    report.notes.push_back("exact solves in one pass wherever it starts: --warm-start made no difference");
  }
  add_notes(summary, report.notes);
  for (std::size_t r = 0; r < report.workers.size(); ++r) report.workers[r].host = endpoint.host(static_cast<int>(r));
  if (options.checkpoint.resume && !start.model) {
    report.notes.push_back(fmt::format("no checkpoint in {} yet: started afresh", options.checkpoint.directory));
  }
}

// Collective.
DataShape shape_of_all(const Dataset& data, Loss loss, Endpoint& endpoint) {
  const RowShape mine = shape_of(data.shard);
  auto entries = static_cast<double>(mine.entries);
  endpoint.allreduce({&entries, 1}, ReduceOp::sum, Deadline::never());
  return {static_cast<double>(data.summary.rows_read - data.summary.rows_dropped),
          static_cast<double>(data.encoding.feature_count()), entries, mine.sparse,
          loss == Loss::softmax ? static_cast<double>(data.encoding.classes.size()) : 1};
}

SplitChoice split_of(const TrainOptions& options, const Dataset& data, Endpoint& endpoint) {
  const RunOptions& run = options.run;
  const int ranks = endpoint.size();
  SplitChoice choice = choose_split(run, shape_of_all(data, options.problem.loss, endpoint), ranks);
  if (choice.shape.columns == 1) return choice;
  if (options.tuning.asked() || options.summary)
    return {{ranks, 1}, "rows, because tuning and summaries weigh whole rows anew"};
  if (!data.streamed) return choice;
  if (run.split.kind != SplitOptions::Kind::automatic)
    throw InputError(
        "--split cuts the columns of rows in memory, and the rows do not fit there: use --split rows, or raise "
        "--memory");
  return {{ranks, 1}, "rows, because they are read as a stream"};
}

// A rank's rows: the shard's, or a stream where they do not fit in memory.
class TrainingRows {
 public:
  // Collective.
  TrainingRows(const LoadRequest& request, Dataset& data, const StreamOptions& options, Peers& peers)
      : request_(request), data_(data) {
    if (!data.streamed) return;
    streamed_.emplace(request, data.encoding, request.readers, options);
    together_on_rows(peers, [&] {
      if (data.unread) {
        streamed_->add_unread(*data.unread);
      } else if (data.cached) {
        streamed_->add_cached(*data.cached);
      } else if (peers.rank() < request.readers) {
        streamed_->add(peers.rank());
      }
    });
    if (data.unread) {
      refuse_none(peers);
    } else if (!data.cached) {
      set_aside(peers);
    }
  }
  // Collective: the pass that reads rows left unread.
  void first_pass(const std::function<void()>& pass, Peers& peers) {
    together_on_rows(peers, pass);
    count_rows(streamed_->counts(), streamed_->shape().weight, peers, data_);
  }

  RowSource* stream() { return streamed_ ? &*streamed_ : nullptr; }
  void adopt(int lost, const std::function<void()>& progress) {
    if (streamed_) return streamed_->add(lost);
    append_rows(data_.shard, load_part(request_, data_.encoding, lost, request_.readers, progress));
  }

 private:
  void together_on_rows(Peers& peers, const std::function<void()>& step) {
    unless_guessed(data_.unread && data_.unread->guessed, [&] { together(peers, step); });
  }
  // Collective: for the passes to come, the rows are parsed once more.
  void set_aside(Peers& peers) {
    std::string directory, why_not;
    const auto failures = gather_or_throw(peers, [&] {
      try {
        directory = streamed_->set_aside();
      } catch (const NoTemporaryFile& none) {
        why_not = none.what();
      }
      return why_not;
    });
    for (const std::string& failure : failures) {
      if (failure.empty()) continue;
      data_.summary.notes.push_back(
          fmt::format("every pass parses the files again, since their rows could not be set aside: {}; TMPDIR names "
                      "another directory",
                      failure));
      return;
    }
    data_.summary.notes.push_back(
        fmt::format("every pass reads the parsed rows from a temporary file in {}", directory));
  }
  // Collective: where no rank has seen a row, the reason why there is none.
  void refuse_none(Peers& peers) {
    const auto seen = peers.all_gather(streamed_->head().rows() > 0 ? "some" : "");
    if (std::any_of(seen.begin(), seen.end(), [](const std::string& one) { return !one.empty(); })) return;
    first_pass(
        [&] {
          const auto pass = streamed_->begin(1);
          while (pass->next() != nullptr) continue;
        },
        peers);
  }

  const LoadRequest& request_;
  Dataset& data_;
  std::optional<StreamedRows> streamed_;
};

// What one rank does. The result is the same on every rank.
// may_guess: where rows begin, until a first pass has read them; throws WrongGuess, as all ranks do.
TrainResult train_on_rows(const TrainOptions& asked, TransportChoice transport, const ProgressObserver& observer,
                          MemoryLimit& memory, bool may_guess, Endpoint& endpoint) {
  TrainOptions options = asked;  // tuning chooses the penalties
  Reporter reporter(observer, endpoint);
  EndpointPeers peers(endpoint, stop_request());
  if (options.run.mode == Mode::mapreduce) check_split(options.run, endpoint.size());
  const InstructionSet instruction_set = agree_on_instruction_set(endpoint);
  const std::optional<Topology> topology = make_network(options.run, endpoint.size());

  reporter.begin(Progress::Stage::reading);
  const int readers = readers_of(options.run, endpoint.size());
  const LoadRequest load_request{.options = options.data,
                                 .target = target_kind(options.problem.loss),
                                 .positive = options.problem.positive,
                                 .readers = readers,
                                 .budget = &memory.rows(endpoint),
                                 .fold_column = options.tuning.fold_column,
                                 .unread_features = columns_surely_exact(options),
                                 .window_bytes = memory.window_bytes(readers),
                                 .guess_unread = may_guess};
  Dataset data = load(load_request, peers, [&](const LoadProgress& progress) { reporter.reading(progress); });
  std::optional<Division> division;
  if (options.run.mode == Mode::mapreduce) division.emplace(split_of(options, data, endpoint), endpoint, data);
  // A simulated rank has signs of life without a call, and how often threads look would show on a virtual clock.
  std::function<void()> between_blocks = [&] { endpoint.progress(); };
  if (transport == TransportChoice::sim) between_blocks = {};
  StreamOptions stream_options{load_request.window_bytes, between_blocks};
  if (data.unread && between_blocks) stream_options.while_waiting = [&] { peers.progress(); };
  TrainingRows rows(load_request, data, stream_options, peers);
  const double load_seconds = reporter.seconds();

  const StartingPoint start = find_starting_point(options, data.encoding, peers);
  Checkpoints checkpoints(options, data.encoding, endpoint);
  Executor executor(threads_of(options.run), between_blocks);

  HeldRows held(data.shard);
  RowSource& source = rows.stream() != nullptr ? *rows.stream() : held;
  std::optional<TuningReport> tuning;
  if (options.tuning.asked()) {
    reporter.begin(Progress::Stage::tuning);
    tuning = tune({.data = data,
                   .options = options,
                   .rows = source,
                   .executor = executor,
                   .instruction_set = instruction_set,
                   .budget = &memory.rows(endpoint),
                   .cancellation = &stop_request(),
                   .start = start.model,
                   .topology = topology ? &*topology : nullptr,
                   .on_fit = [&](std::int64_t fits, std::int64_t of) { reporter.tuning(fits, of); }},
                  endpoint);
    options.problem.l2 = tuning->points[tuning->chosen].l2;
    options.problem.l1 = tuning->points[tuning->chosen].l1;
  }
  reporter.begin(Progress::Stage::training);
  const FitRequest request{
      .data = data,
      .options = options,
      .rows = rows.stream(),
      .instruction_set = instruction_set,
      .budget = &memory.rows(endpoint),
      .cancellation = &stop_request(),
      .start = start.model,
      .topology = topology ? &*topology : nullptr,
      .division = division ? &*division : nullptr,
      .first_pass = data.unread ? [&](const std::function<void()>& pass) { rows.first_pass(pass, peers); }
                                : std::function<void(const std::function<void()>&)>(),
      .losses_end_run = transport == TransportChoice::mpi,
      .adopt = [&](int lost) { rows.adopt(lost, [&] { endpoint.progress(); }); },
      .restore = [&] { return last_checkpoint(options, data.encoding); },
      .on_round =
          [&](const RoundReport& round, double gap) {
            if (options.run.mode != Mode::mapreduce || endpoint.rank() == 0) reporter.training(round, gap);
          },
      .wants_checkpoint = [&] { return checkpoints.wanted(); },
      .save_checkpoint = [&](std::int64_t round, const LinearModel& model) { checkpoints.save(round, model); },
  };
  FitResult fitted = fit(request, endpoint, executor);
  const bool speaks = endpoint.rank() == fitted.speaker;
  if (speaks && fitted.leads) checkpoints.save(fitted.report.rounds_done, fitted.model);
  fitted.report.load_seconds = load_seconds;
  fitted.report.tuning = std::move(tuning);
  finish_report(options, data.summary, start, endpoint, fitted.report);
  const bool wanted = speaks || transport == TransportChoice::mpi;  // one of a process is enough
  return {wanted ? make_model(options, data, fitted) : Model(), fitted.report, speaks};
}

TrainResult train_rank(const TrainOptions& options, TransportChoice transport, const ProgressObserver& observer,
                       MemoryLimit& memory, Endpoint& endpoint) {
  try {
    return train_on_rows(options, transport, observer, memory, true, endpoint);
  } catch (const WrongGuess&) {
    return train_on_rows(options, transport, observer, memory, false, endpoint);
  }
}

// The same for rows that are learned from as they are read.
TrainResult learn_rank(const TrainOptions& options, const ProgressObserver& observer, MemoryLimit& memory,
                       OnePass& shared, Endpoint& endpoint) {
  Reporter reporter(observer, endpoint);
  reporter.begin(Progress::Stage::reading);
  const LoadRequest load_request{.options = options.data,
                                 .target = target_kind(options.problem.loss),
                                 .positive = options.problem.positive,
                                 .readers = endpoint.size(),
                                 .budget = &memory.rows(endpoint)};
  const StreamOptions stream_options{memory.window_bytes(endpoint.size()), [&] { endpoint.progress(); }};
  OnePassFit fit = fit_in_one_pass(options, load_request, stream_options, shared, endpoint, reporter);
  const bool speaks = endpoint.rank() == fit.fitted.speaker;
  finish_report(options, fit.data.summary, {}, endpoint, fit.fitted.report);
  if (!speaks) return {{}, fit.fitted.report, false};
  return {make_model(options, fit.data, fit.fitted), fit.fitted.report, true};
}

}  // namespace

TrainResult train(const TrainOptions& asked, const ProgressObserver& observer) {
  check_options(asked);
  const TransportChoice transport = choose_transport(asked.run);
  const bool one_pass = asks_for_one_pass(asked, transport);
  const TrainOptions options = one_pass ? options_of_one_pass(asked) : asked;
  if (!options.checkpoint.directory.empty()) make_checkpoint_directory(options.checkpoint.directory);

  EndpointOptions endpoint_options;
  endpoint_options.silence_seconds = options.run.silence_seconds;
  endpoint_options.tolerate_losses = options.run.mode != Mode::mapreduce;

  MemoryLimit memory(options.data.memory_bytes, transport != TransportChoice::mpi);
  const bool processes = transport == TransportChoice::mpi;
  PartResults<TrainResult> results;
  std::optional<OnePass> shared;
  if (one_pass) shared.emplace(online_problem(options));
  const auto train_at = [&](Endpoint& endpoint) {
    if (shared) return learn_rank(options, observer, memory, *shared, endpoint);
    return train_rank(options, transport, observer, memory, endpoint);
  };
  const auto train_one = [&](Endpoint& endpoint) {
    if (!options.trace) return train_at(endpoint);
    TracingEndpoint traced(endpoint, processes && !options.run.reproducible);
    TrainResult mine = train_at(traced);
    mine.trace = traced.collect();
    return mine;
  };
  const std::vector<std::string> notes = launch(transport, options.run, endpoint_options, [&](Endpoint& endpoint) {
    results.collect(endpoint.rank(), processes, [&] { return train_one(endpoint); });
  });
  TrainResult result = results.join();
  result.report.notes.insert(result.report.notes.end(), notes.begin(), notes.end());
  result.report.transport = name(transport);
  if (options.run.mode == Mode::mapreduce)
    result.report.reduce = name(pattern_used(options.run, transport, result.report.split != "rows"));
  return result;
}

}  // namespace muster
