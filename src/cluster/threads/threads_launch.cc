#include "cluster/threads/threads_launch.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "base/check.h"
#include "cluster/group_endpoint.h"
#include "cluster/outcome.h"
#include "cluster/threads/threads_wire.h"
#include "muster/error.h"

namespace muster {

namespace {

using std::chrono::steady_clock;

// How long ranks that still run get to come back once one has failed. Most come back at once, since they wait for it;
// one that only computes may take longer. After a silence less is left of the ten seconds a run may take to end.
constexpr std::chrono::milliseconds kGrace{8000};
constexpr std::chrono::milliseconds kGraceAfterSilence{1500};

// One run: the outcomes as they come in, and what each thread needs to outlive this function's caller.
struct Run {
  Run(int n, const EndpointOptions& endpoint_options, std::function<void(Endpoint&)> function)
      : hub(std::make_shared<ThreadsHub>(n)),
        options(endpoint_options),
        rank_main(std::move(function)),
        outcomes(static_cast<std::size_t>(n)),
        back(static_cast<std::size_t>(n), false) {}

  const std::shared_ptr<ThreadsHub> hub;
  const EndpointOptions options;
  const std::function<void(Endpoint&)> rank_main;

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::optional<Outcome>> outcomes;
  std::vector<bool> back;  // the thread has done all it will
  std::optional<steady_clock::time_point> give_up_at;

  void ended(int rank, const Outcome& outcome) {
    const std::lock_guard lock(mutex);
    std::optional<Outcome>& place = outcomes[static_cast<std::size_t>(rank)];
    if (place && place->ending == RankEnding::silent) return;
    place = outcome;
    if (outcome.ending != RankEnding::ok && !tolerated(outcome.ending)) hasten(kGrace);
    changed.notify_all();
  }
  bool tolerated(RankEnding ending) const { return options.tolerate_losses && is_loss(ending); }
  // mutex held
  void hasten(std::chrono::milliseconds grace) {
    const auto at = steady_clock::now() + grace;
    if (!give_up_at || at < *give_up_at) give_up_at = at;
  }
  void note_silent(const Station& station) {
    const std::lock_guard lock(mutex);
    for (int r = 0; r < hub->size(); ++r) {
      if (!station.lost(r)) continue;
      outcomes[static_cast<std::size_t>(r)] = station.ended(r);
      if (!tolerated(RankEnding::silent)) hasten(kGraceAfterSilence);
    }
    changed.notify_all();
  }
  void is_back(int rank) {
    const std::lock_guard lock(mutex);
    back[static_cast<std::size_t>(rank)] = true;
    changed.notify_all();
  }
  bool all_back_or_silent() const {
    for (std::size_t r = 0; r < back.size(); ++r) {
      const bool silent = outcomes[r] && outcomes[r]->ending == RankEnding::silent;
      if (!back[r] && !silent) return false;
    }
    return true;
  }
};

void run_thread(const std::shared_ptr<Run>& run, int rank) {
  {
    ThreadsWire wire(run->hub, rank);
    Station station(wire, run->options);
    GroupEndpoint endpoint(station, Group::whole_run(wire), nullptr);
    const Outcome outcome = run_rank(endpoint, run->rank_main);
    run->ended(rank, outcome);
    run->note_silent(station);
    endpoint.leave(outcome);
    // The others go on, for long perhaps: a rank that is out does not watch over them.
    const auto is_out = [&] {
      return run->tolerated(outcome.ending) || (run->tolerated(RankEnding::silent) && station.given_up());
    };
    try {
      while (!is_out() && !station.all_done(Deadline::never().at)) run->note_silent(station);
      if (!is_out()) run->note_silent(station);
    } catch (const ClusterError&) {  // given up: the verdict has fallen
    }
  }
  run->is_back(rank);
}

}  // namespace

void run_threads(int n, const EndpointOptions& options, const std::function<void(Endpoint&)>& rank_main) {
  MUSTER_CHECK(n >= 1, "a run needs a rank");
  const auto run = std::make_shared<Run>(n, options, rank_main);
  std::vector<std::thread> threads;
  for (int r = 0; r < n; ++r) threads.emplace_back([run, r] { run_thread(run, r); });

  std::unique_lock lock(run->mutex);
  while (!run->all_back_or_silent()) {
    if (!run->give_up_at) {
      run->changed.wait(lock);
    } else if (run->changed.wait_until(lock, *run->give_up_at) == std::cv_status::timeout) {
      break;
    }
  }
  const bool tolerated = options.tolerate_losses && whole_without_losses(run->outcomes);
  const Verdict verdict = tolerated ? Verdict{} : judge(run->outcomes, [&](int) { return run->hub->host(); });
  const bool everybody_is_back = std::find(run->back.begin(), run->back.end(), false) == run->back.end();
  const std::vector<bool> back = run->back;
  lock.unlock();

  if (!everybody_is_back) run->hub->give_up();
  for (std::size_t r = 0; r < threads.size(); ++r) {
    if (back[r]) {
      threads[r].join();
    } else {
      threads[r].detach();
    }
  }
  if (!everybody_is_back && (verdict.ending == RankEnding::input_error || verdict.ending == RankEnding::cancelled)) {
    throw ClusterError(rank_on_host(verdict.rank, run->hub->host()) + ": " + verdict.sentence);
  }
  raise(verdict);
}

}  // namespace muster
