// The instruction sets kernels are compiled for. Which one runs is a value, injected, not a property of the process:
// ranks of a group agree on the smallest they all have, and tests sweep them.
#pragma once

#include <string_view>
#include <vector>

namespace muster {

enum class InstructionSet : int { scalar = 0, avx2 = 1, avx512 = 2 };

std::string_view name(InstructionSet set);  // "scalar", "avx2", "avx512"

// Those this machine runs, ascending; never empty.
std::vector<InstructionSet> available_instruction_sets();
inline InstructionSet best_instruction_set() {
  return available_instruction_sets().back();
}

}  // namespace muster
