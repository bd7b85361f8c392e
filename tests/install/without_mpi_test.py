"""A build on a machine without MPI works, and says what it lacks when asked for it."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("MUSTER_BUILD", ROOT / "build/release")) / "without_mpi"


@pytest.fixture(scope="module")
def muster():
    """Nearly every object is the same as in the build being tested, so ccache makes this short."""
    for command in (["cmake", "--preset", "release", "-B", BUILD, "-DMUSTER_MPI=OFF", "-DBUILD_TESTING=OFF"],
                    ["cmake", "--build", BUILD, "--target", "muster_command"]):
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return BUILD / "muster"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n1,1,6\n2,1,8\n3,5,22\n4,0,9\n7,2,21\n", encoding="utf-8")
    return path


def test_it_has_no_trace_of_mpi(muster):
    assert "libmpi" not in subprocess.run(["ldd", muster], capture_output=True, text=True, check=True).stdout


def test_it_trains(muster, table, tmp_path):
    subprocess.run([muster, "train", table, "--target", "y", "-n", "3", "-o", tmp_path / "m.json"], check=True)


def test_asked_for_mpi_it_says_what_it_lacks(muster, table, tmp_path):
    result = subprocess.run([muster, "train", table, "--target", "y", "--transport", "mpi", "-o", tmp_path / "m.json"],
                            capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1 and "MPI" in result.stderr


def test_under_a_launcher_it_says_so_too(muster, table, tmp_path):
    """Else n processes would each train the whole and write over each other."""
    environment = {**os.environ, "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"}
    result = subprocess.run([muster, "train", table, "--target", "y", "-o", tmp_path / "m.json"],
                            capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 2 and "MPI" in result.stderr
