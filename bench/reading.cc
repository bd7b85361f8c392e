// One core's seconds to read files as `muster train` does, from path to matrix; and the files to read.
//
//     reading make-csv PATH ROWS COLS        numbers of 6 decimals, target y = Xw + noise
//     reading make-libsvm PATH ROWS ENTRIES  of 100,000 columns, values of 4 to 6 digits
//     reading load PATH [TARGET]             prints {"seconds", "cpu", "bytes", "rows"}
//     reading memory BYTES THREADS           only reads a buffer: prints {"own", "one"}, seconds where every thread
//                                            touched first what it reads, and where one touched everything
//
// bench/reading.py runs these beside other readers, and bench/threads.py the last.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/executor.h"
#include "base/peers.h"
#include "base/random.h"
#include "data/load.h"
#include "read_memory.h"

namespace {

using namespace muster;

class OnlyWorker final : public Peers {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::vector<std::string> all_gather(const std::string& mine) override { return {mine}; }
};

class Draws {
 public:
  double uniform() { return random_.uniform(drawn_++); }
  double normal() { return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform()); }

 private:
  RandomStream random_{1988, 0, RandomPurpose::start_vector};
  std::uint64_t drawn_ = 0;
};

class TextFile {
 public:
  explicit TextFile(const std::string& path) : file_(std::fopen(path.c_str(), "w"), &std::fclose) {
    if (!file_) std::exit((fmt::print(stderr, "{}: cannot be written\n", path), 1));
  }
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(line_), format, std::forward<Args>(args)...);
  }
  void end_line() {
    line_ += '\n';
    std::fwrite(line_.data(), 1, line_.size(), file_.get());
    line_.clear();
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::string line_;
};

void make_csv(const std::string& path, std::size_t rows, std::size_t cols) {
  TextFile file(path);
  Draws draws;
  for (std::size_t j = 0; j < cols; ++j) file.put("x{},", j);
  file.put("y");
  file.end_line();
  for (std::size_t i = 0; i < rows; ++i) {
    double y = 0.1 * draws.normal();
    for (std::size_t j = 0; j < cols; ++j) {
      const double x = draws.uniform() * 2 - 1;
      y += x * std::sin(static_cast<double>(j + 1));
      file.put("{:.6f},", x);
    }
    file.put("{:.6f}", y);
    file.end_line();
  }
}

void make_libsvm(const std::string& path, std::size_t rows, std::size_t entries) {
  constexpr std::size_t kCols = 100'000;
  TextFile file(path);
  Draws draws;
  std::vector<std::size_t> row;
  for (std::size_t i = 0; i < rows; ++i) {
    row.clear();
    for (std::size_t k = 0; k < entries; ++k)
      row.push_back(1 + static_cast<std::size_t>(std::pow(draws.uniform(), 2) * kCols));
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    file.put("{}", draws.uniform() < 0.5 ? "+1" : "-1");
    for (const std::size_t j : row) file.put(" {}:{:.5g}", j, draws.uniform());
    file.end_line();
  }
}

void load_alone(const std::string& path, const std::string& target) {
  LoadRequest request;
  request.options.paths = {path};
  request.options.target = target;
  OnlyWorker worker;
  const auto begin = std::chrono::steady_clock::now();
  const Dataset data = load(request, worker);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const double cpu = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  fmt::print("{{\"seconds\": {:.4f}, \"cpu\": {:.4f}, \"bytes\": {}, \"rows\": {}}}\n", seconds.count(), cpu,
             std::filesystem::file_size(path), data.shard.rows());
}

// The best of several turns over a buffer on pages like a matrix's.
double least_seconds(std::size_t bytes, Executor& touch, Executor& reader) {
  constexpr std::size_t kPiece = kLargePage / sizeof(std::uint64_t);
  constexpr int kTurns = 9;
  AlignedVector<std::uint64_t> words(bytes / sizeof(std::uint64_t));
  touch.run((words.size() + kPiece - 1) / kPiece, [&](std::size_t piece, int) {
    for (std::size_t i = piece * kPiece; i < std::min(words.size(), (piece + 1) * kPiece); ++i) words[i] = i;
  });
  double seconds = 1e30;
  for (int turn = 0; turn < kTurns; ++turn)
    seconds = std::min(seconds, bench::seconds_to_read(words.data(), bytes, reader));
  return seconds;
}

void read_memory(std::size_t bytes, int threads) {
  Executor all(threads), one(1);
  fmt::print("{{\"own\": {:.5f}, \"one\": {:.5f}}}\n", least_seconds(bytes, all, all), least_seconds(bytes, one, all));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string what = words.empty() ? "" : words[0];
  if (what == "make-csv" && words.size() == 4) {
    make_csv(words[1], std::stoul(words[2]), std::stoul(words[3]));
  } else if (what == "make-libsvm" && words.size() == 4) {
    make_libsvm(words[1], std::stoul(words[2]), std::stoul(words[3]));
  } else if (what == "load" && words.size() >= 2) {
    load_alone(words[1], words.size() > 2 ? words[2] : "");
  } else if (what == "memory" && words.size() == 3) {
    read_memory(std::stoul(words[1]), std::stoi(words[2]));
  } else {
    fmt::print(stderr,
               "reading make-csv PATH ROWS COLS | make-libsvm PATH ROWS ENTRIES | load PATH [TARGET] | memory BYTES "
               "THREADS\n");
    return 2;
  }
}
