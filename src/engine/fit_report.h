// The account of a run.
#pragma once

#include <string>

#include "engine/fit_context.h"

namespace muster {

// Collective: measures are gathered from every living rank.
Report make_report(FitContext& context, Trained trained, std::string solver_reason, Certificate certificate);

}  // namespace muster
