"""A rank that stops or dies under mpirun is named within the deadline; nothing hangs."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import uuid

import numpy as np
import pytest

import command
from command import MUSTER, mpi_prefix, needs_mpi, write_csv

pytestmark = needs_mpi


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(3)
    common = rng.normal(size=4000)
    columns = {f"x{j}": common + 10.0 ** (-j / 2.0) * rng.normal(size=4000) for j in range(8)}
    columns["y"] = rng.normal(size=4000) + sum(j * c for j, c in enumerate(columns.values()))
    return write_csv(tmp_path_factory.mktemp("lost") / "table.csv", columns)


def ranks_of(mark):
    """rank -> process id, of the processes whose environment carries the mark."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            environment = dict(v.split(b"=", 1) for v in (process / "environ").read_bytes().split(b"\0") if b"=" in v)
            name = (process / "comm").read_text().strip()
        except OSError:
            continue
        if environment.get(b"MUSTER_TEST") == mark and b"OMPI_COMM_WORLD_RANK" in environment and name.startswith("muster"):
            found[int(environment[b"OMPI_COMM_WORLD_RANK"])] = int(process.name)
    return found


class Run:
    """A long run under mpirun, known to be in its rounds. how: the programming model and its rule."""

    def __init__(self, tmp_path, table, ranks, *args, how=("--solver", "gd")):
        mark = uuid.uuid4().hex
        checkpoint = tmp_path / "c"
        self.process = subprocess.Popen(
            [*mpi_prefix(ranks), MUSTER, "train", table, "--target", "y", *how, "--tolerance", "1e-12",
             "--max-rounds", "1000000000", "--checkpoint", checkpoint, "--checkpoint-every", "0.1",
             "-o", tmp_path / "m.json", *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "MUSTER_TEST": mark})
        limit = time.monotonic() + 60
        while not (checkpoint / "checkpoint.json").exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < limit
            time.sleep(0.05)
        self.ranks = ranks_of(mark.encode())
        assert sorted(self.ranks) == list(range(ranks))
        self.mark = mark.encode()

    def end(self, within):
        """Exit code, stderr and the seconds it took."""
        began = time.monotonic()
        try:
            _, errors = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            for pid in ranks_of(self.mark).values():
                os.kill(pid, signal.SIGKILL)
            self.process.kill()
            pytest.fail(f"still there after {within} s; stderr: {self.process.communicate()[1]}")
        return self.process.returncode, errors, time.monotonic() - began


def sentences(errors):
    return [line for line in errors.splitlines() if line.startswith("muster: ")]


NETWORK = ("--mode", "decentralized", "--topology", "line")
GRID = ("--solver", "gd", "--split", "2x2")


@pytest.mark.parametrize("ranks, stuck, how", [(2, 0, ("--solver", "gd")), (2, 1, ("--solver", "gd")),
                                               (3, 2, ("--solver", "gd")), (4, 3, NETWORK), (4, 2, GRID)])
def test_a_stopped_rank_is_named(tmp_path, table, ranks, stuck, how):
    """On a line of four, rank 3 has one neighbour, who tells the others; in a grid, rank 1 shares nothing with rank 2."""
    run = Run(tmp_path, table, ranks, "--silence", "2", how=how)
    os.kill(run.ranks[stuck], signal.SIGSTOP)
    code, errors, _ = run.end(within=12)
    assert code == 4, errors
    said = sentences(errors)
    assert len(said) == 1, errors
    assert f"rank {stuck}" in said[0] and socket.gethostname() in said[0]
    assert not (tmp_path / "m.json").exists()


def test_a_stopped_rank_ends_the_run_within_ten_seconds_by_default(tmp_path, table):
    run = Run(tmp_path, table, 2)
    os.kill(run.ranks[1], signal.SIGSTOP)
    code, errors, _ = run.end(within=11)
    assert code == 4, errors
    assert len(sentences(errors)) == 1 and "rank 1" in sentences(errors)[0]


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_rank_ends_the_run(tmp_path, table, killed):
    run = Run(tmp_path, table, 2)
    os.kill(run.ranks[killed], signal.SIGKILL)
    code, _, _ = run.end(within=10)
    assert code != 0
    assert not ranks_of(run.mark)


def test_a_network_that_lost_a_rank_goes_on_from_its_checkpoint(tmp_path, table):
    run = Run(tmp_path, table, 3, how=NETWORK)
    os.kill(run.ranks[2], signal.SIGKILL)
    code, _, _ = run.end(within=10)
    assert code != 0 and not (tmp_path / "m.json").exists()
    common = [table, "--target", "y", *NETWORK, "--max-rounds", "5", "-o", tmp_path / "m.json", "--report",
              tmp_path / "r.json"]
    objectives = []
    for more in ([], ["--checkpoint", tmp_path / "c", "--resume"]):
        command.run("train", *common, *more, ranks=2, code=3)
        objectives.append(json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["rounds"][0]["objective"])
    assert objectives[1] < objectives[0]


def test_a_pause_shorter_than_the_silence_is_forgiven(tmp_path, table):
    run = Run(tmp_path, table, 2, "--silence", "6", "--max-time", "4")
    os.kill(run.ranks[1], signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(run.ranks[1], signal.SIGCONT)
    code, errors, _ = run.end(within=20)
    assert code == 3, errors
    assert (tmp_path / "m.json").exists()
