"""CSV, Parquet and LIBSVM; compressed, in directories, by globs, in several files: the same rows give the same model."""
import gzip
import json
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command import predict, read_model, refused, run, train, write_csv

ROWS = 400


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(ROWS, 3))
    kinds = np.array(["a", "b", "long kind"])[rng.integers(0, 3, ROWS)]
    return {"x1": x[:, 0], "x2": x[:, 1].round(2), "count": rng.integers(0, 9, ROWS), "kind": list(kinds),
            "y": x @ [1.0, 2.0, 0.5] + rng.normal(size=ROWS)}


@pytest.fixture(scope="module")
def expected(tmp_path_factory, table):
    directory = tmp_path_factory.mktemp("expected")
    return train(directory, write_csv(directory / "t.csv", table), "--target", "y")


def agree(model, expected):
    assert list(model.values) == list(expected.values)
    np.testing.assert_allclose(model.vector, expected.vector, rtol=1e-11)
    assert model.text["certificate"]["rows_read"] == expected.text["certificate"]["rows_read"]


def part(table, begin, end):
    return {n: c[begin:end] for n, c in table.items()}


# --- Parquet ---

@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("groups, compression", [(37, "snappy"), (1000, "zstd"), (100, "none")])
def test_parquet(tmp_path, table, expected, workers, groups, compression):
    pq.write_table(pa.table(table), tmp_path / "t.parquet", row_group_size=groups, compression=compression)
    agree(train(tmp_path, tmp_path / "t.parquet", "--target", "y", "-n", workers), expected)


def test_parquet_with_dictionaries_and_narrow_types(tmp_path, table, expected):
    arrow = pa.table({**table, "kind": pa.array(table["kind"]).dictionary_encode(),
                      "count": pa.array(table["count"].astype(np.int8))})
    pq.write_table(arrow, tmp_path / "t.parquet", row_group_size=64)
    agree(train(tmp_path, tmp_path / "t.parquet", "--target", "y", "-n", 2), expected)


def test_parquet_nulls_are_missing_cells(tmp_path, table):
    x1 = [None if i in (5, 300) else float(v) for i, v in enumerate(table["x1"])]
    pq.write_table(pa.table({**table, "x1": pa.array(x1)}), tmp_path / "t.parquet", row_group_size=64)
    refused(run("train", tmp_path / "t.parquet", "--target", "y", "-o", tmp_path / "m.json", code=None), r"t\.parquet", "x1")
    model = train(tmp_path, tmp_path / "t.parquet", "--target", "y", "--missing", "drop", "-n", 3)
    keep = {n: [v for i, v in enumerate(c) if i not in (5, 300)] for n, c in table.items()}
    other = train(tmp_path, write_csv(tmp_path / "k.csv", keep), "--target", "y", name="keep.json")
    np.testing.assert_allclose(model.vector, other.vector, rtol=1e-11)


def test_a_model_of_one_format_predicts_another(tmp_path, table, expected):
    csv = write_csv(tmp_path / "t.csv", table)
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    train(tmp_path, csv, "--target", "y")
    assert predict(tmp_path / "model.json", csv) == predict(tmp_path / "model.json", tmp_path / "t.parquet")


# --- compressed ---

@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_compressed_csv(tmp_path, table, expected, ending, workers):
    for i in range(2):  # two files: a compressed one goes to one worker as a whole
        plain = write_csv(tmp_path / f"t{i}.csv", part(table, i * 150, 150 if i == 0 else ROWS))
        if ending == "gz":
            (tmp_path / f"t{i}.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
        else:
            subprocess.run(["zstd", "-q", plain], check=True)
        plain.unlink()
    agree(train(tmp_path, *sorted(tmp_path.glob("t*")), "--target", "y", "-n", workers), expected)


# --- several files ---

@pytest.fixture
def parts(tmp_path, table):
    (tmp_path / "parts").mkdir()
    for i, (begin, end) in enumerate([(0, 10), (10, 11), (11, 250), (250, ROWS)]):
        write_csv(tmp_path / f"parts/part{i}.csv", part(table, begin, end))
    return tmp_path / "parts"


@pytest.mark.parametrize("workers", [1, 2, 6])
def test_a_directory(tmp_path, parts, expected, workers):
    agree(train(tmp_path, parts, "--target", "y", "-n", workers), expected)


def test_a_glob_of_muster_s_own(tmp_path, parts, expected):
    agree(train(tmp_path, f"{parts}/part*.csv", "--target", "y", "-n", 2), expected)


def test_a_list_of_files(tmp_path, parts, expected):
    agree(train(tmp_path, *sorted(parts.iterdir()), "--target", "y", "-n", 3), expected)


def test_predictions_of_several_files_come_in_their_order(tmp_path, parts, table):
    train(tmp_path, parts, "--target", "y")
    whole = write_csv(tmp_path / "whole.csv", table)
    assert predict(tmp_path / "model.json", parts) == predict(tmp_path / "model.json", whole)


def test_files_are_read_in_the_order_given_and_once(tmp_path, parts, table):
    train(tmp_path, parts, "--target", "y")
    one, other = parts / "part3.csv", parts / "part0.csv"
    both = predict(tmp_path / "model.json", one, other, one)["prediction"]
    assert both == [p for f in (one, other) for p in predict(tmp_path / "model.json", f)["prediction"]]


def test_a_glob_without_a_match_is_refused(tmp_path):
    refused(run("train", f"{tmp_path}/nothing*.csv", "--target", "y", "-o", tmp_path / "m.json", code=None), "nothing")


# --- LIBSVM ---

def libsvm(path, x, y, base=1, tail=""):
    lines = (" ".join([repr(float(t))] + [f"{j + base}:{float(v)!r}" for j, v in enumerate(r) if v]) + tail for t, r in zip(y, x))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def sparse():
    rng = np.random.default_rng(9)
    x = np.where(rng.random((300, 8)) < 0.3, rng.normal(size=(300, 8)), 0.0)
    x[:, 0] += x[:, 0] == 0  # the first column is seen
    return x, x @ rng.normal(size=8) + 0.1 * rng.normal(size=300)


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("base", [0, 1])
def test_libsvm_in_both_bases(tmp_path, sparse, base, workers):
    x, y = sparse
    result = run("train", libsvm(tmp_path / "t.libsvm", x, y, base), "-n", workers, "-o", tmp_path / "m.json")
    model = read_model(tmp_path / "m.json")
    assert list(model.values) == [str(j + base) for j in range(8)]
    solution = np.linalg.lstsq(np.column_stack([np.ones(300), x]), y, rcond=None)[0]
    np.testing.assert_allclose(model.vector, solution, rtol=1e-9)
    assert f"indices start at {base}" in result.stdout + result.stderr


def test_libsvm_comments_and_qid(tmp_path, sparse):
    x, y = sparse
    plain = train(tmp_path, libsvm(tmp_path / "t.libsvm", x, y))
    dressed = (tmp_path / "t.libsvm").read_text(encoding="utf-8").splitlines()
    dressed = [f"{l.split(' ', 1)[0]} qid:{i // 10} {l.split(' ', 1)[1]} # row {i}" for i, l in enumerate(dressed)]
    (tmp_path / "q.libsvm").write_text("\n".join(dressed) + "\n", encoding="utf-8")
    np.testing.assert_allclose(train(tmp_path, tmp_path / "q.libsvm", name="q.json").vector, plain.vector, rtol=1e-12)


def test_libsvm_predicts_rows_with_fewer_columns(tmp_path, sparse):
    x, y = sparse
    model = train(tmp_path, libsvm(tmp_path / "t.libsvm", x, y))
    few = x[:20].copy()
    few[:, 5:] = 0
    got = predict(tmp_path / "model.json", libsvm(tmp_path / "few.libsvm", few, y[:20]))["prediction"]
    np.testing.assert_allclose(np.array(got, float), np.column_stack([np.ones(20), few]) @ model.vector, rtol=1e-12)


def test_format_can_be_said(tmp_path, sparse, table, expected):
    x, y = sparse
    libsvm(tmp_path / "rows.dat", x, y)
    assert len(train(tmp_path, tmp_path / "rows.dat", "--format", "libsvm").values) == 8
    write_csv(tmp_path / "table.dat", table)
    agree(train(tmp_path, tmp_path / "table.dat", "--format", "csv", "--target", "y"), expected)


# --- text that is unusual but right ---

@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("change", [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.rstrip("\n"),
    lambda text: "\ufeff" + text,
], ids=["crlf", "no last newline", "byte order mark"])
def test_line_ends_and_marks(tmp_path, table, expected, change, workers):
    path = write_csv(tmp_path / "t.csv", table)
    path.write_bytes(change(path.read_text(encoding="utf-8")).encode())
    agree(train(tmp_path, path, "--target", "y", "-n", workers), expected)


def test_every_number_of_workers_reads_every_row_once(tmp_path, table, expected):
    path = write_csv(tmp_path / "t.csv", table)
    for workers in (2, 3, 5, 8, 13):
        agree(train(tmp_path, path, "--target", "y", "-n", workers, "--report", tmp_path / "r.json"), expected)
        report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
        assert sum(w["rows"] for w in report["workers"]) == ROWS
