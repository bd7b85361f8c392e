"""What a round of MapReduce moves, by the formulas of the patterns of --reduce; and that the pattern changes a model by
rounding only."""
import json

import numpy as np
import pytest

from command import needs_mpi, run, train, write_csv

HEADER = 32  # bytes of a message beside its numbers
COLUMNS = 13
# A round adds the value of f, its gradient by 13 columns and the intercept, and two flags: somebody asked to stop, time
# is up.
NUMBERS = COLUMNS + 1 + 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(501, COLUMNS))
    columns = {f"x{j}": x[:, j] for j in range(COLUMNS)}
    path = tmp_path_factory.mktemp("traffic") / "rows.csv"
    write_csv(path, {**columns, "y": x @ rng.normal(size=COLUMNS) + rng.normal(size=501)})
    return path


def star(m, p):
    return (m - 1, (m - 1) * NUMBERS) if p == 0 else (1, NUMBERS)


def tree(m, p):
    children = 0
    bit = 1
    while p + bit < m and not p & bit:
        children += 1
        bit *= 2
    messages = children + (p != 0)
    return messages, messages * NUMBERS


def ring(m, p):
    """2(m - 1) messages; every part of the numbers goes past m - 1 times twice: 2(m - 1)/m of all on average."""
    part = [NUMBERS * (q + 1) // m - NUMBERS * q // m for q in range(m)]
    return 2 * (m - 1), 2 * NUMBERS - part[(p + 1) % m] - part[(p + 2) % m]


WHERE = ["threads", "sim", pytest.param("mpi", marks=needs_mpi)]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("pattern", [star, tree, ring], ids=lambda f: f.__name__)
def test_bytes_and_messages_of_a_round_are_those_of_the_pattern(data, tmp_path, where, pattern):
    m = 3
    launch = {"ranks": m} if where == "mpi" else {}
    how = [] if where == "mpi" else ["-n", m, "--transport", where]
    report = tmp_path / "report.json"
    run("train", data, "--target", "y", "--solver", "gd", "--reduce", pattern.__name__, "--report", report, "-o",
        tmp_path / "model.json", *how, **launch)
    said = json.loads(report.read_text())
    assert said["reduce"] == pattern.__name__
    for p, worker in enumerate(said["workers"]):
        messages, numbers = pattern(m, p)
        assert worker["messages_per_round"] == messages
        assert worker["bytes_per_round"] == 8 * numbers + HEADER * messages
    total = sum(w["bytes_per_round"] for w in said["workers"])
    if pattern is ring:
        assert total == 2 * (m - 1) * 8 * NUMBERS + m * 2 * (m - 1) * HEADER
    assert all(w["bytes_sent"] > w["bytes_per_round"] * said["rounds_done"] for w in said["workers"])


@needs_mpi
def test_the_report_says_which_pattern_ran(data, tmp_path):
    """Under MPI all ranks have a way of their own; the groups of a grid have none, whatever was asked for."""
    for options, ran in (([], "engine"), (["--reduce", "engine"], "engine"), (["--reproducible"], "engine"),
                         (["--split", "features"], "tree"), (["--split", "2x2", "--reduce", "engine"], "tree"),
                         (["--split", "2x2", "--reduce", "ring"], "ring")):
        report = tmp_path / "report.json"
        run("train", data, "--target", "y", "--solver", "cg", *options, "--report", report, "-o",
            tmp_path / "model.json", ranks=4)
        assert json.loads(report.read_text())["reduce"] == ran, options


@needs_mpi
def test_groups_of_a_grid_share_memory_as_processes_do_as_threads(data, tmp_path):
    """Few numbers through memory: everybody gives them to the two others of its row, where the tree has but the first send
    two messages."""
    sent = []
    for how, launch in ((["-n", 6], {}), ([], {"ranks": 6})):
        report = tmp_path / "report.json"
        run("train", data, "--target", "y", "--solver", "gd", "--split", "2x3", "--report", report, "-o",
            tmp_path / "model.json", *how, **launch)
        workers = json.loads(report.read_text())["workers"]
        sent.append([(w["messages_per_round"], w["bytes_per_round"]) for w in workers])
    assert sent[0] == sent[1]


def test_patterns_give_the_same_model_to_rounding_and_each_its_own_bits_everywhere(data, tmp_path):
    how = [data, "--target", "y", "--solver", "lbfgs", "-n", 4, "--reproducible", "--tolerance", "1e-12"]
    tree_model = train(tmp_path, *how)
    assert train(tmp_path, *how, "--reduce", "tree").bits == tree_model.bits
    for pattern in ("star", "ring"):
        model = train(tmp_path, *how, "--reduce", pattern)
        np.testing.assert_allclose(model.vector, tree_model.vector, rtol=1e-8)
        assert train(tmp_path, *how, "--reduce", pattern, "--transport", "sim").bits == model.bits


def test_a_pattern_goes_with_mapreduce(data):
    refused = run("train", data, "--target", "y", "--reduce", "star", "--mode", "decentralized", code=2)
    assert "--reduce goes with --mode mapreduce" in refused.stderr
