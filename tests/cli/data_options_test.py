"""The options under "data" of `muster train`, against least squares by numpy."""
import json
import re

import numpy as np
import pytest

from command import evaluate, least_squares, predict, read_model, refused, run, train, write_csv

RNG = np.random.default_rng(5)
ROWS = 60


@pytest.fixture
def table():
    x = RNG.normal(size=(ROWS, 3)).round(4)
    colour = [["red", "green", "blue"][i % 3] for i in range(ROWS)]
    effect = np.array([{"red": 1.0, "green": -2.0, "blue": 0.5}[c] for c in colour])
    return {"x1": x[:, 0], "x2": x[:, 1], "other": x[:, 2], "colour": colour,
            "y": x @ [1.0, -2.0, 3.0] + effect + RNG.normal(size=ROWS).round(3)}


def numeric(table, *names):
    return np.column_stack([np.asarray(table[n], float) for n in names])


def check(model, expected, rtol=1e-9):
    np.testing.assert_allclose(model.vector, expected, rtol=rtol, atol=1e-11)


def fit(tmp_path, table, *args, **options):
    return train(tmp_path, write_csv(tmp_path / "t.csv", table), "--target", "y", *args, **options)


# --- which columns ---

def test_every_other_column_is_a_feature(tmp_path, table):
    model = fit(tmp_path, table, "--drop", "colour")
    assert list(model.values) == ["x1", "x2", "other"]
    check(model, least_squares(numeric(table, "x1", "x2", "other"), table["y"]))


@pytest.mark.parametrize("choice, names", [
    (["--features", "x1,other"], ["x1", "other"]),
    (["--features", "x*"], ["x1", "x2"]),
    (["--features", "x?,other"], ["x1", "x2", "other"]),
    (["--features", "other,x2"], ["x2", "other"]),  # input order, however asked
    (["--features", "x*", "--drop", "x2"], ["x1"]),
    (["--drop", "c*,x2"], ["x1", "other"]),
])
def test_features_and_drop_take_names_and_globs(tmp_path, table, choice, names):
    model = fit(tmp_path, table, *choice)
    assert list(model.values) == names
    check(model, least_squares(numeric(table, *names), table["y"]))


def test_a_feature_that_is_no_column_is_refused(tmp_path, table):
    refused(run("train", write_csv(tmp_path / "t.csv", table), "--target", "y", "--features", "x1,z9", "-o",
                tmp_path / "m.json", code=None), "z9")


# --- categories ---

def test_strings_become_levels_the_first_of_them_the_reference(tmp_path, table):
    model = fit(tmp_path, table, "--features", "x1,colour")
    assert list(model.values) == ["x1", "colour=green", "colour=red"]
    levels = np.column_stack([[c == l for c in table["colour"]] for l in ("green", "red")])
    check(model, least_squares(np.hstack([numeric(table, "x1"), levels]), table["y"]))


def test_numbers_become_levels_when_asked(tmp_path, table):
    table["code"] = [[10, 2, 3][i % 3] for i in range(ROWS)]
    model = fit(tmp_path, table, "--features", "code", "--categorical", "code")
    assert list(model.values) == ["code=2", "code=3"]  # sorted bytewise: 10, 2, 3
    levels = np.column_stack([[c == l for c in table["code"]] for l in (2, 3)])
    check(model, least_squares(levels, table["y"]))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_agree_on_levels_none_of_them_sees_alone(tmp_path, table, workers):
    """Each level stands in one part of the file only."""
    table["colour"] = sorted(table["colour"])
    model = fit(tmp_path, table, "--features", "x1,colour", "-n", workers)
    assert list(model.values) == ["x1", "colour=green", "colour=red"]
    levels = np.column_stack([[c == l for c in table["colour"]] for l in ("green", "red")])
    check(model, least_squares(np.hstack([numeric(table, "x1"), levels]), table["y"]))


def test_quoted_levels_with_commas_quotes_and_line_breaks(tmp_path):
    levels = ['a,b', 'say "so"', 'two\nlines']
    cells = ['"' + levels[i % 3].replace('"', '""') + '"' for i in range(30)]
    y = RNG.normal(size=30)
    (tmp_path / "q.csv").write_text("c,y\n" + "".join(f"{c},{float(v)!r}\n" for c, v in zip(cells, y)), encoding="utf-8")
    for workers in (1, 4):
        model = train(tmp_path, tmp_path / "q.csv", "--target", "y", "-n", workers)
        assert list(model.values) == [f"c={l}" for l in levels[1:]]
        means = [y[i::3].mean() for i in range(3)]
        check(model, [means[0], means[1] - means[0], means[2] - means[0]])


def test_a_level_not_seen_in_training_is_refused(tmp_path, table):
    fit(tmp_path, table, "--features", "x1,colour")
    table["colour"][7] = "mauve"
    new = write_csv(tmp_path / "new.csv", table)
    refused(run("predict", tmp_path / "model.json", new, code=None), "mauve", "colour")


# --- missing cells ---

@pytest.fixture
def gaps(table):
    """Three rows lack something: two x1, one other (of a third row)."""
    table = {**table, "x1": list(table["x1"]), "other": list(table["other"])}
    table["x1"][3] = table["x1"][40] = table["other"][41] = ""
    return table


def present(gaps, *names):
    return np.array([all(gaps[n][i] != "" for n in names) for i in range(ROWS)])


def test_missing_cells_are_an_error_that_names_the_line(tmp_path, gaps):
    path = write_csv(tmp_path / "t.csv", gaps)
    for workers in (1, 3):
        refused(run("train", path, "--target", "y", "-n", workers, "-o", tmp_path / "m.json", code=None),
                r"t\.csv", r"\b5\b", "x1")
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize("workers", [1, 3])
def test_rows_with_missing_cells_are_dropped_and_counted(tmp_path, gaps, workers):
    path = write_csv(tmp_path / "t.csv", gaps)
    result = run("train", path, "--target", "y", "--drop", "colour", "--missing", "drop", "-n", workers,
                 "-o", tmp_path / "m.json")
    assert re.search(r"\b3 rows\b", result.stdout + result.stderr), result.stdout + result.stderr
    keep = present(gaps, "x1", "other")
    kept = {n: [v for v, k in zip(c, keep) if k] for n, c in gaps.items()}
    check(read_model(tmp_path / "m.json"), least_squares(numeric(kept, "x1", "x2", "other"), kept["y"]))


@pytest.mark.parametrize("workers", [1, 3])
def test_missing_cells_are_filled_with_the_mean_and_counted(tmp_path, gaps, workers):
    path = write_csv(tmp_path / "t.csv", gaps)
    result = run("train", path, "--target", "y", "--drop", "colour", "--missing", "mean", "-n", workers,
                 "-o", tmp_path / "m.json")
    assert re.search(r"\b3 (missing )?(cells|values)\b", result.stdout + result.stderr), result.stdout + result.stderr
    filled = dict(gaps)
    for name in ("x1", "other"):
        mean = np.mean([v for v in gaps[name] if v != ""])
        filled[name] = [mean if v == "" else v for v in gaps[name]]
    check(read_model(tmp_path / "m.json"), least_squares(numeric(filled, "x1", "x2", "other"), gaps["y"]))
    # Prediction fills with the same mean.
    got = np.array(predict(tmp_path / "m.json", path)["prediction"], float)
    expected = np.column_stack([np.ones(ROWS), numeric(filled, "x1", "x2", "other")]) @ read_model(tmp_path / "m.json").vector
    np.testing.assert_allclose(got, expected, rtol=1e-12)


# --- weights, offset, intercept, powers ---

def test_a_weight_is_a_number_of_repetitions(tmp_path, table):
    counts = np.arange(ROWS) % 4  # zeros too
    weighted = fit(tmp_path, {**table, "s": counts}, "--weight", "s")
    assert "s" not in weighted.values
    repeated = {n: [v for v, k in zip(c, counts) for _ in range(k)] for n, c in table.items()}
    check(weighted, fit(tmp_path, repeated, name="repeated.json").vector)
    for workers in (3, 5):
        check(fit(tmp_path, {**table, "s": counts}, "--weight", "s", "-n", workers), weighted.vector)


@pytest.mark.parametrize("solver", ["exact", "gd"])
def test_weights_with_a_penalty(tmp_path, table, solver):
    weights = RNG.random(ROWS).round(3)
    model = fit(tmp_path, {**table, "s": weights}, "--weight", "s", "--drop", "colour", "--l2", "0.1", "--solver", solver,
                "--tolerance", "1e-13")
    check(model, least_squares(numeric(table, "x1", "x2", "other"), table["y"], weights, l2=0.1), rtol=1e-5)


def test_negative_weights_are_refused(tmp_path, table):
    path = write_csv(tmp_path / "t.csv", {**table, "s": [1] * 9 + [-1] + [1] * (ROWS - 10)})
    refused(run("train", path, "--target", "y", "--weight", "s", "-o", tmp_path / "m.json", code=None), "weight", r"\b11\b")


@pytest.mark.parametrize("solver", ["exact", "gd"])
def test_an_offset_is_added_with_coefficient_one(tmp_path, table, solver):
    offset = (10 * RNG.normal(size=ROWS)).round(3)
    model = fit(tmp_path, {**table, "o": offset}, "--offset", "o", "--drop", "colour", "--solver", solver,
                "--tolerance", "1e-13")
    assert "o" not in model.values
    check(model, least_squares(numeric(table, "x1", "x2", "other"), np.array(table["y"]) - offset), rtol=1e-5)
    predictions = np.array(predict(tmp_path / "model.json", tmp_path / "t.csv")["prediction"], float)
    expected = np.column_stack([np.ones(ROWS), numeric(table, "x1", "x2", "other")]) @ model.vector + offset
    np.testing.assert_allclose(predictions, expected, rtol=1e-12)


@pytest.mark.parametrize("solver", ["exact", "gd"])
def test_no_intercept(tmp_path, table, solver):
    model = fit(tmp_path, table, "--drop", "colour", "--no-intercept", "--solver", solver, "--tolerance", "1e-13")
    check(model, least_squares(numeric(table, "x1", "x2", "other"), table["y"], intercept=False), rtol=1e-5)
    predictions = np.array(predict(tmp_path / "model.json", tmp_path / "t.csv")["prediction"], float)
    np.testing.assert_allclose(predictions, numeric(table, "x1", "x2", "other") @ model.vector[1:], rtol=1e-12)


def test_the_penalty_can_act_on_standardised_columns(tmp_path, table):
    x = numeric(table, "x1", "x2", "other") * [1.0, 100.0, 0.01]
    scaled = {**table, **{n: x[:, j] for j, n in enumerate(("x1", "x2", "other"))}}
    plain = fit(tmp_path, scaled, "--drop", "colour", "--l2", "0.3")
    check(plain, least_squares(x, table["y"], l2=0.3), rtol=1e-8)
    standardised = fit(tmp_path, scaled, "--drop", "colour", "--l2", "0.3", "--standardize")
    w = least_squares((x - x.mean(0)) / x.std(0), table["y"], l2=0.3)[1:] / x.std(0)
    check(standardised, [np.mean(table["y"]) - x.mean(0) @ w, *w], rtol=1e-8)


def test_powers_of_a_column(tmp_path, table):
    model = fit(tmp_path, table, "--features", "x1,x2", "--poly", "x1:3")
    assert list(model.values) == ["x1", "x1^2", "x1^3", "x2"]
    x1 = np.asarray(table["x1"])
    check(model, least_squares(np.column_stack([x1, x1**2, x1**3, table["x2"]]), table["y"]))
    metrics = evaluate(tmp_path / "model.json", tmp_path / "t.csv")
    residual = np.array(predict(tmp_path / "model.json", tmp_path / "t.csv")["prediction"], float) - table["y"]
    assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-12)


# --- storage ---

def test_float32_where_asked(tmp_path, table):
    model = fit(tmp_path, table, "--drop", "colour", "--storage", "float32")
    rounded = numeric(table, "x1", "x2", "other").astype(np.float32).astype(float)
    check(model, least_squares(rounded, table["y"]), rtol=1e-8)


def test_float32_changes_nothing_where_it_loses_nothing(tmp_path, table):
    table = {n: (np.asarray(c, np.float32).astype(float) if n.startswith(("x", "o")) else c) for n, c in table.items()}
    automatic = fit(tmp_path, table, "--drop", "colour", "--reproducible")
    check(fit(tmp_path, table, "--drop", "colour", "--storage", "float64"), automatic.vector, rtol=1e-12)


# --- using a model ---

def test_columns_may_come_in_another_order_and_with_others(tmp_path, table):
    fit(tmp_path, table, "--features", "x1,colour")
    model = tmp_path / "model.json"
    straight = predict(model, tmp_path / "t.csv")["prediction"]
    other = {"unused": ["?"] * ROWS, "colour": table["colour"], "x1": table["x1"]}
    assert predict(model, write_csv(tmp_path / "other.csv", other))["prediction"] == straight


def test_predictions_go_to_a_file_too(tmp_path, table):
    fit(tmp_path, table)
    run("predict", tmp_path / "model.json", tmp_path / "t.csv", "-o", tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "prediction" and len(lines) == ROWS + 1
    assert lines[1:] == predict(tmp_path / "model.json", tmp_path / "t.csv")["prediction"]


def test_metrics_of_a_regression(tmp_path, table):
    fit(tmp_path, table)
    metrics = evaluate(tmp_path / "model.json", tmp_path / "t.csv")
    y = np.asarray(table["y"])
    residual = np.array(predict(tmp_path / "model.json", tmp_path / "t.csv")["prediction"], float) - y
    assert metrics["rows"] == ROWS
    assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-12)
    assert metrics["mae"] == pytest.approx(np.mean(np.abs(residual)), rel=1e-12)
    assert metrics["r2"] == pytest.approx(1 - np.sum(residual**2) / np.sum((y - y.mean()) ** 2), rel=1e-12)


def test_the_certificate_counts_the_rows(tmp_path, table):
    certificate = fit(tmp_path, table, "-n", 4).text["certificate"]
    assert certificate["rows_read"] == certificate["rows_in_files"] == ROWS


def test_the_report_says_how_it_went(tmp_path, table):
    fit(tmp_path, table, "-n", 3, "--solver", "gd", "--report", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["stop_reason"] == "converged" and report["mode"] == "mapreduce" and report["solver"] == "gd"
    assert sum(w["rows"] for w in report["workers"]) == ROWS
    assert {"compute_seconds", "wait_seconds", "communicate_seconds", "bytes_sent", "messages_sent"} <= set(report["workers"][0])
    objectives = [r["objective"] for r in report["rounds"]]
    assert objectives == sorted(objectives, reverse=True) and len(objectives) > 1
    assert report["certificate"]["objective"] <= objectives[0]


def test_verify_reads_the_rows_again(tmp_path, table):
    one = fit(tmp_path, table, "--solver", "exact").text["certificate"]
    two = fit(tmp_path, table, "--solver", "exact", "--verify").text["certificate"]
    assert two["objective"] == pytest.approx(one["objective"], rel=1e-9)
