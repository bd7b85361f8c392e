"""muster tune: held-out losses against numpy's own cross-validation, warm starts, folds that ranks do not change."""
import json

import numpy as np
import pytest

from command import needs_mpi, read_model, run

ROWS, COLUMNS, FOLDS = 240, 12, 4


@pytest.fixture
def table(tmp_path):
    random = np.random.default_rng(3)
    x = random.normal(size=(ROWS, COLUMNS)) * np.logspace(-1, 1, COLUMNS) + 5
    y = x[:, 0] * 3 - x[:, 3] + random.normal(size=ROWS) * 4
    path = tmp_path / "t.csv"
    names = [f"x{j}" for j in range(COLUMNS)] + ["y"]
    lines = [",".join(names)] + [",".join(repr(v) for v in [*row.tolist(), t]) for row, t in zip(x, y.tolist())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path, x, y


def tune(directory, *args, name="m", **options):
    run("tune", *args, "-o", directory / f"{name}.json", "--report", directory / f"{name}-report.json", **options)
    report = json.loads((directory / f"{name}-report.json").read_text(encoding="utf-8"))
    return report["tuning"], report


def ridge(x, y, l2):
    """The minimiser of (1/2n)|y - Xw - b|^2 + (l2/2)|w|^2."""
    centre, mean = x.mean(axis=0), y.mean()
    a = x - centre
    w = np.linalg.solve(a.T @ a / len(y) + l2 * np.eye(x.shape[1]), a.T @ (y - mean) / len(y))
    return w, mean - centre @ w


def test_folds_are_even_and_a_huge_penalty_predicts_their_mean(tmp_path, table):
    path, _, y = table
    found, _ = tune(tmp_path, path, "--target", "y", "--l2", "1e12,1e-2", "--folds", FOLDS, "-n", 3)
    assert [p["l2"] for p in found["points"]] == [1e12, 1e-2]
    for point in found["points"]:
        assert len(point["by_fold"]) == FOLDS
        assert point["loss"] == pytest.approx(np.mean(point["by_fold"]))  # folds of equal size
        assert point["standard_error"] == pytest.approx(np.std(point["by_fold"], ddof=1) / np.sqrt(FOLDS))
    spread = 0.5 * y.var()  # the mean of a fold's complement is a little off its own
    assert spread < found["points"][0]["loss"] < spread * (1 + 3 / FOLDS)


def test_leaving_one_out_is_the_formula(tmp_path, table):
    """With as many folds as rows the mean loss of ridge is known: residual_i / (1 - h_i) for a given l2 (n - 1 rows)."""
    path, x, y = table
    x, y = x[:30], y[:30]
    short = tmp_path / "short.csv"
    short.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:31]) + "\n", encoding="utf-8")
    grid = [3.0, 0.1]
    found, _ = tune(tmp_path, short, "--target", "y", "--l2", ",".join(map(str, grid)), "--folds", 30, "-n", 2)
    for point, l2 in zip(found["points"], grid):
        losses = []
        for i in range(30):
            rest = np.arange(30) != i
            w, b = ridge(x[rest], y[rest], l2)
            losses.append(0.5 * (x[i] @ w + b - y[i]) ** 2)
        assert point["loss"] == pytest.approx(np.mean(losses), rel=1e-9)
        assert sorted(point["by_fold"]) == pytest.approx(sorted(losses), rel=1e-7)
    best = min(range(2), key=lambda i: found["points"][i]["loss"])
    assert found["best"] == found["chosen"] == best


def test_the_model_is_the_fit_of_the_chosen_penalty_to_all_rows(tmp_path, table):
    path, x, y = table
    found, report = tune(tmp_path, path, "--target", "y")
    assert len(found["points"]) == 17 and found["points"][0]["l2"] == pytest.approx(100)
    w, b = ridge(x, y, found["points"][found["chosen"]]["l2"])
    model = read_model(tmp_path / "m.json")
    assert list(model.values.values()) == pytest.approx(w, rel=1e-7) and model.intercept == pytest.approx(b)
    assert report["stop_reason"] == "converged" and found["unconverged"] == 0


def test_one_standard_error_takes_a_stronger_penalty(tmp_path, table):
    path, *_ = table
    found, _ = tune(tmp_path, path, "--target", "y", "--one-standard-error")
    points, best, chosen = found["points"], found["best"], found["chosen"]
    allowed = points[best]["loss"] + points[best]["standard_error"]
    assert chosen < best and points[chosen]["loss"] <= allowed
    assert all(p["loss"] > allowed for p in points[:chosen])


def test_lasso_path(tmp_path, table):
    path, *_ = table
    found, _ = tune(tmp_path, path, "--target", "y", "--l1", "1e-3:10:6", "--standardize", "--tolerance", "1e-9")
    assert [p["l2"] for p in found["points"]] == [0] * 6
    assert [p["l1"] for p in found["points"]] == pytest.approx(list(np.logspace(1, -3, 6)))


@needs_mpi
def test_ranks_change_nothing_but_rounding(tmp_path, table):
    path, *_ = table
    arguments = [path, "--target", "y", "--l2", "1e-2:1e2:4", "--folds", 3]
    one, _ = tune(tmp_path, *arguments, "-n", 1)
    four, _ = tune(tmp_path, *arguments, "-n", 4)
    mpi, _ = tune(tmp_path, *arguments, ranks=3)
    for other in (four, mpi):
        assert other["chosen"] == one["chosen"]
        for a, b in zip(one["points"], other["points"]):
            assert a["by_fold"] == pytest.approx(b["by_fold"], rel=1e-9)


def test_the_table_is_printed(tmp_path, table):
    path, *_ = table
    text = run("tune", path, "--target", "y", "--l2", "0.1,10", "-o", tmp_path / "m.json").stdout
    assert "held-out loss" in text and text.count("chosen") == 1


@pytest.mark.parametrize("arguments,sentence", [
    (["--l2", "1:2"], "--l2 takes FROM:TO:COUNT or a list A,B,C, not '1:2'"),
    (["--l2", "0:1:5"], "--l2 0:1:5: FROM and TO are greater than 0"),
    (["--l2", "1:2:1"], "--l2 1:2:1: COUNT is a whole number from 2 to 10,000"),
    (["--l1", "1,-2"], "--l1 1,-2: '-2' is no number of 0 or greater"),
    (["--folds", "1"], "--folds"),
    (["--checkpoint", "somewhere"], "--checkpoint goes with muster train"),
    (["--folds", "500"], "have no weight: fewer folds, or more rows"),
])
def test_errors(tmp_path, table, arguments, sentence):
    path, *_ = table
    result = run("tune", path, "--target", "y", *arguments, "-o", tmp_path / "m.json", code=2, cwd=tmp_path)
    assert sentence in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "m.json").exists()
