#include "cluster/mpi/mpi_launch.h"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "cluster/mpi/mpi_endpoint.h"
#include "cluster/mpi/mpi_shared_memory.h"
#include "cluster/mpi/mpi_wire.h"
#include "cluster/outcome.h"
#include "muster/error.h"

namespace muster {

namespace {

constexpr int kClusterFailed = static_cast<int>(ExitCode::cluster_failed);
// How long a rank that threw an error meant for all waits for the others to throw it, too; and how long MPI_Finalize,
// and the barrier before it, may take.
constexpr double kGraceSeconds = 8;
// How long a rank leaves it to another to speak: to the one it is about, and to each living one below itself.
constexpr double kCulpritSpeaksSeconds = 0.5;
constexpr double kNextSpeaksSeconds = 0.2;
// How long a message has to leave before MPI_Abort, and MPI_Abort by another rank to arrive here.
constexpr double kLastWordsSeconds = 0.2;
constexpr double kAbortArrivesSeconds = 3;
constexpr std::chrono::milliseconds kRankZeroSpeaks{500};

[[noreturn]] void abort_run() {
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, kClusterFailed);
  std::_Exit(kClusterFailed);
}

// The run can not go on: the user is told, by this rank and no other. A rank the others have given up (it was stopped,
// and goes on now that the launcher ends the run) has nothing to add to what they said of it.
[[noreturn]] void tell_and_abort(Station& station, const std::string& sentence) {
  if (station.given_up()) abort_run();
  fmt::print(stderr, "muster: {}\n", sentence);
  std::fflush(stderr);
  try {
    station.announce_reported();
    const Time until = station.now() + kLastWordsSeconds;
    while (station.now() < until && !station.wire().unflushed().empty()) station.wait({}, until);
  } catch (const Error&) {  // the others will be ended all the same
  }
  abort_run();
}

bool is_lone(RankEnding ending) {
  return ending == RankEnding::failed || ending == RankEnding::peer_lost || ending == RankEnding::silent;
}

// How long this rank leaves it to others to tell the user. The rank it is about knows best, where it is still there;
// then the lowest that lives.
double seconds_before_telling(const Station& station, const Verdict& verdict) {
  if (verdict.rank == station.rank()) return 0;
  int before_me = 0;
  for (int r = 0; r < station.rank(); ++r) before_me += r != verdict.rank && !station.lost(r) ? 1 : 0;
  const bool culprit_speaks = verdict.ending != RankEnding::silent && !station.lost(verdict.rank);
  return (culprit_speaks ? kCulpritSpeaksSeconds : 0) + kNextSpeaksSeconds * std::min(before_me, 5);
}

// The closing handshake: returns when every rank has ended in good order or with an error of all, which is the verdict.
// Otherwise ends the run.
Verdict agree_to_end(Station& station, const Outcome& own) {
  const Time ended_at = station.now();
  Time lone_since = -1;
  while (true) {
    const bool all_done = station.all_done(station.now() + 0.05);
    Verdict verdict = judge(station.outcomes(), [&](int r) { return station.wire().host(r); });
    if (is_lone(verdict.ending)) {
      if (lone_since < 0) lone_since = station.now();
      const double waited = station.now() - lone_since;
      if (station.reported()) {
        if (waited > kAbortArrivesSeconds) abort_run();
      } else if (waited >= seconds_before_telling(station, verdict)) {
        tell_and_abort(station, verdict.sentence);
      }
      station.wait({}, station.now() + 0.01);
    } else if (all_done) {
      return verdict;
    } else if (own.ending != RankEnding::ok && station.now() - ended_at > kGraceSeconds) {
      tell_and_abort(station, fmt::format("{}: {}", station.name(station.rank()), own.sentence));
    }
  }
}

// After this nobody sends any more.
void last_barrier(Station& station) {
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(MPI_COMM_WORLD, &request), "MPI_Ibarrier");
  const Time until = station.now() + kGraceSeconds;
  for (int complete = 0; complete == 0;) {
    check_mpi(MPI_Test(&request, &complete, MPI_STATUS_IGNORE), "MPI_Test");
    if (complete != 0) return;
    if (station.now() > until) {
      tell_and_abort(station, fmt::format("{}: the other ranks fell silent at the end", station.name(station.rank())));
    }
    station.wait({}, until);
  }
}

// MPI_Finalize waits for all ranks and takes no deadline; if one dies in it, this ends the process, and the launcher
// then the rest.
void finalize(const std::string& name) {
  std::mutex mutex;
  std::condition_variable changed;
  bool finalized = false;
  std::thread watchdog([&] {
    std::unique_lock lock(mutex);
    if (changed.wait_for(lock, std::chrono::duration<double>(kGraceSeconds), [&] { return finalized; })) return;
    fmt::print(stderr, "muster: {}: MPI_Finalize does not return: another rank must have died in it\n", name);
    std::fflush(nullptr);
    std::_Exit(kClusterFailed);
  });
  MPI_Finalize();
  {
    const std::lock_guard lock(mutex);
    finalized = true;
  }
  changed.notify_all();
  watchdog.join();
}

MPI_Comm duplicate_world() {
  MPI_Comm communicator = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &communicator), "MPI_Comm_dup");
  check_mpi(MPI_Comm_set_errhandler(communicator, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return communicator;
}

// Everything between MPI_Init and MPI_Finalize.
Verdict run_between(const EndpointOptions& options, const std::function<void(Endpoint&)>& rank_main, std::string& name,
                    std::vector<std::string>& notes) {
  MPI_Comm messages = duplicate_world();
  MPI_Comm collectives = duplicate_world();
  Verdict verdict;
  {
    MpiSharedMemory memory(collectives, options.ranks_per_host);
    if (!memory.why_not().empty()) notes.push_back(memory.why_not());
    MpiWire wire(messages, memory);
    Station station(wire, options);
    MpiEndpoint endpoint(station, collectives, memory.first_on_host());
    name = station.name(station.rank());
    const Outcome outcome = run_rank(endpoint, rank_main);
    try {
      endpoint.leave(outcome);
      verdict = agree_to_end(station, outcome);
      last_barrier(station);
    } catch (const ClusterError& error) {
      tell_and_abort(station, fmt::format("{}: {}", name, error.what()));
    }
  }
  MPI_Comm_free(&collectives);
  MPI_Comm_free(&messages);
  return verdict;
}

}  // namespace

bool mpi_available() {
  return true;
}

std::vector<std::string> run_mpi(const EndpointOptions& options, const std::function<void(Endpoint&)>& rank_main) {
  if (!launched_by_mpi()) {
    throw InputError("--transport mpi needs a launcher: start this command with mpirun -n N, or srun --mpi=pmix");
  }
  int initialized = 0;
  MPI_Initialized(&initialized);
  MUSTER_CHECK(initialized == 0, "run_mpi can be called once per process");
  int provided = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS ||
      provided < MPI_THREAD_FUNNELED) {
    throw ClusterError("MPI could not be initialised with MPI_THREAD_FUNNELED");
  }
  std::string name;
  std::vector<std::string> notes;
  Verdict verdict;
  try {
    verdict = run_between(options, rank_main, name, notes);
  } catch (const Error& error) {
    fmt::print(stderr, "muster: {}\n", error.what());
    abort_run();
  }
  finalize(name);
  // A launcher ends all processes once one of them exits with an error: rank 0, which tells the user, must be the
  // first.
  if (verdict.ending != RankEnding::ok && mpi_rank_from_environment() != 0)
    std::this_thread::sleep_for(kRankZeroSpeaks);
  raise(verdict);
  return notes;
}

}  // namespace muster
