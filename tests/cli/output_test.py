"""Results on stdout, everything else on stderr; quiet in a pipe, alive on a terminal."""
import os
import pty
import re
import subprocess

import numpy as np
import pytest

from command import MUSTER, needs_mpi, run, write_csv


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3000, 4))
    return write_csv(tmp_path_factory.mktemp("t") / "t.csv", {**{f"x{j}": x[:, j] for j in range(4)}, "y": x.sum(1) + rng.normal(size=3000)})


@pytest.fixture(scope="module")
def slow_table(tmp_path_factory):
    rng = np.random.default_rng(3)
    common = rng.normal(size=4000)
    columns = {f"x{j}": common + 10.0 ** (-j / 2.0) * rng.normal(size=4000) for j in range(8)}
    return write_csv(tmp_path_factory.mktemp("t") / "slow.csv", {**columns, "y": common + rng.normal(size=4000)})


def test_the_result_is_a_table_on_stdout(tmp_path, table):
    result = run("train", table, "--target", "y", "-o", tmp_path / "m.json")
    for word in ("x0", "x3", "RMSE", "R²", "intercept"):
        assert word in result.stdout, result.stdout


def test_a_pipe_sees_no_progress(tmp_path, slow_table):
    result = run("train", slow_table, "--target", "y", "--solver", "gd", "--max-time", "1.5", "--tolerance", "1e-13",
                 "-o", tmp_path / "m.json", code=3)
    assert not re.search(r"[\r\x1b\x08]", result.stdout + result.stderr)


def test_a_terminal_sees_progress(tmp_path, slow_table):
    """Its stdout too is one, as at a prompt."""
    master, slave = pty.openpty()
    process = subprocess.Popen([MUSTER, "train", slow_table, "--target", "y", "--solver", "gd", "--max-time", "1.5",
                                "--tolerance", "1e-13", "-o", tmp_path / "m.json"], stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    assert process.wait(timeout=30) == 3
    os.close(master)
    assert b"\r" in seen.replace(b"\r\n", b"\n") and b"round" in seen, seen[-500:]


def test_quiet_says_nothing(tmp_path, table):
    result = run("train", table, "--target", "y", "-q", "-o", tmp_path / "m.json")
    assert result.stdout + result.stderr == ""
    assert (tmp_path / "m.json").exists()


def test_quiet_still_says_what_went_wrong(tmp_path, table):
    result = run("train", table, "--target", "nothing", "-q", "-o", tmp_path / "m.json", code=2)
    assert result.stderr.startswith("muster: ")


@needs_mpi
def test_only_one_rank_speaks(tmp_path, table):
    alone = run("train", table, "--target", "y", "-o", tmp_path / "m.json").stdout
    three = run("train", table, "--target", "y", "-o", tmp_path / "m.json", ranks=3).stdout
    assert three.count("RMSE") == alone.count("RMSE")


def test_help_and_version(tmp_path):
    for arguments in (["--help"], ["train", "--help"], ["predict", "--help"], ["evaluate", "--help"], ["--version"]):
        result = run(*arguments, cwd=tmp_path)
        assert result.stdout and not result.stderr
    assert "--target" in run("train", "--help").stdout


def test_the_solver_and_why_are_said(tmp_path, table):
    result = run("train", table, "--target", "y", "-o", tmp_path / "m.json")
    assert "exact" in result.stdout + result.stderr
