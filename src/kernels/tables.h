// The table of each instruction set, for kernel_table() alone.
#pragma once

#include "kernels/kernel_table.h"

namespace muster {

const KernelTable& scalar_kernel_table();
// Null where the compiler cannot build for the set.
const KernelTable* avx2_kernel_table();
const KernelTable* avx512_kernel_table();

}  // namespace muster
