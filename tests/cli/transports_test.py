"""Threads and MPI give bit-identical models under --reproducible, with any number of threads per worker; the number of
workers changes results only by rounding."""
import json
import os

import numpy as np
import pytest

from command import needs_mpi, train, write_csv

ROWS = 2711  # no multiple of any block, lane or number of workers


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """kind -> what to train on. Labels are those of a real model with noise, columns of very different scales."""
    rng = np.random.default_rng(11)
    directory = tmp_path_factory.mktemp("data")
    scale = np.array([1.0, 1e3, 1e-3, 7.0, 50.0])
    x = rng.normal(size=(ROWS, 5)) * scale + 10 * scale
    margin = (x / scale) @ rng.normal(size=5) - 3
    y = margin + rng.normal(size=ROWS)
    columns = {f"x{j}": x[:, j] for j in range(5)}
    write_csv(directory / "dense.csv", {**columns, "y": y})
    write_csv(directory / "dense01.csv", {**columns, "y": (y > np.median(y)).astype(int)})
    sparse = np.where(rng.random((ROWS, 12)) < 0.2, rng.normal(size=(ROWS, 12)), 0.0)
    target = sparse @ rng.normal(size=12) + 0.5 * rng.normal(size=ROWS)
    for name, labels in (("sparse", target), ("sparse01", np.where(target > 0, 1, -1))):
        lines = (" ".join([repr(t.item())] + [f"{j + 1}:{v.item()!r}" for j, v in enumerate(r) if v]) for t, r in zip(labels, sparse))
        (directory / f"{name}.libsvm").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"dense": [directory / "dense.csv", "--target", "y"], "sparse": [directory / "sparse.libsvm"],
            "dense01": [directory / "dense01.csv", "--target", "y"], "sparse01": [directory / "sparse01.libsvm"]}


PROBLEMS = {
    "dense-exact": ("dense", ["--solver", "exact"]),
    "dense-gd": ("dense", ["--solver", "gd", "--l2", "0.01"]),
    "dense-lbfgs": ("dense", ["--solver", "lbfgs", "--l2", "0.01"]),
    "dense-logistic": ("dense01", ["--loss", "logistic", "--l2", "0.01", "--standardize"]),
    "sparse-exact": ("sparse", ["--solver", "exact", "--l2", "0.01"]),
    "sparse-gd": ("sparse", ["--solver", "gd", "--l2", "0.01"]),
    "sparse-lbfgs": ("sparse", ["--solver", "lbfgs", "--l2", "0.01"]),
    "sparse-logistic": ("sparse01", ["--loss", "logistic", "--l2", "0.01"]),
    "sparse-logistic-gd": ("sparse01", ["--loss", "logistic", "--l2", "0.01", "--solver", "gd"]),
}


def arguments(data, problem):
    kind, options = PROBLEMS[problem]
    return [*data[kind], *options, "--reproducible"]


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_threads_per_worker_change_no_bit(tmp_path, data, problem, workers):
    one, two, three = (train(tmp_path, *arguments(data, problem), "-n", workers, "--threads", k).bits for k in (1, 2, 3))
    assert one == two == three


@needs_mpi
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_mpi_and_threads_agree_in_every_bit(tmp_path, data, problem, workers):
    threads = train(tmp_path, *arguments(data, problem), "-n", workers)
    mpi = train(tmp_path, *arguments(data, problem), "--threads", 1 + workers % 2, ranks=workers)
    assert threads.bits == mpi.bits
    assert threads.text["certificate"]["objective"] == mpi.text["certificate"]["objective"]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_number_of_workers_changes_only_rounding(tmp_path, data, problem):
    alone = train(tmp_path, *arguments(data, problem), "-n", 1)
    for workers in (2, 3, 7):
        many = train(tmp_path, *arguments(data, problem), "-n", workers)
        np.testing.assert_allclose(many.vector, alone.vector, rtol=1e-9, atol=1e-11)


@needs_mpi
@pytest.mark.parametrize("problem", ["dense-exact", "sparse-gd"])
def test_without_reproducible_models_agree_to_rounding(tmp_path, data, problem):
    options = [a for a in arguments(data, problem) if a != "--reproducible"]
    np.testing.assert_allclose(train(tmp_path, *options, ranks=3).vector, train(tmp_path, *options, "-n", 3).vector,
                               rtol=1e-9, atol=1e-11)


@needs_mpi
def test_under_a_launcher_the_ranks_are_the_workers(tmp_path, data):
    train(tmp_path, *data["dense"], "--report", tmp_path / "report.json", ranks=3)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert len(report["workers"]) == 3 and sum(w["rows"] for w in report["workers"]) == ROWS
    assert report["mode"] == "mapreduce"


def test_more_workers_than_rows(tmp_path):
    """Some workers have no row at all."""
    table = write_csv(tmp_path / "three.csv", {"x": [1.0, 2.0, 4.0], "y": [1.0, 3.0, 7.0]})
    for solver in ("exact", "lbfgs", "gd"):
        model = train(tmp_path, table, "--target", "y", "-n", 6, "--solver", solver, "--tolerance", "1e-12")
        np.testing.assert_allclose(model.vector, [-1, 2], rtol=1e-5)


@needs_mpi
def test_a_host_that_gives_no_memory_to_share_is_noted(tmp_path, data):
    """Open MPI's osc sm is what makes such memory. The messages in its place add in the same order."""
    report = tmp_path / "report.json"
    notes, bits = [], []
    for environment in ({}, {"OMPI_MCA_osc": "^sm"}):
        model = train(tmp_path, *arguments(data, "dense-gd"), "--report", report, ranks=3, env={**os.environ, **environment})
        notes.append(json.loads(report.read_text(encoding="utf-8"))["notes"])
        bits.append(model.bits)
    assert bits[0] == bits[1]
    assert not any("memory" in note for note in notes[0])
    assert any("MPI_Win_allocate_shared gave no memory" in note for note in notes[1])
