#!/usr/bin/env python3
"""Runs the programs of bench/floors.toml and compares the ratios they print with the floors there: `script/bench`.

A program says `ratio NAME VALUE` on lines of their own, a larger value being better. A ratio with a floor that is not
printed, because a peer or a library is not installed, is listed as left out and fails nothing.
"""
import argparse
import pathlib
import re
import shlex
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def ratios_of(command, python):
    """By name, as the program prints them."""
    words = shlex.split(command.replace("{python}", python))
    if not (ROOT / words[0]).exists():  # as CMake has it where a library is not installed
        print(f"{words[0]} is not built here")
        return {}
    if words[0].endswith(".py"):
        words.insert(0, python)
    run = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        print(run.stdout)
        sys.exit(f"script/bench: {command} ended with {run.returncode}")
    return {name: float(value) for name, value in re.findall(r"^ratio (\S+) (\S+)$", run.stdout, re.MULTILINE)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="python3", help="runs those programs that need peers in Python")
    parser.add_argument("names", nargs="*", help="only programs with one of these in their command")
    options = parser.parse_args()
    below, begin = [], time.monotonic()
    print(f"{'ratio':32} {'measured':>8} {'floor':>8}")
    for program in tomllib.loads((ROOT / "bench/floors.toml").read_text(encoding="utf-8"))["program"]:
        command = program["command"]
        if options.names and not any(name in command for name in options.names):
            continue
        print(f"# {command}", flush=True)
        measured = ratios_of(command, options.python)
        for name in sorted(measured.keys() - program["floors"].keys()):
            sys.exit(f"script/bench: {command} prints ratio {name}, which has no floor in bench/floors.toml")
        for name, floor in program["floors"].items():
            value = measured.get(name)
            verdict = "left out" if value is None else f"{value:8.2f}"
            print(f"{name:32} {verdict:>8} {floor:8.2f}{'   BELOW' if value is not None and value < floor else ''}", flush=True)
            if value is not None and value < floor:
                below.append(name)
    print(f"# {time.monotonic() - begin:.0f} s")
    if below:
        sys.exit(f"script/bench: below the floor: {', '.join(below)}")


if __name__ == "__main__":
    main()
