// Standard output, checked.
#pragma once

#include <string>

namespace muster::cli {

// Throws InputError "cannot write standard output: cause".
void print(const std::string& text);

bool is_standard_output(const std::string& path);

}  // namespace muster::cli
