"""The example of an objective of one's own: built against the installed Muster, trained under all programming models."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("MUSTER_BUILD", ROOT / "build/release"))
EXAMPLE = ROOT / "examples/own_objective"
MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]


def call(*command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    place = tmp_path_factory.mktemp("own_objective")
    call("cmake", "--install", BUILD, "--prefix", place / "prefix")
    call("cmake", "-S", EXAMPLE, "-B", place / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={place / 'prefix'}",
         "-DCMAKE_BUILD_TYPE=Release")
    call("cmake", "--build", place / "build")
    return place / "build/own_objective"


def outcome(text):
    solver, reason, objective, wrong = re.fullmatch(
        r"(\S+): (\S+), objective (\S+), (\d+) of 1797 images wrong\n", text).groups()
    return solver, reason, float(objective), int(wrong)


def test_it_is_short():
    assert len((EXAMPLE / "main.cc").read_text(encoding="utf-8").splitlines()) < 100


# Not convex: solvers may end in different valleys. All of them fit the digits, of which a linear model has some 1 % wrong.
@pytest.mark.parametrize("mode,solver", [("mapreduce", "lbfgs"), ("parameter-server", "dave"), ("decentralized", "nids")])
def test_every_programming_model_trains_it(program, mode, solver):
    found = outcome(call(program, EXAMPLE / "digits.csv", mode, 2))
    assert found[:2] == (solver, "converged")
    assert found[2] < 0.15 and found[3] <= 9


def test_under_mpi(program):
    found = outcome(call(*MPIRUN, "-n", 3, program, EXAMPLE / "digits.csv", "mapreduce"))
    assert found[:2] == ("lbfgs", "converged") and found[2] < 0.15


def test_errors_are_one_sentence(program):
    result = subprocess.run([program, EXAMPLE / "digits.csv"], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and result.stderr.startswith("own_objective: usage")
