"""--trace on every transport: a row per rank, spans that do not overlap, an arrow for each message."""
import json

import numpy as np
import pytest

from command import needs_mpi, run, train, write_csv


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(500, 3))
    return write_csv(tmp_path_factory.mktemp("data") / "t.csv", {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": x @ [1, 2, 3]})


TRANSPORTS = {"threads": (["-n", 3], None), "sim": (["-n", 3, "--transport", "sim"], None),
              "mpi": (["--reproducible"], 3), "mpi-own-collectives": ([], 3)}


def check_trace(path, ranks):
    """The spans and, by identity, the ranks at both ends of each message."""
    events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert [names[r].split(" on ")[0] for r in range(ranks)] == [f"rank {r}" for r in range(ranks)]
    spans = [e for e in events if e["ph"] == "X"]
    assert {e["tid"] for e in spans} == set(range(ranks))
    assert {"compute", "allreduce"} <= {e["name"] for e in spans}
    for rank in range(ranks):
        leaves = sorted((e["ts"], e["ts"] + e["dur"]) for e in spans
                        if e["tid"] == rank and e["name"] in {"compute", "send", "wait", "receive"})
        assert all(b[0] >= a[1] - 0.01 for a, b in zip(leaves, leaves[1:]))
    begun = {e["id"]: e["tid"] for e in events if e["ph"] == "s"}
    ended = {e["id"]: e["tid"] for e in events if e["ph"] == "f"}
    assert begun.keys() == ended.keys() and len(begun) + len(ended) == sum(e["ph"] in "sf" for e in events)
    for span, arrow in zip(events, events[1:]):  # an arrow's end follows the span it is in, which says who is at the other
        if arrow["ph"] in "sf":
            assert span["args"]["peer"] == (ended if arrow["ph"] == "s" else begun)[arrow["id"]]
    return spans, [(begun[i], ended[i]) for i in begun]


@pytest.mark.parametrize("transport", ["threads", "sim", pytest.param("mpi", marks=needs_mpi),
                                       pytest.param("mpi-own-collectives", marks=needs_mpi)])
def test_a_trace_tells_the_run(tmp_path, table, transport):
    options, ranks = TRANSPORTS[transport]
    arguments = [table, "--target", "y", "--solver", "gd", "--max-rounds", 5, *options]
    run("train", *arguments, "-o", tmp_path / "m.json", "--trace", tmp_path / "t.json", ranks=ranks, code=None)
    _, begun = check_trace(tmp_path / "t.json", 3)
    if transport != "mpi-own-collectives":
        assert len(begun) > 5 * 4  # every allreduce of three ranks is four messages


GRIDS = {"threads": (["-n", 6], None), "sim": (["-n", 6, "--transport", "sim"], None), "mpi": (["--reproducible"], 6),
         "mpi-own-collectives": ([], 6)}


@pytest.mark.parametrize("transport", ["threads", "sim", pytest.param("mpi", marks=needs_mpi),
                                       pytest.param("mpi-own-collectives", marks=needs_mpi)])
@pytest.mark.parametrize("split, solver", [("features", "cg"), ("2x3", "lbfgs")])
def test_in_a_grid_messages_of_rounds_go_along_rows_and_columns(tmp_path, table, transport, split, solver):
    """Rank 3r + c has row block r and column block c; groups count their ranks anew, the trace does not."""
    options, ranks = GRIDS[transport]
    arguments = [table, "--target", "y", "--solver", solver, "--tolerance", "1e-12", "--split", split, *options]
    run("train", *arguments, "-o", tmp_path / "m.json", "--report", tmp_path / "r.json", "--trace", tmp_path / "t.json",
        ranks=ranks)
    spans, messages = check_trace(tmp_path / "t.json", 6)
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["split"] == split and report["reduce"] == "tree"
    assert "split" in {e["name"] for e in spans}
    # A tree over three in a row, or over six, takes two messages, or five, up and down, in every round and row.
    along = [(a, b) for a, b in messages if split == "features" or a // 3 == b // 3]
    assert len(along) >= report["rounds_done"] * (8 if split == "2x3" else 10)
    if split == "2x3":
        down = [(a, b) for a, b in messages if a % 3 == b % 3]
        assert {(a, b) for a, b in down} == {(c, c + 3) for c in range(3)} | {(c + 3, c) for c in range(3)}
        assert len(down) >= report["rounds_done"] * 6


def test_tracing_changes_no_bit(tmp_path, table):
    arguments = [table, "--target", "y", "--solver", "gd", "-n", 3, "--reproducible"]
    assert train(tmp_path, *arguments).bits == train(tmp_path, *arguments, "--trace", tmp_path / "t.json").bits


def test_an_unwritable_trace_is_refused_before_the_work(tmp_path, table):
    result = run("train", table, "--target", "y", "--trace", "/nowhere/t.json", "-o", tmp_path / "m.json", code=2)
    assert "/nowhere/t.json" in result.stderr
    assert not (tmp_path / "m.json").exists()
