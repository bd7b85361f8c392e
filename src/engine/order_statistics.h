// Quantiles of numbers spread over ranks, without gathering them.
#pragma once

#include <span>
#include <vector>

#include "cluster/endpoint.h"

namespace muster {

// Collective. The quantiles of all ranks' numbers together, of which there is at least one, none of them NaN: with the
// order statistics x_0 <= … <= x_{n−1}, that of share q is x at place (n − 1)q, interpolated (R's rule 7). Exact: order
// statistics are found by bisection on the numbers' bits, 64 sums of a few counts. mine is sorted.
//
// Source: R. J. Hyndman, Y. Fan, "Sample quantiles in statistical packages", Amer. Statist. 50 (1996), definition 7.
std::vector<double> quantiles(Endpoint& endpoint, std::span<const double> mine, std::span<const double> shares);

}  // namespace muster
