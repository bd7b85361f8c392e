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


@pytest.mark.parametrize("transport", ["threads", "sim", pytest.param("mpi", marks=needs_mpi),
                                       pytest.param("mpi-own-collectives", marks=needs_mpi)])
def test_a_trace_tells_the_run(tmp_path, table, transport):
    options, ranks = TRANSPORTS[transport]
    arguments = [table, "--target", "y", "--solver", "gd", "--max-rounds", 5, *options]
    run("train", *arguments, "-o", tmp_path / "m.json", "--trace", tmp_path / "t.json", ranks=ranks, code=None)
    events = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert [names[r].split(" on ")[0] for r in range(3)] == ["rank 0", "rank 1", "rank 2"]
    spans = [e for e in events if e["ph"] == "X"]
    assert {e["tid"] for e in spans} == {0, 1, 2}
    assert {"compute", "allreduce"} <= {e["name"] for e in spans}
    for rank in range(3):
        leaves = sorted((e["ts"], e["ts"] + e["dur"]) for e in spans
                        if e["tid"] == rank and e["name"] in {"compute", "send", "wait", "receive"})
        assert all(b[0] >= a[1] - 0.01 for a, b in zip(leaves, leaves[1:]))
    begun = sorted(e["id"] for e in events if e["ph"] == "s")
    ended = sorted(e["id"] for e in events if e["ph"] == "f")
    assert begun == ended and len(set(begun)) == len(begun)
    if transport != "mpi-own-collectives":
        assert len(begun) > 5 * 4  # every allreduce of three ranks is four messages


def test_tracing_changes_no_bit(tmp_path, table):
    arguments = [table, "--target", "y", "--solver", "gd", "-n", 3, "--reproducible"]
    assert train(tmp_path, *arguments).bits == train(tmp_path, *arguments, "--trace", tmp_path / "t.json").bits


def test_an_unwritable_trace_is_refused_before_the_work(tmp_path, table):
    result = run("train", table, "--target", "y", "--trace", "/nowhere/t.json", "-o", tmp_path / "m.json", code=2)
    assert "/nowhere/t.json" in result.stderr
    assert not (tmp_path / "m.json").exists()
