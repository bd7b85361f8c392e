#!/usr/bin/env python3
"""Memory of a model of very many sparse columns, by rows in one process and by columns over several: writes random LIBSVM
rows, trains both ways, and prints each rank's peak resident memory and its share of that of one process.

    bench/wide_model.py
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

import numpy as np

MUSTER = os.environ.get("MUSTER", str(pathlib.Path(__file__).resolve().parent.parent / "build/release/muster"))


def write_rows(path, rows, columns, entries, seed=1):
    """Each row: `entries` columns at random, one of them the last so that all columns exist; the target follows some."""
    rng = np.random.default_rng(seed)
    with open(path, "w", encoding="ascii") as file:
        for i in range(rows):
            index = np.unique(rng.integers(1, columns + 1, entries))
            if i == 0:
                index = np.union1d(index, [columns])
            value = rng.normal(size=len(index)).round(3)
            target = float(value[index % 3 == 0].sum()) + 0.1 * rng.normal()
            file.write(f"{target:.4f} " + " ".join(f"{j}:{v}" for j, v in zip(index, value)) + "\n")


def run_as_rank(directory, arguments):
    """One process of the run: says its peak memory when muster has ended."""
    code = subprocess.run([MUSTER, *arguments], check=False).returncode
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    rank = os.environ.get("OMPI_COMM_WORLD_RANK", "0")
    pathlib.Path(directory, f"peak{rank}").write_text(str(peak), encoding="ascii")
    return code


def train(directory, data, workers, split, solver, rounds):
    """MiB by rank, and the report."""
    report = pathlib.Path(directory, "report.json")
    how = ["train", data, "--l2", "0.01", "--solver", solver, "--max-rounds", str(rounds), "--split", split, "-q",
           "--report", report, "-o", pathlib.Path(directory, "model.json")]
    launch = []
    if workers > 1:
        launch = ["mpirun", "-n", str(workers), "--oversubscribe", "--bind-to", "none"]
        launch += ["--allow-run-as-root"] if os.geteuid() == 0 else []
    else:
        how += ["-n", "1"]
    command = [*launch, sys.executable, __file__, "--as-rank", directory, *how]
    code = subprocess.run([str(c) for c in command], check=False).returncode
    if code not in (0, 3):
        sys.exit(f"muster ended with {code}")
    peaks = [float(pathlib.Path(directory, f"peak{r}").read_text(encoding="ascii")) for r in range(workers)]
    return peaks, json.loads(report.read_text(encoding="utf-8"))


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--as-rank":
        sys.exit(run_as_rank(sys.argv[2], sys.argv[3:]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=50_000_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--entries", type=int, default=20, help="of a row")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--solver", default="gd")
    parser.add_argument("--rounds", type=int, default=5, help="at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        data = pathlib.Path(directory, "wide.svm")
        write_rows(data, options.rows, options.columns, options.entries)
        (whole,), by_one = train(directory, data, 1, "rows", options.solver, options.rounds)
        peaks, by_columns = train(directory, data, options.workers, "auto", options.solver, options.rounds)
    print(f"split chosen: {by_columns['split']} ({by_columns['split_reason']})")
    print(f"objective {by_one['certificate']['objective']:.12g} by one process, "
          f"{by_columns['certificate']['objective']:.12g} by {options.workers}, after {by_columns['rounds_done']} rounds")
    print(f"one process: {whole:.0f} MiB at its peak")
    for rank, peak in enumerate(peaks):
        worker = by_columns["workers"][rank]
        print(f"rank {rank}: {peak:.0f} MiB, {peak / whole:.2f} of it; {worker['columns']} columns, "
              f"{worker['bytes_per_round']:.0f} bytes sent a round")


if __name__ == "__main__":
    main()
