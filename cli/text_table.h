// Tables of text.
#pragma once

#include <string>
#include <vector>

namespace muster::cli {

// Rows of cells under each other: the first column to the left, the others to the right, two spaces between. Rows may
// be of different lengths.
std::string aligned(const std::vector<std::vector<std::string>>& rows);

}  // namespace muster::cli
