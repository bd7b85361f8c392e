#!/usr/bin/env python3
"""The exact fit of a table, whole processes from file to coefficients, beside scikit-learn's and R's: writes a million rows of
100 columns as CSV and as Parquet, has each program fit them in turn, and prints the least wall and CPU seconds of each, how
many times as long as ours the others take, and how far their coefficients are from ours.

    bench/exact_table.py [--rows 1000000] [--columns 100] [--repeat 3]

Needs build/release/muster and build/release/bench/reading (script/build release muster_command reading), and this Python
pyarrow. Peers are pandas with scikit-learn's LinearRegression, and Rscript with data.table's fread and the normal
equations; one that is not there is left out, and that is said.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

RELEASE = pathlib.Path(__file__).resolve().parent.parent / "build/release"
MUSTER = os.environ.get("MUSTER", str(RELEASE / "muster"))

SKLEARN = """
import json, sys
try:
    import pandas
    from sklearn.linear_model import LinearRegression
except ImportError:
    sys.exit(77)
path = sys.argv[1]
table = pandas.read_parquet(path) if path.endswith(".parquet") else pandas.read_csv(path)
y = table.pop("y")
print(json.dumps(LinearRegression().fit(table, y).coef_.tolist()))
"""
R = """
if (!requireNamespace("data.table", quietly = TRUE)) quit(status = 77)
table <- as.matrix(data.table::fread(commandArgs(TRUE)[1]))
d <- ncol(table) - 1
x <- cbind(1, table[, 1:d])
w <- solve(crossprod(x), crossprod(x, table[, d + 1]))
cat("[", paste(format(w[-1], digits = 17), collapse = ","), "]")
"""


def run(command):
    """Wall and CPU seconds, and what was printed; none where the peer is not there."""
    begin, before = time.monotonic(), os.times()
    process = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - begin, os.times()
    if process.returncode == 77:
        return None
    if process.returncode != 0:
        sys.exit(process.stderr)
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, process.stdout


def muster(path, directory):
    model = pathlib.Path(directory, "model.json")
    wall, cpu, _ = run([MUSTER, "train", path, "--target", "y", "--solver", "exact", "-q", "-o", model])
    coefficients = json.loads(model.read_text(encoding="utf-8"))["coefficients"]
    return wall, cpu, json.dumps([c["value"] for c in coefficients])


def compare(path, peers, directory, repeat):
    results = {}
    for _ in range(repeat):  # in turns
        results.setdefault("Muster", []).append(muster(path, directory))
        for name, command in peers.items():
            results.setdefault(name, []).append(run([*command, path]) if command else None)
    print(f"{path.name}, {path.stat().st_size / 1e6:.0f} MB")
    best = {}
    for name, runs in results.items():
        if None in runs:
            print(f"  {name:22} not there: left out")
            continue
        best[name] = [min(r[i] for r in runs) for i in (0, 1)]
        ours, theirs = (json.loads(results[n][0][2]) for n in ("Muster", name))
        apart = max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / max(map(abs, ours))
        ratios = [b / m for b, m in zip(best[name], best["Muster"], strict=True)]
        print(f"  {name:22} wall {best[name][0]:6.2f} s {ratios[0]:5.1f}   CPU {best[name][1]:6.2f} s {ratios[1]:5.1f}   "
              f"coefficients within {apart:.0e}")
    for name in list(best)[1:]:
        print(f"ratio exact-{path.suffix[1:]}-{name.split(',')[0].lower()} {best[name][0] / best['Muster'][0]:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    sklearn = [sys.executable, "-c", SKLEARN]
    r = ["Rscript", "-e", R] if shutil.which("Rscript") else None
    with tempfile.TemporaryDirectory() as directory:
        text = pathlib.Path(directory, "table.csv")
        subprocess.run([RELEASE / "bench/reading", "make-csv", text, str(options.rows), str(options.columns)], check=True)
        compare(text, {"pandas, scikit-learn": sklearn, "R, data.table": r}, directory, options.repeat)
        import pyarrow.csv
        import pyarrow.parquet
        packed = text.with_suffix(".parquet")
        pyarrow.parquet.write_table(pyarrow.csv.read_csv(text), packed, row_group_size=100_000)
        compare(packed, {"pandas, scikit-learn": sklearn}, directory, options.repeat)


if __name__ == "__main__":
    main()
