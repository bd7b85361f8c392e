"""A rank's peak memory stays under 1.3 times its own matrix plus 300 MB; `exact`, which keeps no matrix, takes the
same memory however many rows there are."""
import subprocess
import sys

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
    pa.parquet.write_table(table, directory / "one_group.parquet", row_group_size=ROWS)
    quarter = table.slice(0, ROWS // 4)
    pa.csv.write_csv(quarter, directory / "quarter_big.csv")
    pa.parquet.write_table(quarter, directory / "quarter_big.parquet", row_group_size=50_000)
    pa.parquet.write_table(quarter, directory / "quarter_one_group.parquet", row_group_size=ROWS)
    yield directory
    for path in directory.iterdir():
        path.unlink()


def peak_bytes(tmp_path, data, *arguments):
    command = [MUSTER, "train", data, "--target", "y", "--storage", "float64", "-n", "1", "-q", "-o", tmp_path / "m.json",
               *arguments]
    # A process begins with the peak of the one it was forked from, so a small one is between.
    between = ("import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], check=False).returncode; "
               "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    said = subprocess.run([sys.executable, "-c", between, *map(str, command)], check=True, capture_output=True, text=True)
    code, kilobytes = map(int, said.stdout.split())
    assert code in (0, 3), said.stderr
    return kilobytes * 1024


# Of a column of Parquet, a reader holds its dictionary and a page: pages of 1 MiB, and here all numbers differ, so that the
# dictionary of a long row group is as long. Pages of a short one are shorter.
PAGES = 2 * 2**20 * (COLUMNS + 1)


@pytest.mark.parametrize("file, pages", [("big.csv", 0), ("big.parquet", PAGES // 4), ("one_group.parquet", PAGES)])
def test_exact_keeps_no_matrix(tmp_path, big, file, pages):
    peak = peak_bytes(tmp_path, big / file)
    assert peak < 120e6 + 1.2 * pages, f"{peak / 1e6:.0f} MB"
    quarter = peak_bytes(tmp_path, big / f"quarter_{file}")
    assert peak < quarter + 30e6 + pages / 4, f"{peak / 1e6:.0f} MB, and {quarter / 1e6:.0f} MB for a quarter of the rows"


@pytest.mark.parametrize("file", ["big.csv", "big.parquet"])
def test_peak_memory(tmp_path, big, file):
    peak = peak_bytes(tmp_path, big / file, "--solver", "cg", "--max-rounds", "2")
    assert peak < 1.3 * MATRIX_BYTES + 300e6, f"{peak / 1e6:.0f} MB for a matrix of {MATRIX_BYTES / 1e6:.0f} MB"
