// Results in words and small tables, for standard output.
#pragma once

#include <string>

#include "muster/muster.h"

namespace muster::cli {

// Coefficients, fit on the training rows, and the certificate.
std::string describe(const TrainResult& result);
std::string describe(const Metrics& metrics, Loss loss);

// One sentence: why the run stopped.
std::string describe_stop(const Report& report);

}  // namespace muster::cli
