// The simulated cluster against what theory says of it. Each test states formula and source; nothing is fitted.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "cluster/collectives.h"
#include "cluster/sim/sim_launch.h"

namespace muster {
namespace {

constexpr LinkModel kFree{.latency_seconds = 0,
                          .jitter_seconds = 0,
                          .bandwidth = kForever,
                          .send_overhead_seconds = 0,
                          .receive_overhead_seconds = 0};

// One flop per second, and communication that takes no time.
ClusterModel computing_only() {
  ClusterModel model;
  model.default_node.flops_per_second = 1;
  model.inter_host = kFree;
  model.header_bytes = 0;
  model.poll_seconds = 1e-12;
  return model;
}

constexpr double kSendOverhead = 3e-6, kLatency = 2e-5, kReceiveOverhead = 5e-6, kBandwidth = 1e9;
constexpr double kAlpha = kSendOverhead + kLatency + kReceiveOverhead, kBeta = 1 / kBandwidth;

ClusterModel alpha_beta() {
  ClusterModel model;
  model.inter_host = {.latency_seconds = kLatency,
                      .jitter_seconds = 0,
                      .bandwidth = kBandwidth,
                      .send_overhead_seconds = kSendOverhead,
                      .receive_overhead_seconds = kReceiveOverhead};
  model.header_bytes = 0;
  model.poll_seconds = 1e-12;
  return model;
}

double mean_round_seconds(int ranks, int rounds, const ClusterModel& model) {
  const SimReport report = run_simulated(ranks, model, {}, [rounds](Endpoint& e) {
    for (int k = 0; k < rounds; ++k) {
      e.charge({.bytes = 0, .flops = 1});
      double sum = 1;
      e.allreduce({&sum, 1}, ReduceOp::sum, Deadline::never());
      ASSERT_EQ(sum, e.size());
    }
  });
  return report.seconds / rounds;
}

// A synchronous round of m workers takes the largest of m times. Exponential of mean 1: expectation H_m = Σ 1/k,
// variance Σ 1/k². Source: A. Rényi, "On the theory of order statistics", Acta Math. Acad. Sci. Hung. 4 (1953).
TEST(Theory, RoundsOfExponentialWorkersTakeTheHarmonicNumber) {
  for (const auto& [ranks, rounds] : {std::pair{8, 1000}, {100, 200}, {1000, 30}}) {
    ClusterModel model = computing_only();
    model.default_node.round_factor = Distribution::exponential(1);
    double mean = 0, variance = 0;
    for (int k = 1; k <= ranks; ++k) {
      mean += 1.0 / k;
      variance += 1.0 / k / k;
    }
    EXPECT_NEAR(mean_round_seconds(ranks, rounds, model), mean, 4 * std::sqrt(variance / rounds)) << ranks;
  }
}

// The largest of m Pareto(x0, a): E[M^j] = x0^j Γ(m+1) Γ(1−j/a) / Γ(m+1−j/a), j < a.
// Source: B. C. Arnold, "Pareto Distributions", 1983, section 3.4 (H. J. Malik, 1966).
TEST(Theory, RoundsOfParetoWorkersTakeTheExpectedMaximum) {
  const double minimum = 0.5, shape = 3;
  for (const auto& [ranks, rounds] : {std::pair{8, 1000}, {100, 200}, {1000, 30}}) {
    ClusterModel model = computing_only();
    model.default_node.round_factor = Distribution::pareto(minimum, shape);
    const int m = ranks;
    const auto moment = [&](int j) {
      return std::pow(minimum, j) *
             std::exp(std::lgamma(m + 1) + std::lgamma(1 - j / shape) - std::lgamma(m + 1 - j / shape));
    };
    const double mean = moment(1), variance = moment(2) - mean * mean;
    EXPECT_NEAR(mean_round_seconds(ranks, rounds, model), mean, 4 * std::sqrt(variance / rounds)) << ranks;
  }
}

// Variance that persists is that of nodes: every round waits for the slowest node, the largest of m lognormal factors
// of this run, and all rounds take the same.
TEST(Theory, APersistentFactorMakesEveryRoundTheSame) {
  ClusterModel model = computing_only();
  model.default_node.factor = Distribution::lognormal(1, 0.5);
  const double one = mean_round_seconds(50, 1, model);
  EXPECT_NEAR(mean_round_seconds(50, 20, model), one, 1e-9);
  EXPECT_GT(one, 1);
  model.seed = 1;
  EXPECT_NE(mean_round_seconds(50, 1, model), one);
}

// 2(m−1) steps, each α + (B/m)β; each rank sends 2(m−1)/m·B bytes.
// Source: P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms", J. Parallel Distrib. Comput. 69 (2009).
TEST(Theory, RingAllreduceTakesItsAlphaBetaTime) {
  for (const int m : {2, 3, 8, 64}) {
    const std::size_t count = 1000 * static_cast<std::size_t>(m);
    const double bytes = 8.0 * static_cast<double>(count);
    const SimReport report = run_simulated(m, alpha_beta(), {}, [&](Endpoint& e) {
      std::vector<double> values(count, e.rank() + 1.0);
      ring_allreduce(e, values, ReduceOp::sum, Deadline::never());
      EXPECT_EQ(values.front(), m * (m + 1) / 2);
      EXPECT_EQ(values.back(), m * (m + 1) / 2);
      EXPECT_EQ(e.traffic().messages_sent, 2 * (m - 1));
    });
    EXPECT_NEAR(report.bytes / m, 2.0 * (m - 1) / m * bytes, 1e-6);
    EXPECT_NEAR(report.seconds, 2 * (m - 1) * (kAlpha + bytes / m * kBeta), 1e-12 * m);
  }
}

// m messages of B bytes through one interface: m·B·β, and α once.
// Source: LogGP (A. Alexandrov et al., SPAA 1995), with the gap at the receiver.
TEST(Theory, AFlatGatherPassesTheServersInterfaceOneAfterAnother) {
  const std::size_t size = 100'000;
  for (const int m : {1, 7, 200}) {
    const SimReport report = run_simulated(m + 1, alpha_beta(), {}, [&](Endpoint& e) {
      const std::size_t mine = e.rank() == 0 ? 0 : size;
      const std::vector<Buffer> all = e.gather(Buffer(mine), 0, Deadline::never());
      EXPECT_EQ(all.size(), e.rank() == 0 ? static_cast<std::size_t>(m) + 1 : 0);
    });
    EXPECT_NEAR(report.seconds, m * static_cast<double>(size) * kBeta + kAlpha, 1e-9) << m;
  }
}

// Binomial tree: ⌈log2 m⌉ (α + Bβ) where m is a power of two, and no more elsewhere.
// Source: R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations in MPICH", Int. J.
// High Perf. Comput. Appl. 19 (2005), section 4.
TEST(Theory, ATreeBroadcastTakesOneHopPerLevel) {
  const std::size_t count = 5000;
  for (const int m : {2, 4, 8, 64, 1024, 3, 5, 100}) {
    const SimReport report = run_simulated(m, alpha_beta(), {}, [&](Endpoint& e) {
      std::vector<double> values(count, e.rank() == 0 ? 1.5 : 0);
      e.broadcast(values, 0, Deadline::never());
      EXPECT_EQ(values.back(), 1.5);
    });
    const double levels = std::ceil(std::log2(m));
    const double bound = levels * (kAlpha + 8.0 * static_cast<double>(count) * kBeta);
    if (std::exp2(levels) == m) {
      EXPECT_NEAR(report.seconds, bound, 1e-10) << m;
    } else {
      EXPECT_LE(report.seconds, bound + 1e-10) << m;
      EXPECT_GE(report.seconds, (levels - 1) * (kAlpha + 8.0 * static_cast<double>(count) * kBeta)) << m;
    }
  }
}

// N customers that think for Z and are served one at a time for s: throughput min(N/(Z+s), 1/s).
// Source: P. J. Denning, J. P. Buzen, "The operational analysis of queueing network models", Comput. Surv. 10 (1978):
// the asymptotic bounds, which constant times reach.
TEST(Theory, AClosedQueueServesAtTheLesserOfItsTwoBounds) {
  const double think = 9, service = 1;
  const int requests = 400;
  for (const int customers : {1, 2, 5, 9, 10, 11, 20, 50}) {
    double first = 0, last = 0;
    const int served = customers * requests;
    run_simulated(customers + 1, computing_only(), {}, [&](Endpoint& e) {
      if (e.rank() != 0) {
        for (int k = 0; k < requests; ++k) {
          e.charge({.bytes = 0, .flops = think});
          e.send(0, 1, Buffer());
          e.receive({{0}, {2}}, Deadline::never());
        }
        return;
      }
      for (int k = 0; k < served; ++k) {
        const Message request = e.receive({{}, {1}}, Deadline::never());
        e.charge({.bytes = 0, .flops = service});
        e.send(request.source, 2, Buffer());
        if (k == served / 4) first = e.now();  // settled by then
        if (k == served / 4 * 3) last = e.now();
      }
    });
    const double throughput = (served / 4 * 3 - served / 4) / (last - first);
    EXPECT_NEAR(throughput, std::min(customers / (think + service), 1 / service), 1e-6) << customers;
  }
}

// Roofline: the slower of arithmetic and memory decides.
// Source: S. Williams, A. Waterman, D. Patterson, Commun. ACM 52 (2009).
TEST(Theory, ComputeTimeIsTheSlowerOfFlopsAndBytes) {
  ClusterModel model;
  model.default_node.flops_per_second = 100;
  model.default_node.bytes_per_second = 10;
  model.default_node.factor = Distribution::constant(3);
  run_simulated(1, model, {}, [](Endpoint& e) {
    e.charge({.bytes = 10, .flops = 50});
    EXPECT_NEAR(e.now(), 3, 1e-12);
    e.charge({.bytes = 10, .flops = 200});
    EXPECT_NEAR(e.now(), 9, 1e-12);
  });
}

}  // namespace
}  // namespace muster
