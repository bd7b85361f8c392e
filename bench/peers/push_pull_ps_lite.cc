// The peer of bench/push_pull.cc: the same by ps-lite (github.com/dmlc/ps-lite), one server and one worker, values as
// float64. Not part of the build. With ps-lite's sources and a build of its library at $PS, and ZeroMQ and protobuf:
//
//     g++ -std=c++14 -O3 -I$PS/include -I$PS/src push_pull_ps_lite.cc $PS/build/libps.a -lzmq -lprotobuf-lite -lpthread
//
// and started three times, as ps-lite asks: with DMLC_ROLE=scheduler, server and worker, and all with
// DMLC_NUM_SERVER=1 DMLC_NUM_WORKER=1 DMLC_PS_ROOT_URI=127.0.0.1 DMLC_PS_ROOT_PORT=8791 DMLC_INTERFACE=lo
// DMLC_NODE_HOST=127.0.0.1. Copying is avoided wherever ps-lite can (ZPush, answers out of the server's own array).
//
// "ps-lite": one key, whose value is a vector; ps-lite's best case. "ps-lite, keyed": each value with a key of its own,
// as ps-lite's own benchmark has it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "ps/ps.h"

namespace {

using Clock = std::chrono::steady_clock;
using Values = ps::SArray<double>;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// A request's command is the number of values its one key has; 0: one for each key.
void serve() {
  static std::vector<double> w(10000000, 0.0);
  auto* server = new ps::KVServer<double>(0);  // ps-lite's callback owns it
  server->set_request_handle([](const ps::KVMeta& meta, const ps::KVPairs<double>& data, ps::KVServer<double>* s) {
    ps::KVPairs<double> answer;
    if (meta.push) {
      for (std::size_t i = 0; i < data.vals.size(); ++i) w[i] += data.vals[i];
    }
    if (meta.pull) {
      const std::size_t n = meta.cmd > 0 ? static_cast<std::size_t>(meta.cmd) : data.keys.size();
      answer.keys = data.keys;
      answer.vals.reset(w.data(), n, [](double*) {});
      if (meta.cmd > 0) answer.lens = ps::SArray<int>(1, static_cast<int>(n));
    }
    s->Response(meta, answer);
  });
  ps::RegisterExitCallback([server]() { delete server; });
}

void measure(ps::KVWorker<double>& kv, int n, bool keyed) {
  const int number = keyed ? n : 1;
  std::vector<ps::Key> key_list;
  for (int i = 0; i < number; ++i)
    key_list.push_back(ps::kMaxKey / static_cast<ps::Key>(number) * static_cast<ps::Key>(i));
  const ps::SArray<ps::Key> keys(key_list);
  const Values values(std::vector<double>(static_cast<std::size_t>(n), 1.0));
  const ps::SArray<int> lens = keyed ? ps::SArray<int>() : ps::SArray<int>(1, n);
  Values back(static_cast<std::size_t>(n), 0.0);
  ps::SArray<int> back_lens(1, n);
  const int command = keyed ? 0 : n;
  double pull = 1e9, push_pull = 1e9;
  for (int k = 0; k < std::max(5, 1000000 / n); ++k) {
    auto begin = Clock::now();
    kv.Wait(kv.ZPull(keys, &back, keyed ? nullptr : &back_lens, command));
    pull = std::min(pull, seconds_since(begin));
    begin = Clock::now();
    // (ZPushPull would send back_lens as the pushed lengths; they are the same.)
    kv.Wait(kv.ZPushPull(keys, values, &back, keyed ? nullptr : &back_lens, command));
    push_pull = std::min(push_pull, seconds_since(begin));
  }
  const char* name = keyed ? "ps-lite, keyed" : "ps-lite";
  std::printf("%s\tpull\t%d\t%.9f\n%s\tpush-pull\t%d\t%.9f\n", name, n, pull, name, n, push_pull);
}

void measure_small(ps::KVWorker<double>& kv) {
  constexpr int kValues = 10, kCount = 20000;
  constexpr std::size_t kUnderWay = 64;
  const ps::SArray<ps::Key> keys(std::vector<ps::Key>{0});
  const Values values(std::vector<double>(kValues, 1.0));
  const ps::SArray<int> lens(1, kValues);
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    std::vector<int> pushes;
    const auto begin = Clock::now();
    for (std::size_t k = 0; k < kCount + kUnderWay; ++k) {
      if (k >= kUnderWay) kv.Wait(pushes[k - kUnderWay]);
      if (k < kCount) pushes.push_back(kv.ZPush(keys, values, lens));
    }
    best = std::min(best, seconds_since(begin) / kCount);
  }
  std::printf("ps-lite\tsmall\t%d\t%.9f\n", kValues, best);
}

void work() {
  ps::KVWorker<double> kv(0, 0);
  for (const bool keyed : {false, true}) {
    for (const int n : {1000, 100000, 10000000}) measure(kv, n, keyed);
  }
  measure_small(kv);
}

}  // namespace

int main() {
  ps::Start(0);
  if (ps::IsServer()) serve();
  if (ps::IsWorker()) work();
  ps::Finalize(0, true);
  return EXIT_SUCCESS;
}
