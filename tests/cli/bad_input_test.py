"""Bad input gets one sentence with file and line where there is one, exit code 2, and nothing half-written."""
import gzip
import json
import os
import pathlib
import re
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command import MUSTER, evaluate, needs_mpi, predict, read_model, refused, run, train, write_csv

GOOD = "x1,x2,y\n1,2,3\n4,5,7\n7,8,8\n2,1,0\n5,5,5\n"


class Case:
    """Files in a directory of their own; afterwards nothing else may be there."""

    def __init__(self, directory):
        self.directory = directory

    def write(self, name, content):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def train(self, *args, **options):
        """With a model and a report asked for: neither may be there, nor anything temporary."""
        before = sorted(self.directory.rglob("*"))
        result = run("train", *args, "-o", self.directory / "model.json", "--report", self.directory / "report.json",
                     code=None, cwd=self.directory, **options)
        assert sorted(self.directory.rglob("*")) == before
        return result


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


@pytest.fixture
def model(tmp_path):
    (tmp_path / "good.csv").write_text(GOOD, encoding="utf-8")
    run("train", tmp_path / "good.csv", "--target", "y", "-o", tmp_path / "good.json")
    return tmp_path / "good.json"


# --- commands ---

@pytest.mark.parametrize("arguments, words", [
    (["trian", "t.csv"], ["trian", "train"]),
    (["train"], []),
    (["train", "t.csv", "--taget", "y"], ["--taget", "--target"]),
    (["train", "t.csv", "--target"], ["--target"]),
    (["train", "t.csv", "--target", "y", "--l2", "much"], ["--l2", "much"]),
    (["train", "t.csv", "--target", "y", "--l2", "-1"], ["l2"]),
    (["train", "t.csv", "--target", "y", "--solver", "magic"], ["--solver", "magic"]),
    (["train", "t.csv", "--target", "y", "--workers", "0"], ["workers"]),
    (["train", "t.csv", "--target", "y", "--workers", "-3"], ["workers"]),
    (["train", "t.csv", "--target", "y", "--threads", "0"], ["threads"]),
    (["train", "t.csv", "--target", "y", "--poly", "x1"], ["--poly"]),
    (["train", "t.csv", "--target", "y", "--poly", "x9:2"], ["x9"]),
    (["train", "t.csv", "--target", "y", "--weight", "w"], ["w"]),
    (["train", "t.csv", "--target", "y", "--tolerance", "-1"], ["tolerance"]),
    (["train", "t.csv"], ["--target"]),
    (["train", "t.csv", "--target", "y", "--solver", "exact", "--loss", "logistic"], ["exact|--solver"]),
    (["train", "t.csv", "--target", "y", "--resume"], ["--checkpoint"]),
    (["train", "t.csv", "--target", "y", "--transport", "mpi"], ["mpi"]),
], ids=lambda v: " ".join(v) if isinstance(v, list) else None)
def test_commands(case, arguments, words):
    case.write("t.csv", GOOD)
    before = sorted(case.directory.rglob("*"))
    result = run(*arguments, code=2, cwd=case.directory)
    refused(result, *words)
    assert sorted(case.directory.rglob("*")) == before


# --- files that are not there, or empty ---

def test_missing_file(case):
    refused(case.train(case.directory / "no.csv", "--target", "y"), r"no\.csv")


def test_missing_file_among_others(case):
    refused(case.train(case.write("a.csv", GOOD), case.directory / "no.csv", "--target", "y"), r"no\.csv")


def test_empty_file(case):
    refused(case.train(case.write("empty.csv", ""), "--target", "y"), r"empty\.csv")


@pytest.mark.parametrize("name", ["empty.libsvm", "empty.parquet", "empty.csv.gz"])
def test_empty_file_of_other_formats(case, name):
    refused(case.train(case.write(name, b""), "--target", "y"), re.escape(name))


def test_directory_without_data(case):
    case.write("d/notes.md", "nothing")
    refused(case.train(case.directory / "d", "--target", "y"), r"/d\b")


def test_header_only(case):
    refused(case.train(case.write("h.csv", "x1,x2,y\n"), "--target", "y"), r"h\.csv|rows")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(case):
    path = case.write("secret.csv", GOOD)
    path.chmod(0)
    refused(case.train(path, "--target", "y"), r"secret\.csv")


# --- columns ---

def test_unknown_target(case):
    refused(case.train(case.write("t.csv", GOOD), "--target", "price"), r"t\.csv", "price")


def test_target_among_the_features(case):
    refused(case.train(case.write("t.csv", GOOD), "--target", "y", "--features", "x1,y"), r"\by\b")


def test_duplicate_column(case):
    refused(case.train(case.write("t.csv", GOOD.replace("x2", "x1")), "--target", "y"), r"t\.csv", "x1")


def test_target_of_words(case):
    refused(case.train(case.write("t.csv", "x,y\n1,low\n2,high\n3,low\n"), "--target", "y"), r"t\.csv", r"\by\b")


def test_column_names_differing_between_files(case):
    a, b = case.write("a.csv", GOOD), case.write("b.csv", GOOD.replace("x2", "z"))
    for workers in (1, 2):
        refused(case.train(a, b, "--target", "y", "-n", workers), r"[ab]\.csv", "x2|z")


# --- cells ---

@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("name, old, new, words", [
    ("non-numeric", "7,8,8", "7,eight,8", [r"t\.csv:204:?", "x2", "eight"]),
    ("ragged, short", "7,8,8", "7,8", [r"t\.csv:204"]),
    ("ragged, long", "7,8,8", "7,8,8,8", [r"t\.csv:204"]),
    ("unterminated quote", "7,8,8", '7,"8,8', [r"t\.csv:204", "quote"]),
    ("NaN", "7,8,8", "7,NaN,8", [r"t\.csv:204", "x2"]),
    ("nan", "7,8,8", "7,nan,8", [r"t\.csv:204", "x2"]),
    ("inf", "7,8,8", "7,inf,8", [r"t\.csv:204", "x2"]),
    ("-Infinity", "7,8,8", "-Infinity,8,8", [r"t\.csv:204", "x1"]),
    ("overflow", "7,8,8", "7,1e999,8", [r"t\.csv:204", "x2"]),
    ("inf in target", "7,8,8", "7,8,inf", [r"t\.csv:204", r"\by\b"]),
    ("missing target", "7,8,8", "7,8,", [r"t\.csv:204", r"\by\b"]),
])
def test_cells(case, name, old, new, words, workers):
    """Among 600 rows of numbers, line 204 is wrong: in the middle worker's part."""
    rows = [f"{i % 7},{i % 11},{i % 13}" for i in range(600)]
    rows[202] = old
    path = case.write("t.csv", "x1,x2,y\n" + "\n".join(rows).replace(old, new, 1) + "\n")
    index = next(i for i, r in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if r == new)
    refused(case.train(path, "--target", "y", "-n", workers), *[w.replace("204", str(index)) for w in words])


@needs_mpi
def test_a_cell_under_mpi(case):
    rows = [f"{i % 7},{i % 11},{i % 13}" for i in range(600)]
    rows[500] = "1,oops,2"
    result = case.train(case.write("t.csv", "x1,x2,y\n" + "\n".join(rows) + "\n"), "--target", "y", ranks=3)
    said = [line for line in result.stderr.splitlines() if line.startswith("muster: ")]
    assert result.returncode == 2 and len(said) == 1, result.stderr
    assert "t.csv:502" in said[0] and "oops" in said[0] and "x2" in said[0]


# --- tables that are small or flat: these have an answer ---

def test_one_row(case):
    path = case.write("t.csv", "x1,y\n3,5\n")
    model = train(case.directory, path, "--target", "y")
    assert predict(case.directory / "model.json", path)["prediction"] == ["5"]
    assert model.values["x1"] == 0


@pytest.mark.parametrize("solver", ["exact", "gd"])
def test_more_columns_than_rows_fits_the_minimum_norm_solution_and_says_so(case, solver):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 10)), rng.normal(size=6)
    path = write_csv(case.directory / "wide.csv", {**{f"x{j}": x[:, j] for j in range(10)}, "y": y})
    result = run("train", path, "--target", "y", "--solver", solver, "--tolerance", "1e-13", "-n", "2",
                 "-o", case.directory / "m.json")
    if solver == "exact":
        assert re.search("minimum.norm|depend", result.stdout + result.stderr), result.stdout + result.stderr
    scaled = (x - x.mean(0)) / x.std(0)
    w = np.linalg.pinv(scaled) @ (y - y.mean()) / x.std(0)
    np.testing.assert_allclose(read_model(case.directory / "m.json").vector, [y.mean() - x.mean(0) @ w, *w], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("solver", ["exact", "gd"])
def test_constant_target(case, solver):
    path = case.write("t.csv", "x1,x2,y\n1,2,4\n2,7,4\n5,1,4\n6,6,4\n")
    model = train(case.directory, path, "--target", "y", "--solver", solver)
    np.testing.assert_allclose(model.vector, [4, 0, 0], atol=1e-9)


@pytest.mark.parametrize("solver", ["exact", "gd"])
def test_constant_column(case, solver):
    path = case.write("t.csv", "x1,c,y\n1,5,2\n2,5,4.5\n3,5,6\n4,5,8\n")
    result = run("train", path, "--target", "y", "--solver", solver, "--tolerance", "1e-12", "-o", case.directory / "m.json")
    model = read_model(case.directory / "m.json")
    assert model.values["c"] == 0
    assert model.values["x1"] == pytest.approx(1.95, rel=1e-5)
    assert re.search(r"\bc\b", result.stdout + result.stderr)


def test_dependent_columns_are_named(case):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=30), rng.normal(size=30)
    path = write_csv(case.directory / "t.csv", {"a": a, "b": b, "twice_a": 2 * a, "y": a + b + rng.normal(size=30)})
    result = run("train", path, "--target", "y", "-o", case.directory / "m.json", "--report", case.directory / "r.json")
    assert "twice_a" in result.stdout + result.stderr
    assert json.loads((case.directory / "r.json").read_text(encoding="utf-8"))["dependent_columns"] == ["twice_a"]
    model = read_model(case.directory / "m.json")
    assert model.values["a"] == pytest.approx(2 * model.values["twice_a"], rel=1e-9)  # minimum norm once scaled


# --- LIBSVM ---

@pytest.mark.parametrize("line, words", [
    ("1 3:x", ["3:x"]),
    ("1 3", [r"\b3\b"]),
    ("1 :5", [":5"]),
    ("1 a:5", ["a:5"]),
    ("label 1:5", ["label"]),
    ("1 5:1 3:2", [r"\b3\b"]),
    ("1 3:1 3:2", [r"\b3\b"]),
    ("1 3:nan", ["nan"]),
    ("inf 3:1", ["inf"]),
    ("1 -3:1", ["-3"]),
    ("1 99999999999999999999:1", ["99999999999999999999"]),
])
@pytest.mark.parametrize("workers", [1, 2])
def test_libsvm_pairs(case, line, words, workers):
    path = case.write("t.libsvm", "1 1:2 3:4\n-1 2:1\n" + line + "\n1 1:1\n")
    refused(case.train(path, "-n", workers), r"t\.libsvm:3", *words)


def test_libsvm_index_0_where_the_base_is_1(case):
    path = case.write("t.libsvm", "1 1:2 3:4\n-1 0:1\n1 1:1\n")
    refused(case.train(path, "--libsvm-base", "1"), r"t\.libsvm:2", r"\b0\b")


# --- damaged files ---

@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("keep", [0.5, 0.95])
def test_truncated_gzip(case, keep, workers):
    rng = np.random.default_rng(3)
    text = "x1,y\n" + "\n".join(f"{a},{b}" for a, b in rng.normal(size=(3000, 2))) + "\n"
    packed = gzip.compress(text.encode())
    path = case.write("t.csv.gz", packed[: int(len(packed) * keep)])
    refused(case.train(path, "--target", "y", "-n", workers), r"t\.csv\.gz")


def test_gzip_that_is_none(case):
    refused(case.train(case.write("t.csv.gz", GOOD), "--target", "y"), r"t\.csv\.gz")


def parquet(case, rows=3000):
    rng = np.random.default_rng(4)
    pq.write_table(pa.table({"x1": rng.normal(size=rows), "y": rng.normal(size=rows)}), case.directory / "t.parquet",
                   row_group_size=500)
    return case.directory / "t.parquet"


def test_truncated_parquet(case):
    path = parquet(case)
    path.write_bytes(path.read_bytes()[:-100])
    refused(case.train(path, "--target", "y"), r"t\.parquet")


def test_parquet_that_is_none(case):
    refused(case.train(case.write("t.parquet", GOOD), "--target", "y"), r"t\.parquet")


@pytest.mark.parametrize("workers", [1, 3])
def test_parquet_with_damaged_pages(case, workers):
    path = parquet(case)
    content = bytearray(path.read_bytes())
    for page in range(40, len(content) // 2, 50):
        content[page] ^= 0xFF
    path.write_bytes(bytes(content))
    result = case.train(path, "--target", "y", "-n", workers)
    refused(result, r"t\.parquet")


# --- models and data to predict ---

@pytest.mark.parametrize("damage", [
    lambda text: "",
    lambda text: text[: len(text) // 2],
    lambda text: text.replace('"muster-linear-1"', '"muster-linear-9"'),
    lambda text: text.replace('"muster-linear-1"', '"something"'),
    lambda text: text.replace('"coefficients"', '"koefficients"'),
    lambda text: re.sub(r'"value": [-\d.e]+', '"value": "two"', text, count=1),
    lambda text: "[1, 2]",
    lambda text: "\0\1\2 no JSON",
], ids=["empty", "half", "later format", "other format", "no coefficients", "a word for a number", "no object", "no JSON"])
def test_damaged_models(case, model, damage):
    model.write_text(damage(model.read_text(encoding="utf-8")), encoding="utf-8")
    for command in ("predict", "evaluate"):
        refused(run(command, model, case.directory / "good.csv", code=None), r"good\.json")


def test_missing_model(case, model):
    refused(run("predict", case.directory / "no.json", case.directory / "good.csv", code=None), r"no\.json")


def test_data_to_predict_that_lack_a_column(case, model):
    path = case.write("p.csv", "x1,z\n1,2\n")
    before = sorted(case.directory.rglob("*"))
    refused(run("predict", model, path, "-o", case.directory / "p.out", code=None), r"p\.csv", "x2")
    assert sorted(case.directory.rglob("*")) == before


def test_data_to_evaluate_that_lack_the_target(case, model):
    refused(run("evaluate", model, case.write("p.csv", "x1,x2\n1,2\n"), code=None), r"p\.csv", r"\by\b")


def test_columns_in_another_order_work(case, model):
    straight = predict(model, case.write("p.csv", "x1,x2\n1,2\n4,6\n"))
    assert predict(model, case.write("q.csv", "x2,x1\n2,1\n6,4\n")) == straight


def test_a_bad_cell_late_in_the_rows_leaves_no_predictions(case, model):
    path = case.write("p.csv", "x1,x2\n" + "1,2\n" * 200_000 + "1,oops\n")
    before = sorted(case.directory.rglob("*"))
    refused(run("predict", model, path, "-o", case.directory / "p.out", code=None), r"p\.csv:200002", "oops")
    assert sorted(case.directory.rglob("*")) == before


# --- outputs ---

def test_unwritable_outputs(case, model):
    path = case.write("t.csv", GOOD)
    nowhere = case.directory / "none/m.json"
    before = sorted(case.directory.rglob("*"))
    refused(run("train", path, "--target", "y", "-o", nowhere, code=None), r"none/m\.json")
    refused(run("train", path, "--target", "y", "-o", case.directory / "m.json", "--report", case.directory / "none/r.json",
                code=None), r"none/r\.json")
    refused(run("predict", model, path, "-o", case.directory / "none/p.csv", code=None), r"none/p\.csv")
    assert sorted(case.directory.rglob("*")) == before


def test_an_unwritable_output_is_refused_before_the_work(case):
    """Who waits for an hour wants to be told first: the data are not even looked at."""
    refused(run("train", case.directory / "no.csv", "--target", "y", "-o", case.directory / "none/m.json", code=None),
            r"none/m\.json|no\.csv")


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no /dev/full here")
def test_disk_full(case, model):
    path = case.write("t.csv", GOOD)
    refused(run("train", path, "--target", "y", "-o", "/dev/full", code=None), "/dev/full")
    refused(run("train", path, "--target", "y", "-o", case.directory / "m.json", "--report", "/dev/full", code=None), "/dev/full")
    refused(run("predict", model, path, "-o", "/dev/full", code=None), "/dev/full")


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no /dev/full here")
def test_standard_output_full(case, model):
    path = case.write("t.csv", GOOD)
    for arguments in (["predict", model, path], ["evaluate", model, path], ["train", path, "--target", "y", "-o", case.directory / "m.json"]):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([MUSTER, *map(str, arguments)], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert result.returncode == 2, (arguments, result.stderr)
        assert [l.startswith("muster: ") for l in result.stderr.splitlines()].count(True) == 1


def test_a_model_is_replaced_whole_or_not_at_all(case, model):
    before = model.read_bytes()
    refused(run("train", case.write("bad.csv", "x1,x2,y\n1,2,3\n1,x,2\n"), "--target", "y", "-o", model, code=None), r"bad\.csv:3")
    assert model.read_bytes() == before
    assert evaluate(model, case.directory / "good.csv")["rows"] == 5
