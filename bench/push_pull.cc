// The wire of the parameter server, without a solver: one worker, one server, the messages and codecs of training.
// Seconds per pull and per push-and-pull of all values, and pushes of ten values per second where many are under way.
//
//     push_pull [PEER]
//
// Muster runs as two threads, then as two processes under mpirun: through shared memory, and through TCP on the
// loopback. PEER is a command that does the same with another program, over the loopback, and prints lines
// "name<TAB>pull|push-pull|small<TAB>values<TAB>seconds"; bench/peers/push_pull_ps_lite.cc is one for ps-lite. Ratios
// are the peer's seconds over ours (more than 1: we are faster). A copy of as many values in memory stands beside them.
//
// "small" counts seconds per push, at the worker, 64 under way; the server applies and acknowledges each.
#include <fmt/core.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster/mpi/mpi_launch.h"
#include "cluster/threads/threads_launch.h"
#include "train/push_pull.h"

namespace {

using namespace muster;

constexpr std::size_t kLargest = 10'000'000;
constexpr std::size_t kSmall = 10;
constexpr int kUnderWay = 64;
constexpr int kServer = 1, kWorker = 0;

struct Measurement {
  std::string name, kind;
  std::size_t values = 0;
  double seconds = 0;
};

// --- the server: adds what is pushed to a range of `size` values, until the worker says goodbye ---
void serve(Endpoint& e, std::size_t size, const Codec& codec) {
  std::vector<double> w(size, 0.0);
  KeyListCache cache;
  for (;;) {
    const Message message = e.receive({{kWorker}, {kRequestTag}}, Deadline::never());
    const Request request = decode_request(message.payload, codec, cache, size, 0, "the worker");
    if (request.kind == Request::Kind::goodbye) return;
    Answer answer;
    if (request.dense) {
      for (std::size_t j = 0; j < request.values.size(); ++j) w[j] += request.values[j];
      answer.values = w;
    } else {
      for (std::size_t j = 0; j < request.values.size(); ++j) w[request.pushed_keys[j]] += request.values[j];
      for (const std::uint32_t key : request.wanted_keys) answer.values.push_back(w[key]);
    }
    e.send(kWorker, kAnswerTag, encode(answer, codec, {}));
  }
}

class Worker {
 public:
  Worker(Endpoint& e, std::size_t size, const Codec& codec) : endpoint_(e), size_(size), codec_(codec) {}

  void dense(bool push) {
    Request request;
    request.kind = push ? Request::Kind::push_pull : Request::Kind::pull;
    if (push) request.values.assign(size_, 1.0);
    const Time begin = endpoint_.now();
    send(request);
    receive(size_);
    best_ = std::min(best_, endpoint_.now() - begin);
  }

  void small(int count) {
    Request request;
    request.kind = Request::Kind::push_pull;
    request.dense = false;
    for (std::uint32_t key = 0; key < kSmall; ++key) request.pushed_keys.push_back(7 * key);
    request.values.assign(kSmall, 1.0);
    const Time begin = endpoint_.now();
    for (int k = 0; k < count + kUnderWay; ++k) {
      if (k >= kUnderWay) receive(0);
      if (k < count) send(request);
    }
    best_ = std::min(best_, (endpoint_.now() - begin) / count);
  }

  void goodbye() {
    Request request;
    request.kind = Request::Kind::goodbye;
    request.dense = false;  // pushes nothing
    send(request);
  }

  double take_best() { return std::exchange(best_, 1e9); }

 private:
  void send(const Request& request) { endpoint_.send(kServer, kRequestTag, encode(request, codec_, {}, cache_)); }
  void receive(std::size_t values) {
    const Message message = endpoint_.receive({{kServer}, {kAnswerTag}}, Deadline::never());
    decode_answer(message.payload, codec_, values, 0, "the server");
  }

  Endpoint& endpoint_;
  std::size_t size_;
  const Codec& codec_;
  KeyListCache cache_;
  double best_ = 1e9;
};

// On the worker: what was measured.
std::vector<Measurement> measure(Endpoint& e, const std::string& name) {
  const Codec codec({});
  std::vector<Measurement> measured;
  for (const std::size_t size : {std::size_t{1'000}, std::size_t{100'000}, kLargest}) {
    if (e.rank() == kServer) {
      serve(e, size, codec);
      continue;
    }
    Worker worker(e, size, codec);
    const std::size_t repeats = std::max<std::size_t>(5, 1'000'000 / size);
    for (const bool push : {false, true}) {
      for (std::size_t k = 0; k < repeats; ++k) worker.dense(push);
      measured.push_back({name, push ? "push-pull" : "pull", size, worker.take_best()});
    }
    if (size == 1'000) {
      for (int round = 0; round < 5; ++round) worker.small(20'000);
      measured.push_back({name, "small", kSmall, worker.take_best()});
    }
    worker.goodbye();
  }
  return measured;
}

// --- other programs, and the copy ---

std::vector<Measurement> run_command(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::vector<Measurement> measured;
  std::array<char, 256> line{};
  while (pipe && std::fgets(line.data(), line.size(), pipe.get()) != nullptr) {
    std::array<char, 64> name{}, kind{};
    Measurement m;
    if (std::sscanf(line.data(), "%63[^\t]\t%63[^\t]\t%zu\t%lf", name.data(), kind.data(), &m.values, &m.seconds) !=
        4) {
      continue;
    }
    m.name = name.data(), m.kind = kind.data();
    measured.push_back(m);
  }
  return measured;
}

double copy_seconds(std::size_t values) {
  const std::vector<double> from(values, 1.0);
  std::vector<double> to(values, 2.0);
  double best = 1e9, sum = 0;
  for (int k = 0; k < 20; ++k) {
    const auto begin = std::chrono::steady_clock::now();
    std::copy(from.begin(), from.end(), to.begin());
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    sum += to[static_cast<std::size_t>(k) % values];
  }
  return sum > 0 ? best : 0;
}

void print(const std::vector<Measurement>& ours, const std::vector<Measurement>& peers) {
  std::map<std::pair<std::string, std::size_t>, Measurement> best_peer;
  for (const Measurement& peer : peers) {
    const auto [at, first] = best_peer.try_emplace({peer.kind, peer.values}, peer);
    if (!first && peer.seconds < at->second.seconds) at->second = peer;
  }
  fmt::print("{:<26} {:<10} {:>10} {:>12} {:>12} {:>12}\n", "", "", "values", "us", "copies", "peer/ours");
  for (const auto* list : {&ours, &peers}) {
    for (const Measurement& m : *list) {
      const auto peer = best_peer.find({m.kind, m.values});
      const std::string ratio =
          list == &peers || peer == best_peer.end() ? "" : fmt::format("{:.2f}", peer->second.seconds / m.seconds);
      fmt::print("{:<26} {:<10} {:>10} {:>12.2f} {:>12} {:>12}{}\n", m.name, m.kind, m.values, 1e6 * m.seconds,
                 m.kind == "small" ? "" : fmt::format("{:.1f}", m.seconds / copy_seconds(m.values)), ratio,
                 m.kind == "small" ? fmt::format("   {:.0f} per second", 1 / m.seconds) : "");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // as the command does
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  if (launched_by_mpi()) {
    run_mpi({}, [&](Endpoint& e) {
      for (const Measurement& m : measure(e, argc > 1 ? argv[1] : "MPI")) {
        fmt::print("{}\t{}\t{}\t{:.9f}\n", m.name, m.kind, m.values, m.seconds);
      }
    });
    return EXIT_SUCCESS;
  }
  std::vector<Measurement> ours;
  run_threads(2, {}, [&](Endpoint& e) {
    std::vector<Measurement> measured = measure(e, "Muster, threads");
    if (e.rank() == kWorker) ours = std::move(measured);
  });
  if (mpi_available()) {
    const std::string mpirun = "mpirun --bind-to none --oversubscribe -n 2 --mca btl ";
    for (const auto& [name, layers] : {std::pair<const char*, const char*>{"Muster, MPI memory", "vader,self"},
                                       std::pair<const char*, const char*>{"Muster, MPI TCP loopback", "tcp,self"}}) {
      const auto measured = run_command(fmt::format("{}{} {} '{}'", mpirun, layers, argv[0], name));
      ours.insert(ours.end(), measured.begin(), measured.end());
    }
  }
  print(ours, argc > 1 ? run_command(argv[1]) : std::vector<Measurement>{});
  return EXIT_SUCCESS;
}
