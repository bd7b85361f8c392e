// The options of `muster train` and `muster tune`, with their help.
#pragma once

#include <functional>

#include "command_line.h"
#include "option_set.h"

namespace muster::cli {

// Adds all of them to set, to be written into command. The function returned is to be called after set.parse(); it
// throws InputError for what only then can be judged. command must outlive both.
std::function<void()> add_train_options(OptionSet& set, TrainCommand& command);

// The same for `muster tune`: --l2 and --l1 are lists, and there are folds.
std::function<void()> add_tune_options(OptionSet& set, TrainCommand& command);

// --format, which other commands share.
void add_format_option(OptionSet& set, Format& format);

}  // namespace muster::cli
