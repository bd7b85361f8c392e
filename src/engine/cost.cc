#include "engine/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace muster {
namespace {

constexpr double kFlopsPerSecond = 4e9, kBytesPerSecond = 10e9;
constexpr double kLatency = 29e-6, kBandwidth = 1.25e9;
// Blocked products run near a processor's peak, where passes wait for memory.
constexpr double kProductsPerSecond = 20e9;
constexpr double kSolvesPerSecond = 2e9;
// Of one stored value in a pass.
constexpr double kFlopsPerValue = 6;
// Of a pair of entries of a sparse row, at an address of its own.
constexpr double kFlopsPerPair = 100;
// Sums of a few numbers over column blocks in a round: norms, products, flags.
constexpr double kSmallSums = 6;

double steps(int ranks) {
  return std::bit_width(static_cast<unsigned>(ranks - 1));  // ⌈log2 ranks⌉
}

double of_message(double numbers) {
  return kLatency + 8 * numbers / kBandwidth;
}

double of_sum(double numbers, int ranks) {
  return 2 * steps(ranks) * of_message(numbers);
}

double bytes_per_value(const DataShape& data) {
  return data.sparse ? 12 : 8;
}

std::string counted(double count, std::string_view what) {
  return fmt::format("{:.0f} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

double Cost::of_pass() const {
  const double values = data_.entries / workers_;
  return std::max(values * kFlopsPerValue * data_.outputs / kFlopsPerSecond,
                  values * bytes_per_value(data_) / kBytesPerSecond);
}

double Cost::of_round(GridShape shape) const {
  double seconds = of_pass() + of_sum(std::ceil(data_.columns / shape.columns) * data_.outputs, shape.rows);
  if (shape.columns > 1)
    seconds += of_sum(std::ceil(data_.rows / shape.rows) * data_.outputs, shape.columns) +
               kSmallSums * of_sum(1, shape.columns);
  return seconds;
}

double Cost::of_exact() const {
  const double p = data_.columns + 2;
  double products = data_.rows * p * p / workers_ / kProductsPerSecond;
  if (data_.sparse) {
    const double row = data_.entries / std::max(1.0, data_.rows);
    products = std::min(products, kFlopsPerPair * data_.entries * row / workers_ / kFlopsPerSecond);
  }
  return of_pass() + products + steps(workers_) * of_message(p * p / 2) + p * p * p / 3 / kSolvesPerSecond;
}

double Cost::of_cutting(GridShape shape) const {
  const double bytes = data_.entries / workers_ * bytes_per_value(data_);
  return (shape.columns - 1) * (kLatency + bytes / shape.columns / kBandwidth);
}

std::string Cost::subject() const {
  const std::string classes = data_.outputs > 1 ? fmt::format(", {:.0f} classes,", data_.outputs) : "";
  return fmt::format("{} of {}{} on {}", counted(data_.rows, "row"), counted(data_.columns, "column"), classes,
                     counted(workers_, "worker"));
}

std::string in_seconds(double seconds) {
  return seconds < 0.1 ? fmt::format("{:.2g} ms", 1e3 * seconds) : fmt::format("{:.2g} s", seconds);
}

}  // namespace muster
