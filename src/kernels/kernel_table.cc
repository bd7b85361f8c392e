#include "kernels/kernel_table.h"

#include "base/check.h"
#include "kernels/tables.h"

namespace muster {

const KernelTable& kernel_table(InstructionSet set) {
  const KernelTable* table = nullptr;
  switch (set) {
    case InstructionSet::scalar:
      table = &scalar_kernel_table();
      break;
    case InstructionSet::avx2:
      table = avx2_kernel_table();
      break;
    case InstructionSet::avx512:
      table = avx512_kernel_table();
      break;
  }
  MUSTER_CHECK(table != nullptr, "kernels of an instruction set this program was not compiled for");
  return *table;
}

}  // namespace muster
