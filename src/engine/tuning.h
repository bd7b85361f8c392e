// Choosing penalties by cross-validation.
//
//     the rows are cut into K folds; for each pair (l2, l1), from strong to weak, and each fold k:
//         model ← fit to the rows outside fold k, from where the pair before ended
//         loss_k ← mean loss of that model over the rows inside
//     chosen: least mean loss; or with one_standard_error the strongest pair within one standard error of it
//
// A fit to some of the rows is a fit to all with the others' weights 0, so the rows are read from their files once, and
// scaling sees no held-out row. A fold is the rows of one label in a column, or a function of the seed and the row's
// number in the files alone: the number of workers changes nothing but rounding.
//
// Sources: T. Hastie, R. Tibshirani, J. Friedman, "The Elements of Statistical Learning", 2nd ed., 7.10 (folds, one
// standard error); J. Friedman, T. Hastie, R. Tibshirani, "Regularization paths for generalized linear models via
// coordinate descent", J. Stat. Softw. 33 (2010) (warm starts along the path).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "cluster/endpoint.h"
#include "data/row_source.h"
#include "engine/fit.h"

namespace muster {

struct TuningRequest {
  const Dataset& data;  // of its encoding alone
  const TrainOptions& options;
  RowSource& rows;  // this rank's
  Executor& executor;
  InstructionSet instruction_set = InstructionSet::scalar;
  RowBudget* budget = nullptr;  // as FitRequest's
  const CancellationToken* cancellation = nullptr;
  std::optional<LinearModel> start = {};  // of the first pair on every fold; equal on every rank
  const Topology* topology = nullptr;     // of a decentralized run
  std::function<void(std::int64_t fits, std::int64_t of)> on_fit = {};  // on every rank; may be empty
};

// Collective. Throws InputError where a fold has no rows, or a fit can not be made.
TuningReport tune(const TuningRequest& request, Endpoint& endpoint);

// The fold of each of this rank's rows: of every `folds` rows in a row one goes to each fold, in an order drawn by the
// seed. first_row: how many rows the ranks before this one have.
std::vector<int> deal_folds(std::int64_t first_row, std::size_t rows, int folds, std::uint64_t seed);

}  // namespace muster
