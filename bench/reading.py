#!/usr/bin/env python3
"""Reading text into matrices beside other readers, on one core: writes a LIBSVM file and a CSV file, has each reader take
them in turn, and prints the least CPU seconds of each (other work on the machine hardly counts in them), megabytes of
text a second, and how many times as long as ours the others take.

    bench/reading.py [--rows 300000] [--repeat 3]

Needs build/release/bench/reading (script/build release reading). Peers are scikit-learn, XGBoost, pandas and pyarrow as
this Python has them; one that is not there is left out, and that is said.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

READING = os.environ.get("MUSTER_READING", str(pathlib.Path(__file__).resolve().parent.parent / "build/release/bench/reading"))


def sklearn_libsvm(path):
    from sklearn.datasets import load_svmlight_file
    return lambda: load_svmlight_file(path)


def xgboost_libsvm(path):
    import xgboost
    return lambda: xgboost.DMatrix(f"{path}?format=libsvm", nthread=1)


def arrow_csv(path):
    import pyarrow
    from pyarrow import csv
    pyarrow.set_cpu_count(1)
    return lambda: csv.read_csv(path, csv.ReadOptions(use_threads=False))


def pandas_csv(path):
    import pandas
    return lambda: pandas.read_csv(path)


PEERS = {"libsvm": {"scikit-learn": sklearn_libsvm, "XGBoost": xgboost_libsvm},
         "csv": {"Arrow (table)": arrow_csv, "pandas": pandas_csv}}


def read_as_peer(kind, peer, path):
    """In a process of its own: the CPU seconds of the call, or none where the peer is not installed."""
    warnings.simplefilter("ignore")
    try:
        read = PEERS[kind][peer](path)
    except ImportError:
        print("null")
        return
    begin = time.process_time()
    read()
    print(time.process_time() - begin)


def output(command):
    return json.loads(subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout)


def compare(kind, path, arguments, repeat):
    size = path.stat().st_size / 1e6
    best = {}
    for _ in range(repeat):  # in turns
        best.setdefault("Muster", []).append(output([READING, "load", path, *arguments])["cpu"])
        for peer in PEERS[kind]:
            best.setdefault(peer, []).append(output([sys.executable, __file__, "--as-peer", kind, peer, path]))
    print(f"{kind}, {size:.0f} MB of text")
    ours = min(best["Muster"])
    for name, seconds in best.items():
        if None in seconds:
            print(f"  {name:14} not installed: left out")
        else:
            print(f"  {name:14} {min(seconds):7.2f} s  {size / min(seconds):5.0f} MB/s  {min(seconds) / ours:5.1f}")
    for name in list(best)[1:]:
        if None not in best[name]:
            print(f"ratio {kind}-{name.split()[0].lower()} {min(best[name]) / ours:.2f}")


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--as-peer":
        read_as_peer(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        sparse, table = pathlib.Path(directory, "rows.svm"), pathlib.Path(directory, "rows.csv")
        subprocess.run([READING, "make-libsvm", sparse, str(options.rows), "80"], check=True)
        compare("libsvm", sparse, [], options.repeat)
        subprocess.run([READING, "make-csv", table, str(options.rows), "100"], check=True)
        compare("csv", table, ["y"], options.repeat)


if __name__ == "__main__":
    main()
