#include "kernels/instruction_set.h"

#include <hwy/highway.h>
#include <hwy/targets.h>

namespace muster {

std::string_view name(InstructionSet set) {
  switch (set) {
    case InstructionSet::scalar:
      return "scalar";
    case InstructionSet::avx2:
      return "avx2";
    case InstructionSet::avx512:
      return "avx512";
  }
  return "unknown";
}

std::vector<InstructionSet> available_instruction_sets() {
  std::vector<InstructionSet> sets{InstructionSet::scalar};
  const auto supported = hwy::SupportedTargets();
  if (supported & HWY_AVX2) sets.push_back(InstructionSet::avx2);
  if (supported & HWY_AVX3) sets.push_back(InstructionSet::avx512);
  return sets;
}

}  // namespace muster
