// What a choice is expected to cost, in seconds.
//
//     a pass over the rows   max(flops/F, bytes/B) of one worker's share
//     a sum of N numbers     2 ⌈log2 m⌉ (α + 8N/β) over m ranks: a binomial tree, up and down
//     exact                  the products of a share at rate G, ⌈log2 m⌉ (α + 8·p²/2/β) to one rank, p³/3 at rate D
//     there
//
// The cluster is assumed and not measured: workers of F = 4 Gflop/s and B = 10 GB/s on 10 Gbit/s Ethernet, as in
// docs/SIMULATION.md. So a choice is the same on every transport and in every run. It goes by ratios of such numbers,
// and by large ones only.
//
// Source: R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations in MPICH", Int. J.
// High Perform. Comput. Appl. 19 (2005), for the α-β model; S. Williams et al., Commun. ACM 52 (2009), for the
// roofline.
#pragma once

#include <string>

#include "train/grid.h"

namespace muster {

// Of all workers together.
struct DataShape {
  double rows = 0, columns = 0;
  double entries = 0;  // stored values
  bool sparse = false;
  double outputs = 1;  // margins of a row, coefficients of a column
};

class Cost {
 public:
  Cost(const DataShape& data, int workers) : data_(data), workers_(workers) {}

  // One evaluation of f and ∇f, sums included.
  double of_round(GridShape shape) const;
  double of_exact() const;
  // Exchanging rows for column blocks, once.
  double of_cutting(GridShape shape) const;

  // "40000 rows of 100 columns on 4 workers"; with several outputs "…, 10 classes, on…".
  std::string subject() const;

 private:
  double of_pass() const;

  DataShape data_;
  int workers_;
};

// Rounds that an iterative solver is expected to take.
inline constexpr double kExpectedRounds = 100;

// "2.1 s", "0.35 ms".
std::string in_seconds(double seconds);

}  // namespace muster
