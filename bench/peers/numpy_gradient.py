"""The peer of objective_dense: f and its gradient as they are written with NumPy, for the squared and the logistic loss.

Prints seconds for each, the best of several. ROWS COLUMNS float64|float32.
"""

import sys
import time

import numpy

rows, columns, stored = int(sys.argv[1]), int(sys.argv[2]), numpy.dtype(sys.argv[3])
rng = numpy.random.default_rng(1)
x = numpy.empty((rows, columns), stored)
for begin in range(0, rows, 10_000):
    x[begin : begin + 10_000] = rng.random((min(10_000, rows - begin), columns), numpy.float32) - 0.5
y = rng.integers(0, 2, rows).astype(stored)
w = numpy.full(columns, 0.01, stored)


def squared():
    r = x @ w - y
    return r @ r / 2, x.T @ r


def logistic():
    m = x @ w
    loss = (numpy.logaddexp(0, m) - y * m).sum()
    return loss, x.T @ (1 / (1 + numpy.exp(-m)) - y)


def seconds(function):
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


print(seconds(squared), seconds(logistic))
