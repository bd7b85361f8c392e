#!/usr/bin/env python3
"""Rows bigger than memory: writes a table of random numbers and trains it by gd, with its rows in memory, from a cache,
streamed from a cache, streamed from what the run itself set aside, and parsed anew on every pass. Prints the wall seconds of a
run of one round, those of a pass (from the differences between runs of few and of many rounds), how many times as long as
a loop that only reads the cache a pass takes, and the peak of resident memory.

    bench/streaming.py [--rows 1000000] [--columns 100] [--memory 100MB] [--repeat 2]

Needs build/release/muster and build/release/bench/reading (script/build release muster_command reading).
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

RELEASE = pathlib.Path(__file__).resolve().parent.parent / "build/release"
MUSTER = os.environ.get("MUSTER", str(RELEASE / "muster"))
PEAK = """
import os, subprocess, sys, time
begin = time.monotonic()
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
print(time.monotonic() - begin, usage.ru_maxrss / 1024)
"""


def run(data, directory, rounds, arguments, environment):
    """Wall seconds, peak MiB and passes of a whole command."""
    report = directory / "r.json"
    command = [MUSTER, "train", data, "--target", "y", "--solver", "gd", "--tolerance", "1e-15", "--max-rounds", rounds, "-q",
               "-o", directory / "m.json", "--report", report, *arguments]
    said = subprocess.run(["python3", "-c", PEAK, *map(str, command)], check=True, capture_output=True, text=True,
                          env={**os.environ, **environment}).stdout
    seconds, peak = map(float, said.split())
    return seconds, peak, json.loads(report.read_text(encoding="utf-8"))["passes"]


def read_seconds(paths):
    buffer = bytearray(1 << 20)
    begin = time.monotonic()
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--memory", default="100MB")
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    small = ["--memory", options.memory]
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        data = directory / "table.csv"
        subprocess.run([RELEASE / "bench/reading", "make-csv", data, str(options.rows), str(options.columns)], check=True)
        first = run(data, directory, 1, ["--cache"], {})
        caches = list(directory.glob(".*.muster"))
        size = sum(path.stat().st_size for path in caches) / 1e6
        reading = min(read_seconds(caches) for _ in range(5))
        print(f"{data.stat().st_size / 1e6:.0f} MB of text, {size:.0f} MB of rows; read only, {reading:.3f} s, "
              f"{size / reading / 1000:.1f} GB/s")
        print(f"  first run with --cache, one round  {first[0]:.2f} s")
        ways = {"memory": ([], {}, 60), "cache": (["--cache"], {}, 60), "streamed-cache": (["--cache", *small], {}, 60),
                "streamed-set-aside": (small, {"TMPDIR": name}, 60), "streamed-text": (small, {"TMPDIR": "/dev/shm"}, 6)}
        passes = {}
        for way, (arguments, environment, rounds) in ways.items():
            few = min(run(data, directory, 1, arguments, environment) for _ in range(options.repeat))
            many = min(run(data, directory, 1 + rounds, arguments, environment) for _ in range(options.repeat))
            passes[way] = (many[0] - few[0]) / (many[2] - few[2])
            print(f"  {way:18} one round {few[0]:6.2f} s   a pass {passes[way]:7.3f} s {passes[way] / reading:6.2f} of reading   "
                  f"peak {many[1]:5.0f} MiB")
        print(f"ratio cache-second-run {first[0] / min(run(data, directory, 1, ['--cache'], {})[0] for _ in range(3)):.2f}")
        print(f"ratio streamed-over-reading {reading / passes['streamed-cache']:.2f}")
        print(f"ratio streamed-over-memory {passes['memory'] / passes['streamed-cache']:.2f}")
        print(f"ratio set-aside-over-text {passes['streamed-text'] / passes['streamed-set-aside']:.2f}")


if __name__ == "__main__":
    main()
