"""--cache: parsed rows beside the data, mapped by the next run: whole or not there, whoever else is running, and no memory
besides."""
import json
import resource
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from command import MUSTER, read_model, refused, run, write_csv
from stream_test import CONSTANT, peak_memory

ROWS, COLUMNS = 120_000, 50


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 10**6, size=(ROWS, COLUMNS)) / 10
    columns = {f"x{j}": x[:, j] for j in range(COLUMNS)}
    path = tmp_path_factory.mktemp("data") / "t.csv"
    pa.csv.write_csv(pa.table({**columns, "y": x @ np.ones(COLUMNS) + rng.normal(size=ROWS)}), path)
    yield path
    path.unlink()


@pytest.fixture()
def data(table, tmp_path):
    """A directory of its own for what is kept beside the data."""
    path = tmp_path / "data" / "t.csv"
    path.parent.mkdir()
    path.symlink_to(table)
    return path


def fit(data, *more):
    return ["train", data, "--target", "y", "--reproducible", "-n", "2", "--cache", *more]


def kept(data):
    return sorted(p.name for p in data.parent.iterdir() if p != data)


def notes(report):
    return json.loads(report.read_text(encoding="utf-8"))["notes"]


def test_runs_at_once_leave_one_whole_cache(tmp_path, data):
    models = [tmp_path / f"m{k}.json" for k in range(4)]
    runs = [subprocess.Popen([MUSTER, *map(str, fit(data, "-q", "-o", model))]) for model in models]
    assert [process.wait() for process in runs] == [0] * 4
    names = kept(data)
    assert len(names) == 2 and all(name.endswith(".muster") for name in names)  # one of each worker
    run(*fit(data, "-o", tmp_path / "m.json", "--report", tmp_path / "r.json"))
    assert any("those of the cache" in note for note in notes(tmp_path / "r.json"))
    assert all(read_model(model).bits == read_model(tmp_path / "m.json").bits for model in models)
    assert kept(data) == names


def test_rows_of_a_cache_are_in_memory_once(tmp_path, data):
    few = tmp_path / "few" / "t.csv"
    few.parent.mkdir()
    with open(data, encoding="ascii") as lines:
        few.write_text("".join(line for _, line in zip(range(500), lines)), encoding="ascii")

    def peak(path, *more):
        command = [MUSTER, *fit(path, "--solver", "cg", "-q", "-o", tmp_path / "m.json", *more)]
        run(*command[1:])
        return peak_memory(*command)  # of the second run, which takes the rows from the cache
    matrix, program = ROWS * (COLUMNS + 1) * 8, peak(few)
    assert program < CONSTANT
    assert program + 0.9 * matrix < peak(data) < program + 1.3 * matrix
    # And not at all where they may not be.
    assert peak(data, "--memory", "10MB") < program + 0.7 * matrix


def test_a_disk_without_room_is_said_and_leaves_nothing(tmp_path, data):
    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**7, 10**7))
    result = run(*fit(data, "-o", tmp_path / "m.json"), code=2, preexec_fn=no_room)
    refused(result, "cannot write", "t.csv", "File too large: drop --cache")
    assert kept(data) == [] and not (tmp_path / "m.json").exists()


def test_a_directory_that_can_not_take_a_cache_is_named(tmp_path):
    """Its name leaves no room for that of the cache, which holds for root too."""
    data = write_csv(tmp_path / ("a" * 240 + ".csv"), {"x": [1, 2, 4], "y": [1, 2, 3]})
    refused(run(*fit(data, "-o", tmp_path / "m.json"), code=None), "cannot write", "File name too long: drop --cache")
    assert kept(data) == []
