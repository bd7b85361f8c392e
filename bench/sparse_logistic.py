#!/usr/bin/env python3
"""Logistic regression on sparse text-like rows, from text to written model, beside LIBLINEAR and scikit-learn: one command
each, timed as a whole, stopped as early as f − f* ≤ 1e-6 f* allows.

    bench/sparse_logistic.py [--rows 500000] [--repeat 3]

Rows are 40 entries of 1,000,000 columns that are as frequent as words are (Zipf), of norm 1; f has λ2 = 2e-6 and no
intercept, which LIBLINEAR would penalise. f* is Muster's to 1e-10. A peer gets the loosest of its tolerances that is good
enough, found beforehand; its own f is measured by `muster evaluate`, not believed. CPU seconds are for one core, which
other work on the machine hardly changes; the ratios on two cores are of wall clock, so the machine should be idle.

Needs build/release/muster and build/release/bench/objective_sparse. LIBLINEAR is `liblinear-train` (Debian: liblinear-tools, or
LIBLINEAR_TRAIN), scikit-learn is taken where this Python has it; what is not there is left out, and that is said.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(__file__).resolve().parent.parent / "build/release"
MUSTER = os.environ.get("MUSTER", str(BUILD / "muster"))
LIBLINEAR = os.environ.get("LIBLINEAR_TRAIN", "liblinear-train")
COLUMNS, ENTRIES, L2, CLOSE = 1_000_000, 40, 2e-6, 1e-6


def seconds_of(command):
    """Wall and CPU seconds of a command, to the end of its process."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def train(data, model, workers=1, tolerance=CLOSE):
    return [MUSTER, "train", data, "--loss", "logistic", "--l2", str(L2), "--no-intercept", "-n", str(workers), "--threads", "1",
            "--tolerance", str(tolerance), "-q", "-o", model]


class Objective:
    """f of any weights, by `muster evaluate` of the model that Muster would have written with them."""

    def __init__(self, data, model):
        self.data, self.frame = data, json.loads(model.read_text(encoding="utf-8"))
        self.best = self.frame["certificate"]["objective"]

    def gap(self, weights):
        """(f − f*) / f* of weights by column number."""
        for coefficient in self.frame["coefficients"]:
            coefficient["value"] = weights[int(coefficient["feature"]) - 1]
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(self.frame, file)
            file.flush()
            text = subprocess.run([MUSTER, "evaluate", file.name, self.data, "--json"], check=True, capture_output=True, text=True)
        return (json.loads(text.stdout)["log_loss"] + L2 / 2 * sum(w * w for w in weights)) / self.best - 1


# A peer is its tolerances from loose to tight, its command for one of them, and how the weights are read that it leaves.
def liblinear(data, directory, rows, tolerance):
    model = pathlib.Path(directory, "liblinear.model")
    command = [LIBLINEAR, "-s", "0", "-c", str(1 / (rows * L2)), "-e", str(tolerance), "-q", data, model]

    def weights():
        lines = model.read_text(encoding="ascii").splitlines()
        sign = 1.0 if next(line for line in lines if line.startswith("label")).split()[1] == "1" else -1.0  # of the label that comes first
        return [sign * float(w) for w in lines[lines.index("w") + 1:]]
    return command, weights


def scikit_learn(data, directory, rows, tolerance):
    weights = pathlib.Path(directory, "weights.json")
    code = ("import json, sys; from sklearn.datasets import load_svmlight_file; from sklearn.linear_model import LogisticRegression as L;"
            f"x, y = load_svmlight_file({str(data)!r});"
            f"m = L(C={1 / (rows * L2)}, tol={tolerance}, fit_intercept=False, max_iter=10000).fit(x, y);"
            f"json.dump(list(m.coef_[0]), open({str(weights)!r}, 'w'))")
    return [sys.executable, "-c", code], lambda: json.loads(weights.read_text(encoding="ascii"))


def peers():
    found = {}
    if shutil.which(LIBLINEAR):
        found["LIBLINEAR -s 0"] = ((1e-2, 1e-3, 1e-4, 1e-5), liblinear)
    else:
        print(f"{LIBLINEAR} is not installed: left out")
    try:
        import sklearn  # noqa: F401
        found["scikit-learn lbfgs"] = ((1e-5, 1e-6, 1e-7, 1e-8), scikit_learn)
    except ImportError:
        print("scikit-learn is not installed: left out")
    return found


def good_enough(peer, objective, arguments):
    """The peer's command with the first of the tolerances that ends close to f*, and how close."""
    tolerances, call = peer
    for tolerance in tolerances:
        command, weights = call(*arguments, tolerance)
        subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        values = weights()
        gap = objective.gap(values + [0.0] * (COLUMNS - len(values)))
        if gap <= CLOSE:
            return command, gap
    sys.exit(f"{command[0]} did not come within {CLOSE} of f*")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        data, model = pathlib.Path(directory, "rows.svm"), pathlib.Path(directory, "model.json")
        make = [str(BUILD / "bench/objective_sparse"), "--write", str(data), str(options.rows), str(COLUMNS), str(ENTRIES)]
        subprocess.run(make, check=True)
        subprocess.run([str(c) for c in train(data, model, tolerance=1e-10)], check=True)
        objective = Objective(data, model)
        print(f"{options.rows:,} rows, {COLUMNS:,} columns, {data.stat().st_size / 1e6:.0f} MB of text; f* = {objective.best:.10f}")
        print(f"{'':24} {'gap':>8} {'wall, s':>8} {'CPU, s':>8}")
        best = {}
        commands = {f"Muster, {n} core{'s' * (n > 1)}": train(data, model, n) for n in (1, 2)}
        gaps = {}
        for name, command in commands.items():
            subprocess.run([str(c) for c in command], check=True)
            gaps[name] = json.loads(model.read_text(encoding="utf-8"))["certificate"]["objective"] / objective.best - 1
        for name, peer in peers().items():
            commands[name], gaps[name] = good_enough(peer, objective, (data, directory, options.rows))
        for _ in range(options.repeat):  # in turns
            for name, command in commands.items():
                best.setdefault(name, []).append(seconds_of(command))
        least = {name: [min(column) for column in zip(*runs)] for name, runs in best.items()}
        for name, (wall, cpu) in least.items():
            print(f"{name:24} {gaps[name]:8.1e} {wall:8.2f} {cpu:8.2f}")
        one, two = least["Muster, 1 core"], least["Muster, 2 cores"]
        for name in list(least)[2:]:
            key = name.split()[0].lower()
            print(f"ratio sparse-{key}-1 {least[name][1] / one[1]:.2f}")
            print(f"ratio sparse-{key}-2 {least[name][0] / two[0]:.2f}")


if __name__ == "__main__":
    main()
