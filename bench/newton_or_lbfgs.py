#!/usr/bin/env python3
"""Passes over the rows that lbfgs, newton-cg and `auto`, which begins with the one and goes on with the other, take to the
same tolerance on real sets, from no penalty to a strong one; beside them the weakest penalty on a coordinate over the largest
curvature, in the coordinates solvers work in, which does not tell the sets apart.

    bench/newton_or_lbfgs.py DIRECTORY      # of sets: dense/*.csv.zst with target y in 0/1, sparse/*.zst in LIBSVM format
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

MUSTER = os.environ.get("MUSTER", str(pathlib.Path(__file__).resolve().parent.parent / "build/release/muster"))
SETS = ["dense/spambase.csv", "dense/skl_breast_cancer.csv", "dense/magic04.csv", "dense/higgs7k_train.csv",
        "dense/epsilon5k.csv", "dense/fertility_pums.csv", "sparse/a9a", "sparse/mushroom.libsvm",
        "sparse/rcv1_cocoa_train.libsvm", "sparse/rcv1_vw_train.libsvm", "sparse/rt_polarity_tfidf.libsvm",
        "sparse/spamassassin_tfidf.libsvm", "dense/all_leukemia.csv"]
PENALTIES = [0, 1e-8, 1e-6, 1e-5, 1e-4, 1e-2]
SOLVERS = ["lbfgs", "newton-cg", "auto"]
CURVATURE = 0.25  # of the logistic loss, at most


def read(path):
    """Values, columns and rows of the entries, and the shape."""
    if path.suffix == ".csv":
        x = np.loadtxt(path, delimiter=",", skiprows=1)[:, :-1]
        rows, columns = np.nonzero(x)
        return x[rows, columns], columns, rows, x.shape
    values, columns, rows = [], [], []
    with open(path, encoding="ascii") as file:
        for i, line in enumerate(file):
            for entry in line.split()[1:]:
                column, value = entry.split(":")
                columns.append(int(column) - 1)
                values.append(float(value))
                rows.append(i)
    return np.array(values), np.array(columns), np.array(rows), (rows[-1] + 1, max(columns) + 1)


def weakest_over_largest(entries, penalty, products=40):
    """min_j λ/σ_j² over the largest eigenvalue of B, σ_j² = variance + λ/h, B = h/n·X̃ᵀX̃ + diag(λ/σ²) of centred X̃."""
    values, columns, rows, (n, d) = entries
    mean = np.bincount(columns, values, d) / n
    square = np.bincount(columns, values**2, d) / n - mean**2
    used = square > 1e-24
    scale = np.sqrt(np.where(used, square + penalty / CURVATURE, 1))
    shrink = np.where(used, penalty / scale**2, 0)
    v = np.where(used, np.random.default_rng(0).normal(size=d), 0)
    for _ in range(products):
        v /= np.linalg.norm(v)
        w = np.where(used, v / scale, 0)
        margins = np.bincount(rows, values * w[columns], n) - mean @ w
        product = (np.bincount(columns, values * margins[rows], d) - mean * margins.sum()) / n
        v = np.where(used, CURVATURE * product / scale, 0) + shrink * v
    return shrink[used].min() / np.linalg.norm(v)


def passes(path, penalty, solver, tolerance, directory):
    report = pathlib.Path(directory, "report.json")
    target = ["--target", "y"] if path.suffix == ".csv" else []
    command = [MUSTER, "train", path, *target, "--loss", "logistic", "--l2", penalty, "--solver", solver, "--tolerance",
               tolerance, "--max-time", 60, "-n", 1, "-q", "--report", report, "-o", pathlib.Path(directory, "model.json")]
    subprocess.run([str(c) for c in command], check=False)
    text = json.loads(report.read_text(encoding="utf-8"))
    return text["passes"], text["stop_reason"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=pathlib.Path)
    arguments.add_argument("--tolerance", type=float, default=1e-6)
    arguments.add_argument("--sets", nargs="*", default=SETS)
    asked = arguments.parse_args()
    print(f"to {asked.tolerance:g}\n| set | --l2 | weakest/largest | {' | '.join(SOLVERS)} |\n|{' --- |' * (3 + len(SOLVERS))}")
    with tempfile.TemporaryDirectory() as directory:
        for name in asked.sets:
            packed = asked.directory / f"{name}.zst"
            if not packed.exists():
                print(f"{packed} is not there", file=sys.stderr)
                continue
            path = pathlib.Path(directory, pathlib.Path(name).name)
            with open(path, "wb") as file:
                subprocess.run(["zstd", "-d", "--long=27", "-c", packed], stdout=file, check=True)
            entries = read(path)
            for penalty in PENALTIES:
                found = [passes(path, penalty, solver, asked.tolerance, directory) for solver in SOLVERS]
                counts = " | ".join(f"{n}" if why == "converged" else why for n, why in found)
                print(f"| {path.stem} | {penalty:g} | {weakest_over_largest(entries, penalty):.1e} | {counts} |", flush=True)


if __name__ == "__main__":
    main()
