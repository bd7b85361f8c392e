"""--memory: rows that do not fit are read anew on every pass, with the result of rows in memory."""
import json
import os
import re
import resource
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from command import MUSTER, needs_mpi, read_model, refused, run, write_csv
from real_sets import ARGUMENTS, needs_real_sets, unpack

SMALL = ["--memory", "100kB"]


def trained(directory, *arguments, name="m", **options):
    run("train", *arguments, "--reproducible", "-o", directory / f"{name}.json", "--report",
        directory / f"{name}-r.json", **options)
    return read_model(directory / f"{name}.json"), json.loads((directory / f"{name}-r.json").read_text(encoding="utf-8"))


def streams(report):
    return any("--memory" in note for note in report["notes"])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(4)
    n = 20_000
    x = rng.normal(size=(n, 6)) * [1, 30, 0.1, 2, 1, 1] + [0, 5, 1, -3, 0, 0]
    margin = x @ [1, 0.1, 5, -1, 0, 0] + 1
    columns = {f"x{j}": x[:, j] for j in range(6)}
    columns["place"] = np.array(["north", "south", "east"])[rng.integers(0, 3, n)]
    columns["w"] = rng.integers(1, 4, n)
    columns["y"] = margin + rng.normal(size=n)
    columns["c"] = (margin + rng.logistic(size=n) > 0).astype(int)
    return write_csv(tmp_path_factory.mktemp("data") / "t.csv", columns)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    rng = np.random.default_rng(5)
    lines = []
    for i in range(12_000):
        columns = np.sort(rng.choice(300, size=8, replace=False))
        label = 1 if columns[0] % 3 + rng.normal() > 1 else -1
        lines.append(f"{label} " + " ".join(f"{j + 1}:{rng.integers(1, 9) / 4}" for j in columns))
    path = tmp_path_factory.mktemp("data") / "s.svm"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


SQUARED = ["--target", "y", "--drop", "c", "--weight", "w", "--l2", "0.01"]
LOGISTIC = ["--target", "c", "--drop", "y", "--weight", "w", "--loss", "logistic", "--l2", "0.01"]
SPARSE = ["--loss", "logistic", "--l2", "0.01"]


@pytest.mark.parametrize("arguments", [
    [*SQUARED, "--solver", "exact", "--verify", "-n", "2"],
    [*SQUARED, "--solver", "exact", "--poly", "x0:3", "-n", "1"],
    [*LOGISTIC, "--solver", "lbfgs", "-n", "3", "--threads", "2"],
    [*LOGISTIC, "--solver", "gd", "--max-rounds", "5", "-n", "1"],
    [*LOGISTIC, "--mode", "decentralized", "--max-rounds", "5", "-n", "3"],
    [*LOGISTIC, "--mode", "parameter-server", "--sync", "bsp", "--max-rounds", "5", "-n", "2"],
], ids=["exact", "powers", "lbfgs", "gd", "nids", "dave"])
def test_models_have_the_bits_of_rows_in_memory(tmp_path, table, arguments):
    held, report = trained(tmp_path, table, *arguments, name="held", code=None)
    streamed, of_stream = trained(tmp_path, table, *arguments, *SMALL, name="streamed", code=None)
    assert not streams(report) and streams(of_stream)
    assert streamed.bits == held.bits
    assert of_stream["certificate"] == report["certificate"]
    assert [w["rows"] for w in of_stream["workers"]] == [w["rows"] for w in report["workers"]]


# Standard errors go over the rows again, which are kept for them.
@pytest.mark.parametrize("more", [["-n", "1"], ["-n", "3", "--threads", "2"], ["-n", "2", "--verify"],
                                  ["-n", "2", "--missing", "drop", "--poly", "x0:2", *SMALL]])
def test_exact_reads_numbers_once_with_the_bits_of_rows_in_memory(tmp_path, table, more):
    arguments = [table, "--target", "y", "--drop", "c,place", "--weight", "w", *more]
    once, report = trained(tmp_path, *arguments, name="once")
    held, of_held = trained(tmp_path, *arguments, "--summary", name="held")
    assert once.bits == held.bits and report["certificate"] == of_held["certificate"]
    assert report["solver"] == "exact" and not streams(report)
    assert [w["rows"] for w in report["workers"]] == [w["rows"] for w in of_held["workers"]]


def test_exact_says_of_rows_it_reads_once_what_is_said_of_others(tmp_path):
    path = tmp_path / "t.csv"
    for text, sentence in [("x,y\n1,2\n3,cat\n5,dog\n", ":3: column 'y' holds 'cat', which is not a number"),
                           ("x,y\n", ": there are no rows below the header"),
                           ("x,y\n1,2\n3,\n", ":3: column 'y' has a missing value here"),
                           ("x,y\n1,2\n3,4,5\n", ":3: 3 cells where the header has 2"),
                           ("x,y\n1,2\n\n3,inf\n", ":4: column 'y' holds an infinity")]:
        path.write_text(text, encoding="utf-8")
        refused(run("train", path, "--target", "y", "-n", "2", code=2), re.escape(f"{path}{sentence}"))
    path.write_text("x,y\n1,\n,2\n", encoding="utf-8")
    refused(run("train", path, "--target", "y", "--missing", "drop", code=2), "every row has a missing value")


@pytest.mark.parametrize("arguments", [[*SQUARED, "--solver", "exact", "-n", "2"],
                                       [*LOGISTIC, "--solver", "lbfgs", "-n", "3", "--threads", "2"]], ids=["exact", "lbfgs"])
def test_a_cache_gives_the_bits_of_parsed_rows_in_memory_and_streamed(tmp_path, table, arguments):
    data = shutil.copy(table, tmp_path)
    parsed, report = trained(tmp_path, data, *arguments, name="parsed")
    for name, more, note in [("written", [], "the parsed rows are kept"), ("taken", [], "the rows are those of the cache"),
                             ("streamed", SMALL, "every pass reads them from the cache")]:
        cached, of_cache = trained(tmp_path, data, *arguments, "--cache", *more, name=name)
        assert any(note in n for n in of_cache["notes"]) and cached.bits == parsed.bits
        assert of_cache["certificate"] == report["certificate"]


@pytest.mark.parametrize("solver", ["lbfgs", "gd"])
def test_sparse_models_have_the_bits_of_rows_in_memory(tmp_path, sparse, solver):
    arguments = [*SPARSE, "--solver", solver, "--max-rounds", "8", "-n", "2"]
    held, report = trained(tmp_path, sparse, *arguments, name="held", code=None)
    streamed, of_stream = trained(tmp_path, sparse, *arguments, *SMALL, name="streamed", code=None)
    assert streams(of_stream) and streamed.bits == held.bits
    assert of_stream["certificate"] == report["certificate"]


@needs_mpi
def test_processes_stream_as_threads_do(tmp_path, table):
    arguments = [table, *LOGISTIC, "--solver", "lbfgs", *SMALL]
    threads, _ = trained(tmp_path, *arguments, "-n", "2", name="threads")
    processes, report = trained(tmp_path, *arguments, name="mpi", ranks=2)
    assert streams(report) and processes.bits == threads.bits


def test_simulated_times_are_those_of_rows_in_memory(tmp_path, table):
    arguments = [table, *LOGISTIC, "--transport", "sim", "-n", "4", "--solver", "gd", "--max-rounds", "4"]
    held, report = trained(tmp_path, *arguments, name="held", code=3)
    streamed, of_stream = trained(tmp_path, *arguments, *SMALL, name="streamed", code=3)
    assert streams(of_stream) and streamed.bits == held.bits
    for one, other in zip(of_stream["rounds"], report["rounds"], strict=True):
        assert one["seconds"] == pytest.approx(other["seconds"], rel=1e-9)


@pytest.mark.parametrize("mode", [["decentralized", "--takeover"], ["parameter-server", "--sync", "bsp"]],
                         ids=["network", "servers"])
def test_a_lost_workers_rows_are_streamed_by_another(tmp_path, mode):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(4000, 6))
    c = (x @ [1, 1, 1, -1, 0, 0] + rng.logistic(size=4000) > 0).astype(int)
    table = write_csv(tmp_path / "t.csv", {**{f"x{j}": x[:, j] for j in range(6)}, "c": c})
    cluster = tmp_path / "c.toml"
    cluster.write_text("[[failures.deaths]]\nnode = 1\nat = 0.0035\n", encoding="utf-8")
    arguments = [table, "--target", "c", "--loss", "logistic", "--l2", "0.01", "--mode", *mode, "-n", "4",
                 "--simulate", cluster, "--tolerance", "1e-5"]
    _, held = trained(tmp_path, *arguments, name="held")
    _, report = trained(tmp_path, *arguments, *SMALL, name="streamed")
    assert streams(report) and [lost["rank"] for lost in report["lost"]] == [1]
    assert report["lost"][0]["rows_taken_over_by"] == held["lost"][0]["rows_taken_over_by"]
    assert report["certificate"]["rows_read"] == report["certificate"]["rows_in_files"]
    assert report["certificate"]["objective"] == pytest.approx(held["certificate"]["objective"], rel=1e-6)


# With l1 the servers' rule is the same, and only the order of the batches differs.
@pytest.mark.parametrize("workers, servers", [(1, 1), (3, 2)])
def test_ftrl_from_a_stream_ends_near_where_it_ends_from_memory(tmp_path, sparse, workers, servers):
    arguments = [sparse, "--loss", "logistic", "--l1", "0.002", "--mode", "parameter-server", "--solver", "ftrl", "-n",
                 workers, "--servers", servers, "--max-epochs", "4", "--transport", "sim"]  # pushes in the same order every time
    held, report = trained(tmp_path, *arguments, name="held", code=None)
    streamed, of_stream = trained(tmp_path, *arguments, *SMALL, name="streamed", code=None)
    assert streams(of_stream)
    assert of_stream["certificate"]["objective"] == pytest.approx(report["certificate"]["objective"], rel=5e-3)
    zero = [sum(value == 0 for value in model.values.values()) for model in (held, streamed)]
    assert zero[1] > 0 and abs(zero[1] - zero[0]) <= 30


def test_softmax_by_ftrl_from_a_stream(tmp_path, sparse):
    """Two classes with twice the penalty on each are the logistic loss."""
    _, best = trained(tmp_path, sparse, "--loss", "logistic", "--l2", "0.005", "--tolerance", "1e-8", name="best")
    run("train", sparse, "--loss", "softmax", "--l2", "0.01", *SMALL, "--mode", "parameter-server", "--solver", "ftrl",
        "-n", "3", "--servers", "2", "--max-epochs", "10", "--transport", "sim", "-o", tmp_path / "ftrl.json", "--report",
        tmp_path / "ftrl-r.json", code=None)
    report = json.loads((tmp_path / "ftrl-r.json").read_text(encoding="utf-8"))
    assert streams(report)
    least, constant = best["certificate"]["objective"], best["certificate"]["relative_target"]
    assert report["certificate"]["objective"] - least < 0.02 * (constant - least)


@needs_real_sets
def test_ftrl_from_a_stream_comes_near_the_reference_on_a9a(tmp_path):
    data = [unpack(tmp_path, "a9a"), *ARGUMENTS["a9a"], "--l1", "1e-4"]
    _, best = trained(tmp_path, *data, "--tolerance", "1e-8", "--max-rounds", "3000", name="best", code=None)
    _, report = trained(tmp_path, *data, *SMALL, "--mode", "parameter-server", "--solver", "ftrl", "-n", "2",
                        "--max-epochs", "5", name="ftrl", code=None)
    assert streams(report)
    assert report["certificate"]["objective"] < 1.02 * best["certificate"]["objective"]


def test_rows_that_fit_are_not_read_again(tmp_path, table):
    _, report = trained(tmp_path, table, *SQUARED, "--memory", "1GiB")
    assert not streams(report)


@pytest.mark.parametrize("size", ["2", "GB", "-1GB", "2 GB", "2gigs", "0MB"])
def test_a_size_that_is_none_is_refused(tmp_path, table, size):
    refused(run("train", table, *SQUARED, f"--memory={size}", code=None), "--memory", "2GB")


def test_columns_are_cut_of_rows_in_memory_only(tmp_path, table):
    refused(run("train", table, *SQUARED, *SMALL, "-n", "2", "--split", "features", code=None), "--split rows", "--memory")


# What a process takes besides: the program and its libraries, models, the buffers of readers.
CONSTANT = 75e6
# Runs a command and prints its peak memory: the parent's own, which a child begins with, is small.
PEAK = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss * 1024)
code = os.waitstatus_to_exitcode(status)
sys.exit(0 if code == 3 else code)  # rounds at their limit are all that is wanted
"""


def peak_memory(*command):
    return int(subprocess.run([sys.executable, "-c", PEAK, *map(str, command)], check=True, capture_output=True).stdout)


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """96 MB of doubles."""
    rows, columns = 300_000, 40
    rng = np.random.default_rng(0)
    x = rng.integers(0, 10**6, size=(rows, columns)) / 10
    y = rng.integers(0, 100, rows)
    table = pa.table({**{f"x{j}": x[:, j] for j in range(columns)}, "y": y, "c": (y + x[:, 0] / 1000 > 100).astype(int)})
    path = tmp_path_factory.mktemp("big") / "big.csv"
    pa.csv.write_csv(table, path)
    yield path
    path.unlink()


BIG = ["--target", "y", "--drop", "c", "--l2", "0.1", "-n", "2", "--reproducible"]


@pytest.mark.parametrize("arguments", [
    [*BIG, "--solver", "gd", "--max-rounds", "4"],
    [*BIG, "--solver", "lbfgs", "--max-rounds", "4"],
    [*BIG, "--solver", "newton-cg", "--max-rounds", "1"],
    [*BIG, "--solver", "nesterov", "--l1", "0.1", "--max-rounds", "4", "--threads", "2"],
    [*BIG, "--solver", "exact", "--cache", "--verify"],
    ["--target", "c", "--drop", "y", "--l2", "0.1", "--loss", "logistic", "-n", "2", "--reproducible", "--max-rounds", "4"],
], ids=["gd", "lbfgs", "newton-cg", "nesterov", "exact", "logistic"])
def test_peak_memory_stays_under_the_limit(tmp_path, big, arguments):
    data, limit = tmp_path / "big.csv", 20e6
    data.symlink_to(big)
    peaks, models = [], []
    for name, more in [("streamed", ["--memory", "20MB"]), ("held", [])]:
        model = tmp_path / f"{name}.json"
        peaks.append(peak_memory(MUSTER, "train", data, *arguments, *more, "-q", "-o", model))
        models.append(read_model(model))
    assert models[0].bits == models[1].bits
    assert peaks[0] < limit + CONSTANT < 96e6 < peaks[1]


def test_parsed_rows_are_set_aside_where_there_is_room(tmp_path, table):
    """In TMPDIR, without a name; else every pass parses the files, and the run says why."""
    arguments = [table, *LOGISTIC, "--solver", "lbfgs", "-n", "2", *SMALL]
    (tmp_path / "room").mkdir()
    models = []
    for place, note in [(tmp_path / "room", f"every pass reads the parsed rows from a temporary file in {tmp_path}/room"),
                        (tmp_path / "none", f"could not be set aside: {tmp_path}/none: No such file"),
                        ("/dev/shm", "could not be set aside: /dev/shm: its files are kept in memory")]:
        model, report = trained(tmp_path, *arguments, name="m", env={**os.environ, "TMPDIR": str(place)})
        assert any(note in n for n in report["notes"]), report["notes"]
        models.append(model)
    assert models[0].bits == models[1].bits == models[2].bits
    assert list((tmp_path / "room").iterdir()) == []


def test_rows_set_aside_on_a_disk_that_fills_up_are_parsed(tmp_path, table):
    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    arguments = [table, *SQUARED, "--solver", "lbfgs", "-n", "2", *SMALL]
    enough, _ = trained(tmp_path, *arguments)
    full, report = trained(tmp_path, *arguments, preexec_fn=little_room)
    assert any("could not be set aside" in n and "File too large" in n for n in report["notes"])
    assert full.bits == enough.bits
