// Loops over sparse rows that are one for every instruction set: what of them gains by vectors goes through the set's
// table. Conventions are those of kernels/kernel_table.h.
//
// Rows are never densified. Centring is implicit: kernels see the entries, and the caller adds what the zeros
// contribute, which is the same for every row that lacks the column.
#pragma once

#include <cstddef>

#include "base/double_double.h"
#include "kernels/kernel_table.h"

namespace muster {

// The fused pass on x itself, without a centre: margin_i = Σ_j u_j x_ij + intercept + offset_i and
// gradient_j += Σ_i s_i residual_i x_ij. For centred rows take Σ u_j c_j off the intercept before, and c_j Σ s·residual
// off gradient_j after. margins: margin_i is written here too; null: nowhere.
template <class T>
void sparse_pass(const KernelTable& table, SparseRows<T> rows, RowData data, RowFunction function, const double* u,
                 double intercept, double* margins, PassSums& sums, double* gradient);

// Over the entries: sums_j += s_i (x_ij − centre_j)^power, present_j += s_i. power is 1 or 2. weights null: all 1.
// centre and present null: every centre is 0, and nobody asks for present.
template <class T>
void sparse_add_centred(SparseRows<T> rows, const double* weights, const double* centre, int power, double* sums,
                        double* present);

// minimum_j and maximum_j over the entries of rows i with select[i] != 0, and count_j: how many there are.
template <class T>
void sparse_ranges(SparseRows<T> rows, const unsigned char* select, double* minimum, double* maximum, double* count);

// out[i·stride + j] = factor_i (x_ij − centre_j), zeros included. factors null: all 1.
template <class T>
void sparse_centre(SparseRows<T> rows, const double* factors, const double* centre, double* out, std::size_t stride);

extern template void sparse_pass(const KernelTable&, SparseRows<double>, RowData, RowFunction, const double*, double,
                                 double*, PassSums&, double*);
extern template void sparse_pass(const KernelTable&, SparseRows<float>, RowData, RowFunction, const double*, double,
                                 double*, PassSums&, double*);
extern template void sparse_add_centred(SparseRows<double>, const double*, const double*, int, double*, double*);
extern template void sparse_add_centred(SparseRows<float>, const double*, const double*, int, double*, double*);
extern template void sparse_ranges(SparseRows<double>, const unsigned char*, double*, double*, double*);
extern template void sparse_ranges(SparseRows<float>, const unsigned char*, double*, double*, double*);
extern template void sparse_centre(SparseRows<double>, const double*, const double*, double*, std::size_t);
extern template void sparse_centre(SparseRows<float>, const double*, const double*, double*, std::size_t);

}  // namespace muster
