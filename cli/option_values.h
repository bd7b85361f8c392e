// Values of options that are more than a word or a number, from their text. Each throws InputError naming the option
// and what it takes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "muster/options.h"

namespace muster::cli {

// --poly NAME:DEGREE, added to polynomials.
void add_polynomial(const std::string& text, std::map<std::string, int>& polynomials);

// --memory: bytes, as in 500MB or 2GiB.
double parse_size(const std::string& given);

SplitOptions parse_split(const std::string& given);              // --split
Synchronisation parse_sync(const std::string& given);            // --sync
MessageCompression parse_compression(const std::string& given);  // --compress

// Strengths of a penalty: FROM:TO:COUNT, at equal ratios, or A,B,C.
std::vector<double> parse_strengths(const std::string& option, const std::string& given);

}  // namespace muster::cli
