// Which options go together, and their names.
#pragma once

#include <string>
#include <string_view>

#include "muster/options.h"

namespace muster {

// As the command spells them.
std::string_view name(Mode mode);
std::string_view name(SolverChoice solver);
std::string name(const Synchronisation& sync);
std::string_view name(ReducePattern pattern);
std::string name(const MessageCompression& compression);

// What was asked for, or what the mode and the solver are known for.
Synchronisation synchronisation(const RunOptions& run);
// Ranks beside the workers.
int servers_of(const RunOptions& run);

// Throws InputError, naming the option to change, for a value out of range or a combination that makes no sense.
void check_options(const TrainOptions& options);

}  // namespace muster
