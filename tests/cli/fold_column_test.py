"""muster tune --fold-column: the rows of one label are held out together, as numpy's own fits say."""
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command import least_squares, needs_mpi, read_model, refused, run, write_csv

ROWS, LABELS = 400, ["10", "2", "Zürich", "new york", "oslo"]  # as sorted


@pytest.fixture(scope="module")
def columns():
    """Labels come in runs, so that ranks meet others in another order; of very unequal counts; weights, some 0."""
    rng = np.random.default_rng(8)
    site = np.repeat(["oslo", "Zürich", "2", "oslo", "new york", "10", "2"], [150, 60, 20, 40, 3, 47, 80])
    x = rng.normal(size=(ROWS, 3)) * [1, 20, 0.1] + [0, 100, 5]
    x[:, 0] += (site == "oslo") + 2 * (site == "2")
    columns = {f"x{j}": x[:, j] for j in range(3)}
    columns["site"] = site
    columns["w"] = rng.integers(0, 4, ROWS)
    columns["y"] = x @ [1, 0.05, -3] + 3 * (site == "2") + rng.normal(size=ROWS)
    columns["c"] = np.where(x @ [2, 0.05, -3] + 10 + rng.normal(size=ROWS) > np.median(x @ [2, 0.05, -3]) + 10, "b", "a")
    return columns


@pytest.fixture(scope="module")
def table(tmp_path_factory, columns):
    return write_csv(tmp_path_factory.mktemp("data") / "t.csv", columns)


SQUARED = ["--target", "y", "--features", "x*", "--l2", "1,0.1,0.001", "--fold-column", "site", "--tolerance", "1e-12"]


def tune(directory, *arguments, **options):
    result = run("tune", *arguments, "-o", directory / "m.json", "--report", directory / "r.json", **options)
    report = json.loads((directory / "r.json").read_text(encoding="utf-8"))
    return report["tuning"], report, result


def losses(columns, l2, weight=None):
    """Of each label's rows, by the least squares of all others; and over all of them."""
    x, y = np.column_stack([columns[f"x{j}"] for j in range(3)]), columns["y"]
    weight = np.ones(ROWS) if weight is None else weight
    each, total = [], 0
    for label in LABELS:
        out = columns["site"] == label
        b, *w = least_squares(x[~out], y[~out], weight[~out], l2=l2)
        squares = 0.5 * (x[out] @ w + b - y[out]) ** 2
        each.append(np.average(squares, weights=weight[out]))
        total += weight[out] @ squares
    return each, total / weight.sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ways", [["-n", "1"], ["-n", "3"], ["-n", "3", "--memory", "20kB"],
                                  ["-n", "2", "--mode", "parameter-server"], ["-n", "3", "--solver", "cg"]])
def test_losses_are_those_of_least_squares_without_the_label(tmp_path, table, columns, ways, weighted):
    extra = ["--weight", "w"] if weighted else []
    found, report, _ = tune(tmp_path, table, *SQUARED, *extra, *ways)
    assert found["folds"] == [{"label": label, "rows": int(np.sum(columns["site"] == label))} for label in LABELS]
    best = []
    for point in found["points"]:
        each, total = losses(columns, point["l2"], columns["w"] if weighted else None)
        assert point["by_fold"] == pytest.approx(each, rel=1e-5)
        assert point["loss"] == pytest.approx(total, rel=1e-5)
        assert point["standard_error"] == pytest.approx(np.std(each, ddof=1) / np.sqrt(len(LABELS)), rel=1e-5)
        best.append(total)
    assert found["best"] == int(np.argmin(best))
    if "--memory" in ways:
        assert any("--memory" in note for note in report["notes"])
    assert list(read_model(tmp_path / "m.json").values) == ["x0", "x1", "x2"]


@needs_mpi
@pytest.mark.parametrize("loss", [["--target", "y", "--drop", "c,w"], ["--target", "c", "--drop", "y,w", "--loss", "logistic"],
                                  ["--target", "c", "--drop", "y,w", "--loss", "softmax"]])
def test_ranks_agree_on_the_folds(tmp_path, table, loss):
    arguments = [table, *loss, "--l2", "0.1,0.01", "--fold-column", "site", "--tolerance", "1e-12", "--reproducible"]
    one, *_ = tune(tmp_path, *arguments, "-n", 1)
    for more, ranks in ((["-n", 3], None), ([], 3), (["-n", 3, "--transport", "sim"], None), (["-n", 7], None)):
        other, *_ = tune(tmp_path, *arguments, *more, ranks=ranks)
        assert other["folds"] == one["folds"] and other["chosen"] == one["chosen"]
        for a, b in zip(one["points"], other["points"]):
            assert a["by_fold"] == pytest.approx(b["by_fold"], rel=1e-7)


@pytest.mark.parametrize("kind", ["text", "integers", "dictionary"])
def test_parquet(tmp_path, table, columns, kind):
    labels = {label: i for i, label in enumerate(LABELS)}
    site = {"text": pa.array(columns["site"].tolist()), "integers": pa.array([labels[s] for s in columns["site"]]),
            "dictionary": pa.array(columns["site"].tolist()).dictionary_encode()}[kind]
    made = {**{n: pa.array(columns[n].tolist()) for n in columns}, "site": site}
    pq.write_table(pa.table(made), tmp_path / "t.parquet", row_group_size=50)
    csv, *_ = tune(tmp_path, table, *SQUARED, "-n", 3)
    parquet, *_ = tune(tmp_path, tmp_path / "t.parquet", *SQUARED, "-n", 3)
    wanted = [str(i) for i in range(len(LABELS))] if kind == "integers" else LABELS
    assert [fold["label"] for fold in parquet["folds"]] == wanted
    for a, b in zip(csv["points"], parquet["points"]):
        assert a["by_fold"] == pytest.approx(b["by_fold"], rel=1e-9)


def test_the_table_names_the_labels(tmp_path, table):
    found, _, result = tune(tmp_path, table, *SQUARED)
    text = result.stdout
    for fold, loss in zip(found["folds"], found["points"][found["chosen"]]["by_fold"]):
        assert [line.rsplit(maxsplit=2) for line in text.splitlines() if line.startswith(fold["label"])] == [
            [fold["label"], str(fold["rows"]), f"{loss:.8g}"]]


def test_a_row_without_a_label_is_refused_or_dropped(tmp_path, columns):
    site = columns["site"].astype(object)
    site[200] = ""
    path = write_csv(tmp_path / "t.csv", {**columns, "site": site})
    refused(run("tune", path, *SQUARED, "-o", tmp_path / "m.json", "-n", 3, code=None),
            r"t\.csv.*\b202\b.*column 'site' has a missing value")
    found, report, _ = tune(tmp_path, path, *SQUARED, "--missing", "drop", "-n", 3)
    assert sum(fold["rows"] for fold in found["folds"]) == ROWS - 1
    assert "1 row with missing values left out" in report["notes"]


@pytest.mark.parametrize("arguments, words", [
    (["--folds", "3"], "--fold-column says which rows are held out together, and --folds deals them out: drop one"),
    (["--fold-column", "sit"], r"there is no fold column 'sit' \(did you mean 'site'\?\)"),
    (["--fold-column", "y"], "the column 'y' is asked for as target and as fold"),
    (["--features", "x0,site"], "the fold column 'site' is among the features of --features"),
    (["--drop", "site"], "the fold column 'site' is among the columns of --drop"),
    (["--fold-column", "one"], "every row has the label '1' in the fold column 'one'"),
    (["--weight", "only"], "the rows of the label '10' in --fold-column site, or all others, have no weight"),
    (["--fold-column", "c", "--target", "c", "--loss", "logistic"], "as target and as fold"),
    (["--fold-column", "same", "--target", "c", "--loss", "logistic"],
     "without the rows of the label 'a' in --fold-column same: no row of the target has the level 'a'"),
    (["--fold-column", ""], "--fold-column is empty"),
    (["--split", "features"], "--split rows")])
def test_errors(tmp_path, columns, arguments, words):
    path = write_csv(tmp_path / "t.csv", {**columns, "one": np.ones(ROWS, int), "only": (columns["site"] == "2") * 1,
                                           "same": columns["c"]})
    refused(run("tune", path, *SQUARED, *arguments, "-o", tmp_path / "m.json", "-n", 2, code=None), words)
    assert not (tmp_path / "m.json").exists()


def test_libsvm_files_have_no_columns(tmp_path):
    (tmp_path / "t.svm").write_text("1 1:2 2:3\n0 1:1\n", encoding="utf-8")
    refused(run("tune", tmp_path / "t.svm", "--fold-column", "site", "-o", tmp_path / "m.json", code=None),
            "--fold-column names columns, and LIBSVM files have none")
