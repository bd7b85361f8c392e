// Numbers for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace muster::cli {

std::string grouped(std::int64_t count);                // 1,234,567
std::string scaled(double value);                       // "3.1 M", "120 k", "15 "; a unit follows at once
std::string duration(double seconds);                   // "0.52 s", "12 s", "3 min 5 s", "2 h 10 min"
std::string ranges(const std::vector<int>& ascending);  // "0-2,5"

}  // namespace muster::cli
