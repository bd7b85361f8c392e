"""A rank's peak memory stays under 1.3 times its own matrix plus 300 MB."""
import os
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from command import MUSTER

ROWS, COLUMNS = 780_000, 48
MATRIX_BYTES = ROWS * COLUMNS * 8


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    rng = np.random.default_rng(0)
    # Numbers that float32 does not hold, so that the matrix is what it is said to be.
    columns = {f"x{j}": rng.integers(0, 10**8, ROWS) / 1e4 + 0.00003 for j in range(COLUMNS)}
    columns["y"] = columns["x0"] - columns["x1"]
    table = pa.table(columns)
    directory = tmp_path_factory.mktemp("big")
    pa.csv.write_csv(table, directory / "big.csv")
    pa.parquet.write_table(table, directory / "big.parquet", row_group_size=50_000)
    yield directory
    for path in directory.iterdir():
        path.unlink()


@pytest.mark.parametrize("file", ["big.csv", "big.parquet"])
def test_peak_memory(tmp_path, big, file):
    process = subprocess.Popen([MUSTER, "train", big / file, "--target", "y", "--storage", "float64", "-n", "1", "-q",
                                "-o", tmp_path / "m.json"])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    peak = usage.ru_maxrss * 1024
    assert peak < 1.3 * MATRIX_BYTES + 300e6, f"{peak / 1e6:.0f} MB for a matrix of {MATRIX_BYTES / 1e6:.0f} MB"
