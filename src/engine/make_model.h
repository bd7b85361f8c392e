// The model that is saved, of what was fitted.
#pragma once

#include "data/load.h"
#include "engine/fit.h"
#include "muster/muster.h"

namespace muster {

Model make_model(const TrainOptions& options, const Dataset& data, const FitResult& fitted);

}  // namespace muster
