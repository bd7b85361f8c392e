#include "progress_line.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "words.h"

namespace muster::cli {

namespace {

// Rates are noise at first.
constexpr double kFirstRateSeconds = 0.5;

std::string time_left(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "";
  return fmt::format(", {} left", duration(std::ceil(seconds)));
}

std::string describe_reading(const Progress& progress) {
  std::string text = fmt::format("reading: {} rows", grouped(progress.rows));
  if (progress.seconds < kFirstRateSeconds) return text;
  text += fmt::format(", {} rows/s, {}B/s", scaled(static_cast<double>(progress.rows) / progress.seconds),
                      scaled(progress.bytes / progress.seconds));
  if (progress.bytes <= 0 || progress.total_bytes <= progress.bytes) return text;
  return text + time_left(progress.seconds * (progress.total_bytes - progress.bytes) / progress.bytes);
}

std::string describe_tuning(const Progress& progress) {
  std::string text = fmt::format("tuning: {} of {} fits", grouped(progress.fits), grouped(progress.total_fits));
  if (progress.seconds < kFirstRateSeconds || progress.fits == 0) return text;
  const auto left = static_cast<double>(progress.total_fits - progress.fits);
  return text + time_left(progress.seconds * left / static_cast<double>(progress.fits));
}

// A linear rate of convergence makes the logarithm of the gap fall steadily.
std::string describe_training(const Progress& progress) {
  std::string text = fmt::format("training: round {}, objective {:.10g}", grouped(progress.round), progress.objective);
  if (!(progress.gap > 0) || !std::isfinite(progress.gap)) return text;
  text += fmt::format(", gap {:.2g} (done at 1)", progress.gap);
  const double fallen = std::log(progress.first_gap / progress.gap);
  if (progress.seconds < kFirstRateSeconds || !(fallen > 0) || progress.gap <= 1) return text;
  return text + time_left(progress.seconds * std::log(progress.gap) / fallen);
}

std::size_t terminal_columns() {
  winsize size{};
  constexpr std::size_t kUsual = 80;
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

}  // namespace

std::string describe(const Progress& progress) {
  switch (progress.stage) {
    case Progress::Stage::reading:
      return describe_reading(progress);
    case Progress::Stage::tuning:
      return describe_tuning(progress);
    case Progress::Stage::training:
      break;
  }
  return describe_training(progress);
}

ProgressLine::ProgressLine(bool quiet) : enabled_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  clear();
}

void ProgressLine::show(const Progress& progress) {
  if (!enabled_) return;
  const std::string text = describe(progress).substr(0, terminal_columns() - 1);  // a wrapped line can not be rewritten
  std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace muster::cli
