// Where a fit begins, where that is not the best constant model: at the checkpoint of an earlier run (--resume), or at
// a model of other data or another penalty (--warm-start), whose coefficients are found by their features' names.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/peers.h"
#include "data/encoding.h"
#include "engine/fit.h"
#include "muster/model.h"

namespace muster {

struct StartingPoint {
  std::optional<LinearModel> model;
  std::vector<std::string> notes = {};  // on what of a model did not find its place
};

// Collective. The first rank reads the file; what it finds there, or what is wrong with it, is every rank's.
StartingPoint find_starting_point(const TrainOptions& options, const Encoding& encoding, Peers& peers);

// The last checkpoint of this run or an earlier one; nullopt: there is none.
std::optional<LinearModel> last_checkpoint(const TrainOptions& options, const Encoding& encoding);

// The model of `path` as a start for the data of `encoding`. By name of the feature (LIBSVM: its index) and label of
// the class; what the model does not know begins at 0, what the data do not have is left out, and both are counted in
// the notes. Throws InputError where the model is of another loss, or has no feature, or not the classes, of the data.
StartingPoint start_from(const Model& model, const std::string& path, const Encoding& encoding,
                         const ProblemOptions& problem);

}  // namespace muster
