#!/usr/bin/env python3
"""Do the threads of a worker share a pass as they share reading? Writes a table as Parquet, trains it by gd and by lbfgs on one
thread and on two, and prints the seconds of a pass over the rows (from the differences between runs of few and of many rounds),
those of a loop that only reads as many bytes of memory with as many threads, and how many times as fast two threads are as one
in both. The last lines: the same loop where one thread has touched all memory first.

    bench/threads.py [--rows 2000000] [--columns 50] [--repeat 3]

Needs build/release/muster and build/release/bench/reading (script/build release muster_command reading), and this Python
NumPy and pyarrow.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import numpy
import pyarrow
import pyarrow.parquet

RELEASE = pathlib.Path(__file__).resolve().parent.parent / "build/release"
MUSTER = os.environ.get("MUSTER", str(RELEASE / "muster"))
FEW, MANY = 2, 42
CASES = [("gd", "squared"), ("gd", "logistic"), ("lbfgs", "logistic")]


def write(path, rows, columns):
    """Floats, which are stored as such, of very different sizes mixed, so that no rule is soon at the minimum; a number and a
    class to predict."""
    draws = numpy.random.default_rng(1)
    common = draws.standard_normal(rows, dtype=numpy.float32)
    names, table, score = [], [], numpy.zeros(rows, dtype=numpy.float32)
    for j in range(columns):
        x = common + draws.standard_normal(rows, dtype=numpy.float32) * numpy.float32(1 + j) / columns
        score += numpy.float32(numpy.sin(j + 1)) * x
        names.append(f"x{j}")
        table.append(x)
    noise = draws.standard_normal(rows, dtype=numpy.float32)
    for name, target in (("squared", score + noise), ("logistic", (score + noise > 0).astype(numpy.float32))):
        pyarrow.parquet.write_table(pyarrow.table([*table, target], names=[*names, "y"]), path(name), compression="none")


def train(data, directory, solver, loss, threads, rounds):
    """Seconds of training and passes over the rows."""
    report = directory / "r.json"
    command = [MUSTER, "train", data, "--target", "y", "--loss", loss, "--solver", solver, "-n", 1, "--threads", threads,
               "--tolerance", "1e-15", "--max-rounds", rounds, "-q", "-o", directory / "m.json", "--report", report]
    subprocess.run([str(word) for word in command], check=False)
    said = json.loads(report.read_text(encoding="utf-8"))
    return said["train_seconds"], said["passes"]


def seconds_of_a_pass(repeat, *arguments):
    few, many = (min(train(*arguments, rounds) for _ in range(repeat)) for rounds in (FEW, MANY))
    return (many[0] - few[0]) / (many[1] - few[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    size = options.rows * options.columns * 4
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        write(lambda loss: directory / f"{loss}.parquet", options.rows, options.columns)
        reading = {}
        for threads in (1, 2):
            said = subprocess.run([RELEASE / "bench/reading", "memory", str(size), str(threads)], check=True, capture_output=True)
            reading[threads] = json.loads(said.stdout)
        gain = reading[1]["own"] / reading[2]["own"]
        print("| | 1 thread, ms | 2 threads, ms | times as fast | over reading's |\n| --- | --- | --- | --- | --- |")
        print(f"| reading | {1000 * reading[1]['own']:.1f} | {1000 * reading[2]['own']:.1f} | {gain:.2f} | |")
        for solver, loss in CASES:
            one, two = (seconds_of_a_pass(options.repeat, directory / f"{loss}.parquet", directory, solver, loss, threads)
                        for threads in (1, 2))
            print(f"| {solver}, {loss} | {1000 * one:.1f} | {1000 * two:.1f} | {one / two:.2f} | {one / two / gain:.2f} |")
            print(f"ratio threads-{solver}-{loss} {one / two / gain:.2f}")
        print(f"one thread touched all of it: {1000 * reading[1]['one']:.1f} and {1000 * reading[2]['one']:.1f} ms")


if __name__ == "__main__":
    main()
