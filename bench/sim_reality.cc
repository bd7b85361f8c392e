// The simulator against this machine: calibrated on some sizes, it predicts others. Prints measured and predicted
// times, the median and the worst error.
//
//     sim_reality                          two ranks as threads
//     mpirun -n 2 sim_reality              two ranks as processes
//
// Messages: half the time of going there and back, 8 B to 8 MiB, each as written by its sender and read by its
// receiver; α and β are fitted to every second power of two. MapReduce: rounds of the trainer on one and two ranks
// (under mpirun: on two); flops per second are fitted to one rank's rounds at two numbers of columns, α and β are those
// of the messages.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "cluster/mpi/mpi_launch.h"
#include "cluster/sim/sim_launch.h"
#include "cluster/threads/threads_launch.h"
#include "train/mapreduce.h"

namespace {

using namespace muster;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// --- messages ---

// Median of half a round trip, at rank 0.
double exchange(Endpoint& e, std::size_t bytes, int repeats) {
  std::vector<double> seconds;
  std::vector<double> values(bytes / sizeof(double), 1.0);
  double sum = 0;
  const auto read = [&sum](const Message& message) {
    for (const double v : message.payload.as<double>()) sum += v;
  };
  for (int k = 0; k < repeats; ++k) {
    const Time begin = e.now();
    if (e.rank() == 0) e.send(1, 1, Buffer::copy_of(std::span<const double>(values)));
    read(e.receive({{1 - e.rank()}, {1}}, Deadline::never()));
    if (e.rank() == 1) e.send(0, 1, Buffer::copy_of(std::span<const double>(values)));
    seconds.push_back((e.now() - begin) / 2);
  }
  if (sum < 0) fmt::print("\n");  // so that reading is not optimised away
  return median(seconds);
}

std::vector<double> exchange_all(Endpoint& e, const std::vector<std::size_t>& sizes) {
  std::vector<double> seconds;
  exchange(e, 1024, 200);  // warm up
  for (const std::size_t bytes : sizes) seconds.push_back(exchange(e, bytes, bytes > 100'000 ? 30 : 300));
  return seconds;
}

struct Line {
  double alpha = 0, beta = 0;
};

// Least squares of relative errors of alpha + beta x.
Line fit(const std::vector<double>& x, const std::vector<double>& y) {
  double s00 = 0, s01 = 0, s11 = 0, r0 = 0, r1 = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double a = 1 / y[i], b = x[i] / y[i];
    s00 += a * a, s01 += a * b, s11 += b * b, r0 += a, r1 += b;
  }
  const double det = s00 * s11 - s01 * s01;
  return {std::max(1e-9, (r0 * s11 - r1 * s01) / det), std::max(1e-15, (s00 * r1 - s01 * r0) / det)};
}

// --- MapReduce ---

// Least squares in plain loops: what matters is that its work is what it says.
class Rows final : public Objective {
 public:
  Rows(std::size_t rows, std::size_t columns) : rows_(rows), columns_(columns), x_(rows * columns) {
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] = std::sin(static_cast<double>(i));
  }
  std::size_t dimension() const override { return columns_; }
  std::size_t rows() const override { return rows_; }
  double weight() const override { return static_cast<double>(rows_); }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double>) override {
    value = 0;
    std::fill(gradient.begin(), gradient.end(), 0);
    for (std::size_t i = 0; i < rows_; ++i) {
      const double* row = x_.data() + i * columns_;
      double margin = -1;
      for (std::size_t j = 0; j < columns_; ++j) margin += row[j] * w[j];
      value += margin * margin / 2;
      for (std::size_t j = 0; j < columns_; ++j) gradient[j] += margin * row[j];
    }
    const double cells = static_cast<double>(x_.size());
    return {.bytes = 8 * cells, .flops = 4 * cells};
  }
  Work curvature_product(std::span<const double>, std::span<double>) override { return {}; }

 private:
  std::size_t rows_, columns_;
  std::vector<double> x_;
};

constexpr std::size_t kCells = 4'000'000;  // of all ranks: 32 MB, beyond the caches

// Median seconds of a round; adds those of its computing, on the slowest rank, to computed.
double rounds(Endpoint& e, std::size_t columns, bool real, double* computed = nullptr) {
  const std::size_t rows = kCells / columns / static_cast<std::size_t>(e.size());
  // A simulated rank need not do what it charges; two rows and the same work say the same to the clock.
  Rows objective(real ? rows : 2, columns);
  MapReduceOptions options;
  options.penalty.assign(columns, 0.0);
  MapReduce trainer(objective, e, options);
  std::vector<double> w(columns, 0.01), gradient(columns), seconds;
  for (int k = 0; k < 15; ++k) {
    const Time begin = e.now();
    if (!real)
      e.charge({.bytes = 8.0 * static_cast<double>((rows - 2) * columns),
                .flops = 4.0 * static_cast<double>((rows - 2) * columns)});
    trainer.value_and_gradient(w, gradient);
    seconds.push_back(e.now() - begin);
  }
  double compute = trainer.compute_seconds() / 15;
  e.allreduce({&compute, 1}, ReduceOp::max, Deadline::never());
  if (computed != nullptr) *computed += compute;
  return median(seconds);
}

// Flops per second of each of the ranks while all are busy.
double measure_rate(Endpoint& e) {
  double seconds = 0;
  for (const std::size_t columns : {std::size_t{50}, std::size_t{800}}) rounds(e, columns, true, &seconds);
  return 2 * 4.0 * static_cast<double>(kCells) / e.size() / seconds;
}

// --- prediction ---

ClusterModel calibrated(const Line& line) {
  ClusterModel model;
  model.name = "this machine";
  model.inter_host = {.latency_seconds = line.alpha / 2,
                      .jitter_seconds = 0,
                      .bandwidth = 1 / line.beta,
                      .send_overhead_seconds = line.alpha / 4,
                      .receive_overhead_seconds = line.alpha / 4};
  model.header_bytes = 0;
  return model;
}

class Table {
 public:
  void row(const std::string& what, double measured, double predicted) {
    const double error = predicted / measured - 1;
    fmt::print("{:>34}  measured {:10.2f} us  predicted {:10.2f} us  error {:+6.1f} %\n", what, measured * 1e6,
               predicted * 1e6, 100 * error);
    errors_.push_back(std::fabs(error));
  }
  void summary(const std::string& what) {
    fmt::print("{}: median error {:.1f} %, worst {:.1f} %\n\n", what, 100 * median(errors_),
               100 * *std::max_element(errors_.begin(), errors_.end()));
    errors_.clear();
  }

 private:
  std::vector<double> errors_;
};

void report(const std::vector<std::size_t>& sizes, const std::vector<double>& measured,
            const std::vector<double>& rates,
            const std::vector<std::pair<int, std::pair<std::size_t, double>>>& trained) {
  std::vector<double> x, y;
  for (std::size_t i = 0; i < sizes.size(); i += 2)
    x.push_back(static_cast<double>(sizes[i])), y.push_back(measured[i]);
  const Line line = fit(x, y);
  fmt::print("fitted to the other sizes: alpha {:.2f} us, bandwidth {:.2f} GB/s\n", line.alpha * 1e6, 1e-9 / line.beta);
  ClusterModel model = calibrated(line);
  Table table;
  for (std::size_t i = 1; i < sizes.size(); i += 2) {
    double predicted = 0;
    run_simulated(2, model, {}, [&](Endpoint& e) {
      const double seconds = exchange(e, sizes[i], 3);
      if (e.rank() == 0) predicted = seconds;
    });
    table.row(fmt::format("message of {} B", sizes[i]), measured[i], predicted);
  }
  table.summary("messages");
  model.default_node.bytes_per_second = kForever;
  for (const auto& [ranks, round] : trained) {
    double predicted = 0;
    const std::size_t columns = round.first;
    model.default_node.flops_per_second = rates[static_cast<std::size_t>(ranks)];
    run_simulated(ranks, model, {}, [&](Endpoint& e) {
      const double seconds = rounds(e, columns, false);
      if (e.rank() == 0) predicted = seconds;
    });
    table.row(fmt::format("round, {} ranks, {} columns", ranks, columns), round.second, predicted);
  }
  table.summary(fmt::format("MapReduce rounds ({:.2f} Gflop/s of one rank, {:.2f} of each of two)", rates[1] * 1e-9,
                            rates[2] * 1e-9));
}

}  // namespace

int main() {
  std::vector<std::size_t> sizes;
  for (std::size_t bytes = 8; bytes <= (std::size_t{8} << 20); bytes *= 2) sizes.push_back(bytes);
  std::vector<double> measured;
  std::vector<double> rates(3, 0);
  std::vector<std::pair<int, std::pair<std::size_t, double>>> trained;
  bool speaks = true;
  const auto two_ranks = [&](Endpoint& e) {
    if (e.size() != 2) throw InputError("sim_reality runs on two ranks");
    const std::vector<double> seconds = exchange_all(e, sizes);
    const double rate = measure_rate(e);
    if (e.rank() == 0) rates[2] = rate;
    const auto train = [&](std::size_t columns) {
      const double round = rounds(e, columns, true);
      if (e.rank() == 0) trained.push_back({2, {columns, round}});
    };
    for (const std::size_t columns : {std::size_t{100}, std::size_t{400}, std::size_t{2000}}) train(columns);
    if (e.rank() == 0) measured = seconds;
    if (launched_by_mpi()) speaks = e.rank() == 0;
  };
  // One rank's rate, without a message, is the same however ranks are started.
  run_threads(1, {}, [&](Endpoint& e) {
    rates[1] = measure_rate(e);
    if (launched_by_mpi()) return;
    for (const std::size_t columns : {std::size_t{100}, std::size_t{400}, std::size_t{2000}}) {
      trained.push_back({1, {columns, rounds(e, columns, true)}});
    }
  });
  if (launched_by_mpi()) {
    run_mpi({}, two_ranks);
  } else {
    run_threads(2, {}, two_ranks);
  }
  if (speaks) report(sizes, measured, rates, trained);
  return EXIT_SUCCESS;
}
