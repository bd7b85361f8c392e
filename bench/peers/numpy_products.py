"""The peer of objective_dense: seconds for X·w and Xᵀ·r by NumPy, the best of several. ROWS COLUMNS float64|float32."""

import sys
import time

import numpy

rows, columns, stored = int(sys.argv[1]), int(sys.argv[2]), numpy.dtype(sys.argv[3])
rng = numpy.random.default_rng(1)
x = numpy.empty((rows, columns), stored)
for begin in range(0, rows, 10_000):
    x[begin : begin + 10_000] = rng.random((min(10_000, rows - begin), columns), numpy.float32)
w = numpy.full(columns, 0.01, stored)
r = numpy.full(rows, 0.5, stored)
best = float("inf")
for _ in range(7):
    start = time.perf_counter()
    x @ w
    x.T @ r
    best = min(best, time.perf_counter() - start)
print(best)
