// A model applied to rows.
#pragma once

#include <span>
#include <vector>

#include "data/shard.h"

namespace muster {

// Writes z_i = x_i·w + intercept + offset_i to out, for every row i of the block. w: one entry a column; out: one a
// row.
//
// Products and sums are double-double, and powers are recomputed from their base (Shard::powers), because the terms of
// a fitted polynomial cancel: the result is the margin of exactly these coefficients, rounded once. Where that
// overflows, it is the plain sum.
//
// Failure: none. Threads: any number at a time.
void margins(std::span<const double> w, double intercept, const Shard& block, std::span<double> out);

// The probability of the positive level, 1/(1 + e^-z), without overflow.
double probability(double z);

}  // namespace muster
