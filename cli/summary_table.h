// A summary as statisticians read it.
#pragma once

#include <string>

#include "muster/report.h"

namespace muster::cli {

// Residuals, a line for each coefficient, and the measures of the whole fit.
std::string describe(const Summary& summary);

}  // namespace muster::cli
