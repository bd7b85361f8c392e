#!/usr/bin/env python3
"""One pass over sparse text-like rows, from text to written model, beside Vowpal Wabbit: whole processes in turns.

    bench/one_pass.py [--rows 500000] [--repeat 5]

Rows are 40 entries of 1,000,000 columns that are as frequent as words are (Zipf), of norm 1, as LIBSVM for Muster and in
its own format for Vowpal Wabbit, logistic loss, each with what it does when nothing is tuned (but as many places for
weights as there are columns, of which it needs to be told). The log-loss is of a fifth as many rows again, of the same
law, that neither has seen: a pass that is quick and learns less would show there.

From Vowpal Wabbit's seconds those are taken off that the same process takes for a single row, since it may come as a
Python package. It learns on one core and reads on another. Ratios are of wall clock (the machine should be idle), and
of losses; more than 1: ours is quicker, or better.

Needs build/release/muster and build/release/bench/objective_sparse, and Vowpal Wabbit: the command `vw`, or the package
`vowpalwabbit` in this Python.
"""
import argparse
import importlib.util
import json
import math
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(__file__).resolve().parent.parent / "build/release"
MUSTER = os.environ.get("MUSTER", str(BUILD / "muster"))
COLUMNS, ENTRIES = 1_000_000, 40
SOLVERS = ("ftrl", "sgd", "hogwild")


def seconds_of(command):
    """Wall and CPU seconds of a command, to the end of its process."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    code = subprocess.run([str(c) for c in command], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if code not in (0, 3):  # Muster's 3: no certificate
        sys.exit(f"{command[0]} ended with {code}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def vowpal_wabbit():
    if shutil.which("vw"):
        return ["vw"]
    return [sys.executable, "-m", "vowpalwabbit"] if importlib.util.find_spec("vowpalwabbit") else None


def write_rows(directory, rows, unseen):
    """Files of rows to train on and unseen ones, for both."""
    everything = directory / "all.svm"
    subprocess.run([str(BUILD / "bench/objective_sparse"), "--write", str(everything), str(rows + unseen), str(COLUMNS),
                    str(ENTRIES)], check=True)
    with open(everything, encoding="ascii") as lines, open(directory / "one.vw", "w", encoding="ascii") as one:
        for name, count in (("train", rows), ("unseen", unseen)):
            with open(directory / f"{name}.svm", "w", encoding="ascii") as svm, open(directory / f"{name}.vw", "w", encoding="ascii") as vw:
                for _ in range(count):
                    line = next(lines)
                    svm.write(line)
                    vw.write(line.replace(" ", " | ", 1))
        one.write(line.replace(" ", " | ", 1))
    everything.unlink()


def log_loss_of_vw(vw, directory):
    run = subprocess.run([*vw, "-t", "-i", directory / "vw.model", "-d", directory / "unseen.vw", "--loss_function", "logistic"],
                         check=True, capture_output=True, text=True)
    return float(re.search(r"average loss = ([0-9.]+)", run.stdout + run.stderr).group(1))


def log_loss_of_muster(directory, model):
    run = subprocess.run([MUSTER, "evaluate", model, directory / "unseen.svm", "--json"], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)["log_loss"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    vw = vowpal_wabbit()
    if vw is None:
        print("Vowpal Wabbit is neither a command nor a package of this Python: left out")
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        write_rows(directory, options.rows, options.rows // 5)
        commands, loss = {}, {}
        for solver in SOLVERS:
            commands[solver] = [MUSTER, "train", directory / "train.svm", "--loss", "logistic", "--mode", "parameter-server",
                                "--solver", solver, "--max-epochs", "1", "-q", "-o", directory / f"{solver}.json"]
        if vw:
            learn = [*vw, "--loss_function", "logistic", "-b", str(math.ceil(math.log2(COLUMNS))), "--quiet", "-f", directory / "vw.model"]
            commands["one row of Vowpal Wabbit"] = [*learn, "-d", directory / "one.vw"]
            commands["Vowpal Wabbit"] = [*learn, "-d", directory / "train.vw"]
        runs = {}
        for _ in range(options.repeat):  # in turns
            for who, command in commands.items():
                runs.setdefault(who, []).append(seconds_of(command))
        least = {who: [min(column) for column in zip(*times)] for who, times in runs.items()}
        for solver in SOLVERS:
            loss[solver] = log_loss_of_muster(directory, directory / f"{solver}.json")
        if vw:
            loss["Vowpal Wabbit"] = log_loss_of_vw(vw, directory)
            least["Vowpal Wabbit"] = [a - b for a, b in zip(least["Vowpal Wabbit"], least["one row of Vowpal Wabbit"])]
        print(f"{options.rows:,} rows, {COLUMNS:,} columns, {(directory / 'train.svm').stat().st_size / 1e6:.0f} MB of text")
        print(f"{'':26} {'wall, s':>8} {'CPU, s':>8} {'unseen log-loss':>16}")
        for who, (wall, cpu) in least.items():
            print(f"{who:26} {wall:8.2f} {cpu:8.2f} {loss.get(who, math.nan):16.4f}")
        for solver in SOLVERS if vw else ():
            print(f"ratio one-pass-{solver}-vw {least['Vowpal Wabbit'][0] / least[solver][0]:.2f}")
            print(f"ratio one-pass-{solver}-vw-loss {loss['Vowpal Wabbit'] / loss[solver]:.3f}")


if __name__ == "__main__":
    main()
