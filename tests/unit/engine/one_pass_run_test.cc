// A whole run of one pass that is asked to stop. The request is the process's and stays, so the run is in one of its
// own.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "muster/muster.h"

namespace muster {
namespace {

constexpr int kRowsOfRun = 60'000;

// Of more than a megabyte: several blocks.
std::string file_of_rows() {
  std::string name = (std::filesystem::temp_directory_path() / "muster_one_pass_XXXXXX.svm").string();
  std::fclose(fdopen(mkstemps(name.data(), 4), "w"));
  std::ofstream out(name);
  for (int i = 0; i < kRowsOfRun; ++i)
    out << i % 2 << ' ' << 1 + i % 2 << ":1 " << 3 + i % 7 << ":0.25 " << 10 + i % 90 << ":1\n";
  return name;
}

// Stops it at the first sign of progress; whether what it leaves is a model of the rows so far.
bool leaves_a_model_of_the_rows_so_far(const std::string& file) {
  TrainOptions options;
  options.data.paths = {file};
  options.problem.loss = Loss::logistic;
  options.run.mode = Mode::parameter_server;
  options.run.solver = SolverChoice::ftrl;
  options.run.workers = 1;
  options.stop.max_epochs = 1;
  const TrainResult result = train(options, [](const Progress&) { request_stop(); });
  const Certificate& certificate = result.report.certificate;
  return result.report.stop_reason == StopReason::interrupted && certificate.rows_read > 0 &&
         certificate.rows_read < kRowsOfRun && certificate.rows_read == certificate.rows_in_files &&
         result.report.progressive_loss > 0 && !result.model.coefficients.empty() &&
         std::isfinite(result.model.coefficients[0].value);
}

TEST(OnePassRun, AnInterruptLeavesTheModelOfTheRowsSoFar) {
  const std::string file = file_of_rows();
  EXPECT_EXIT(std::exit(leaves_a_model_of_the_rows_so_far(file) ? 0 : 1), testing::ExitedWithCode(0), "");
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace muster
