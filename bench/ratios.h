// Ratios as `script/bench` reads them, a line each, below the tables that a program prints.
#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>
#include <vector>

namespace muster::bench {

class Ratios {
 public:
  void add(std::string name, double value) { ratios_.emplace_back(std::move(name), value); }
  void print() const {
    for (const auto& [name, value] : ratios_) fmt::print("ratio {} {:.2f}\n", name, value);
  }

 private:
  std::vector<std::pair<std::string, double>> ratios_;
};

}  // namespace muster::bench
