// What somebody probably meant to type.
#pragma once

#include <string>
#include <vector>

namespace muster::cli {

// The candidate with the smallest edit distance to word (insert, delete, replace, swap neighbours), or "" where even
// that one is too far to be a typo.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

// " (did you mean X?)", or "".
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace muster::cli
