// Trains on the CSV named on the command line (target: y) and prints the coefficients.
#include <cstdio>
#include <exception>

#include "muster/muster.h"

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  muster::TrainOptions options;
  options.data.paths = {argv[1]};
  options.data.target = "y";
  options.run.workers = 2;
  try {
    const muster::TrainResult result = muster::train(options);
    std::printf("intercept %.17g\n", result.model.intercept);
    for (const muster::Coefficient& one : result.model.coefficients)
      std::printf("%s %.17g\n", one.feature.c_str(), one.value);
    std::printf("digits %s\n", result.report.certificate.digits ? "known" : "unknown");
  } catch (const muster::InputError& error) {
    std::fprintf(stderr, "consumer: %s\n", error.what());
    return 2;
  }
}
