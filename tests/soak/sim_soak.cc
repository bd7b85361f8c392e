// Draws clusters, faults, programs and orders from seeds, runs them simulated, and checks what must hold whatever
// happens: no deadlock, no row lost, the certificate true, the same model as without faults, and a PeerLost that names
// a node which died, where one died.
//
//     sim_soak [--seconds S] [--from SEED]     seeds from SEED on until the time is over [10, 0]
//     sim_soak --seed SEED                     that one
//
// Exit code: 0 all held; 11 a deadlock; 12 a wrong answer; 13 an error that should not be. A crash keeps its signal.
// The seed and the command that repeats it are printed.
#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "base/random.h"
#include "cluster/sim/cluster_file.h"
#include "cluster/sim/sim_launch.h"
#include "muster/muster.h"

namespace {

using namespace muster;

constexpr int kRows = 300;

struct WrongAnswer : std::runtime_error {
  explicit WrongAnswer(const std::string& law) : std::runtime_error("does not hold: " + law) {}
};

void require(bool holds, const std::string& law) {
  if (!holds) throw WrongAnswer(law);
}

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : stream_(seed, 0xffff'ffff, RandomPurpose::start_vector) {}
  double number(double low, double high) { return low + (high - low) * stream_.uniform(next_++); }
  // Of all sizes alike.
  double scale(double low, double high) { return low * std::pow(high / low, stream_.uniform(next_++)); }
  int below(int n) { return static_cast<int>(stream_.uniform(next_++) * n); }
  bool chance(double p) { return stream_.uniform(next_++) < p; }

 private:
  RandomStream stream_;
  std::uint64_t next_ = 0;
};

struct Case {
  std::uint64_t seed = 0;
  int ranks = 1;
  std::string toml;
  std::set<int> mortal;  // nodes that die at some time
};

std::string draw_factor(Draw& draw) {
  switch (draw.below(4)) {
    case 0:
      return "1";
    case 1:
      return fmt::format("{{ distribution = \"lognormal\", sigma = {} }}", draw.number(0, 1));
    case 2:
      return fmt::format("{{ distribution = \"pareto\", minimum = 0.5, shape = {} }}", draw.number(1.1, 5));
    default:
      return fmt::format("{{ distribution = \"exponential\", mean = {} }}", draw.number(0.1, 3));
  }
}

Case draw_case(std::uint64_t seed) {
  Draw draw(seed);
  Case c{seed, 1 + draw.below(24), "", {}};
  c.toml = fmt::format("seed = {}\ntie_seed = {}\n[node]\nflops_per_second = {}\nfactor = {}\nround_factor = {}\n",
                       seed, draw.below(1000), draw.scale(1e6, 1e10), draw_factor(draw), draw_factor(draw));
  c.toml += fmt::format("[[nodes]]\ncount = {}\nper_host = {}\nsite = \"a\"\n[[nodes]]\ncount = {}\nsite = \"b\"\n",
                        1 + c.ranks / 2, 1 + draw.below(4), c.ranks);
  c.toml += fmt::format("[links.inter_host]\nlatency_seconds = {}\njitter_seconds = {}\nbandwidth = {}\n",
                        draw.scale(1e-6, 1e-2), draw.chance(0.5) ? draw.scale(1e-6, 1e-2) : 0, draw.scale(1e5, 1e10));
  if (draw.chance(0.4)) {
    c.toml += fmt::format("[[links.between]]\nsites = [\"a\", \"b\"]\nbandwidth = {}\n", draw.scale(1e5, 1e9));
  }
  c.toml += "[failures]\n";
  if (draw.chance(0.3)) c.toml += fmt::format("pauses_per_second = {}\npause_seconds = 2\n", draw.scale(1e-2, 1));
  const auto node = [&] { return draw.below(c.ranks); };
  if (draw.chance(0.3)) {
    c.toml += fmt::format("[[failures.pauses]]\nnode = {}\nat = {}\nseconds = {}\n", node(), draw.scale(1e-4, 1),
                          draw.number(0, 4));
  }
  if (draw.chance(0.3)) {
    const double at = draw.scale(1e-4, 1);
    c.toml += fmt::format("[[failures.links]]\nnodes = [{}]\ncut = true\nat = {}\nuntil = {}\n", node(), at,
                          at + draw.number(0, 4));
  }
  if (draw.chance(0.3))
    c.toml += fmt::format("[[failures.links]]\nloss = {}\ndelay_seconds = {}\n", draw.number(0.01, 0.5),
                          draw.scale(1e-6, 1e-2));
  if (c.ranks > 1 && draw.chance(0.3)) {
    c.mortal.insert(node());
    c.toml += fmt::format("[[failures.deaths]]\nnode = {}\nat = {}\n", *c.mortal.begin(), draw.scale(1e-5, 10));
  }
  return c;
}

// --- programs ---

// Workers push to a server whenever they are ready and wait for its answer: every push arrives once, in its sender's
// order.
void push_and_count(const Case& c) {
  const ClusterModel model = parse_cluster(c.toml, "the cluster drawn");
  std::map<int, int> counted;
  const int pushes = 10;
  run_simulated(c.ranks, model, {}, [&](Endpoint& e) {
    if (e.rank() != 0) {
      for (std::int32_t k = 0; k < pushes; ++k) {
        e.charge({.bytes = 1e4, .flops = 1e4});
        e.send(0, 1, Buffer::copy_of(std::span<const std::int32_t>(&k, 1)));
        if (k % 3 == 0) e.receive({{0}, {2}}, Deadline::never());
      }
      return;
    }
    for (int k = 0; k < pushes * (e.size() - 1); ++k) {
      const Message push = e.receive({{}, {1}}, Deadline::never());
      const std::int32_t number = push.payload.as<std::int32_t>()[0];
      require(number == counted[push.source]++, "pushes arrive once and in order");
      if (number % 3 == 0) e.send(push.source, 2, Buffer(100));
    }
  });
  for (const auto& [source, count] : counted) require(count == pushes, "no push is lost");
}

// Synchronous training through the engine, against the same without a network and without faults.
void train_and_compare(const Case& c, SolverChoice solver, const std::string& directory) {
  const std::string cluster = directory + "/cluster.toml";
  std::ofstream(cluster) << c.toml;
  TrainOptions options;
  options.data.paths = {directory + "/rows.csv"};
  options.data.target = "y";
  options.problem.l2 = 0.01;
  options.run.solver = solver;
  options.run.reproducible = true;
  options.run.workers = c.ranks;
  options.run.transport = TransportChoice::sim;
  options.stop.max_rounds = 30;
  const TrainResult plain = train(options);
  options.run.simulate = cluster;
  const TrainResult result = train(options);
  const Certificate& certificate = result.report.certificate;
  require(certificate.rows_read == kRows && certificate.rows_in_files == kRows, "no row is lost");
  require(certificate.same_model_on_all_ranks, "all ranks hold the same model");
  require(certificate.objective == plain.report.certificate.objective, "the objective does not depend on the cluster");
  for (std::size_t j = 0; j < result.model.coefficients.size(); ++j) {
    require(result.model.coefficients[j].value == plain.model.coefficients[j].value,
            "the model does not depend on the cluster");
  }
  options.run.solver = SolverChoice::exact;
  options.run.simulate.clear();
  const double best = train(options).report.certificate.objective;
  if (certificate.suboptimality_bound) {
    require(certificate.objective - best <= *certificate.suboptimality_bound + 1e-12 * best, "the certificate is true");
  }
}

void write_rows(const std::string& directory) {
  std::ofstream file(directory + "/rows.csv");
  file << "a,b,c,y\n";
  Draw draw(42);
  for (int i = 0; i < kRows; ++i) {
    const double a = draw.number(-1, 1), b = draw.number(0, 100), c = draw.number(5, 6);
    file << fmt::format("{},{},{},{}\n", a, b, c, 3 * a - 0.1 * b + c + draw.number(-1, 1));
  }
}

// 0, or the exit code of what went wrong.
int run_case(std::uint64_t seed, const std::string& directory, const char* program) {
  const Case c = draw_case(seed);
  std::string what;
  int code = 0;
  try {
    switch (seed % 3) {
      case 0:
        push_and_count(c);
        break;
      case 1:
        train_and_compare(c, SolverChoice::gd, directory);
        break;
      default:
        train_and_compare(c, SolverChoice::exact, directory);
        break;
    }
  } catch (const Deadlock& error) {
    code = 11, what = error.what();
  } catch (const WrongAnswer& error) {
    code = 12, what = error.what();
  } catch (const PeerLost& error) {
    if (!c.mortal.contains(error.rank())) code = 12, what = std::string("lost though it did not die: ") + error.what();
  } catch (const std::exception& error) {
    code = 13, what = error.what();
    if (what.find("does not hold") != std::string::npos) code = 12;
  }
  if (code == 0) return 0;
  fmt::print(stderr, "seed {}: {}\n{}\nto repeat: {} --seed {}\n", seed, what, c.toml, program, seed);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 10;
  std::uint64_t from = 0;
  bool one = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seconds") == 0) seconds = std::atof(argv[i + 1]);
    if (std::strcmp(argv[i], "--from") == 0 || std::strcmp(argv[i], "--seed") == 0)
      from = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seed") == 0) one = true;
  }
  char directory[] = "/tmp/muster-soak-XXXXXX";
  if (mkdtemp(directory) == nullptr) return 13;
  write_rows(directory);
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t seed = from;
  int code = 0;
  do {
    code = run_case(seed++, directory, argv[0]);
  } while (code == 0 && !one &&
           std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < seconds);
  std::filesystem::remove_all(directory);
  if (code == 0) fmt::print("{} seeds from {}: all laws held\n", seed - from, from);
  return code;
}
