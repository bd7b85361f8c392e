"""Softmax through the command, against a fit and predictions of our own in numpy."""
import json
import re

import numpy as np
import pytest

from command import evaluate, needs_mpi, predict, refused, run, write_csv

ROWS, LEVELS = 400, ["ash", "birch", "cedar", "elm"]


@pytest.fixture(scope="module")
def numbers():
    """Columns of unlike sizes, and classes drawn from a softmax of them."""
    rng = np.random.default_rng(31)
    x = rng.normal(size=(ROWS, 3)) * [1, 20, 0.1] + [0, 100, 0]
    z = (x - [0, 100, 0]) / [1, 20, 0.1] @ rng.normal(size=(3, 4)) + [0.5, 0, -1, 0.2]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return x, np.array([rng.choice(4, p=row) for row in p])


def table(numbers, levels=LEVELS):
    x, y = numbers
    return {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": [levels[k] for k in y]}


def softmax(x, y, classes, l2, weight=None):
    """Minimiser of the mean loss + (l2/2)|W|², intercepts free and adding up to 0, by Newton: rows b, w_1 … of K columns;
    and the objective there."""
    n, d = x.shape
    scale = x.std(axis=0)
    design = np.column_stack([np.ones(n), (x - x.mean(axis=0)) / scale])
    s = np.ones(n) if weight is None else np.asarray(weight, float)
    s = s / s.sum()
    penalty = l2 * np.repeat(np.concatenate([[0.0], scale ** -2.0]), classes)
    onehot = np.eye(classes)[y]
    v = np.zeros((d + 1) * classes)
    for _ in range(60):
        z = design @ v.reshape(d + 1, classes)
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        gradient = (design.T @ (s[:, None] * (p - onehot))).ravel() + penalty * v
        curvature = np.einsum("i,ij,ik,iab->jakb", s, design, design,
                              np.einsum("ia,ab->iab", p, np.eye(classes)) - p[:, :, None] * p[:, None, :], optimize=True)
        hessian = curvature.reshape(v.size, v.size) + np.diag(penalty)
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-13)[0]
        v -= step
        if np.abs(step).max() < 1e-13:
            break
    w = v.reshape(d + 1, classes).copy()
    w[1:] /= scale[:, None]
    w[0] -= x.mean(axis=0) @ w[1:]
    w -= w.mean(axis=1, keepdims=True)
    return w, objective(w, x, y, l2, s)


def objective(w, x, y, l2, weight=None):
    z = w[0] + x @ w[1:]
    top = z.max(axis=1)
    loss = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top - z[np.arange(len(y)), y]
    return np.average(loss, weights=weight) + l2 / 2 * (w[1:] ** 2).sum()


def fit(tmp_path, columns, *args, name="model.json", **options):
    path = write_csv(tmp_path / "t.csv", columns)
    run("train", path, "--target", "y", "--loss", "softmax", *args, "-o", tmp_path / name, **options)
    return json.loads((tmp_path / name).read_text(encoding="utf-8"))


def matrix(model):
    """Rows b, w_1 … by class."""
    return np.array([model["intercepts"], *(c["values"] for c in model["coefficients"])])


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_the_minimiser_is_found_and_the_bound_holds(tmp_path, numbers, l2):
    x, y = numbers
    w, least = softmax(x, y, 4, l2)
    for workers in (1, 3):
        model = fit(tmp_path, table(numbers), "--l2", l2, "--tolerance", "1e-11", "-n", workers)
        assert model["classes"] == LEVELS
        np.testing.assert_allclose(matrix(model), w, rtol=1e-3, atol=1e-5)
        certificate = model["certificate"]
        assert certificate["objective"] == pytest.approx(least, rel=1e-9)
        assert certificate["objective"] == pytest.approx(objective(matrix(model), x, y, l2), rel=1e-12)
        if l2 > 0:
            assert certificate["objective"] - least <= certificate["suboptimality_bound"] + 1e-14


@pytest.mark.parametrize("how", [
    ["--solver", "gd"], ["--solver", "nesterov"], ["--threads", 2], ["--mode", "parameter-server"],
    ["--mode", "parameter-server", "--sync", "ssp:2", "--servers", 2],
    ["--mode", "parameter-server", "--solver", "sgd", "--sync", "bsp"],
    ["--mode", "decentralized"], ["--mode", "decentralized", "--topology", "one-peer-exponential"],
    ["--mode", "decentralized", "--topology", "exponential"], ["--mode", "decentralized", "--compress", "int8"],
    ["--transport", "sim"]], ids=lambda how: " ".join(map(str, how)))
def test_every_mode_reaches_the_same_objective(tmp_path, numbers, how):
    x, y = numbers
    model = fit(tmp_path, table(numbers), "--l2", "0.01", "--tolerance", "1e-8", "-n", 4, *how)
    least = softmax(x, y, 4, 0.01)[1]
    assert model["stop_reason"] == "converged"
    assert model["certificate"]["objective"] == pytest.approx(least, rel=1e-7)
    assert model["certificate"]["objective"] - least <= model["certificate"]["suboptimality_bound"] + 1e-14


@needs_mpi
def test_bits_do_not_depend_on_transport_and_threads(tmp_path, numbers):
    columns, args = table(numbers), ["--l2", "0.01", "--reproducible"]
    models = [fit(tmp_path, columns, *args, "-n", 3), fit(tmp_path, columns, *args, "-n", 3, "--threads", 3),
              fit(tmp_path, columns, *args, "-n", 3, "--transport", "sim"), fit(tmp_path, columns, *args, ranks=3)]
    for model in models[1:]:
        assert [float(v).hex() for v in matrix(model).ravel()] == [float(v).hex() for v in matrix(models[0]).ravel()]


def test_a_row_of_weight_two_is_that_row_twice(tmp_path, numbers):
    x, y = numbers
    weight = np.arange(ROWS) % 3
    weighted = fit(tmp_path, {**table(numbers), "s": weight}, "--weight", "s", "--l2", "0.01", "--tolerance", "1e-12")
    twice = np.repeat(np.arange(ROWS), weight)
    repeated = fit(tmp_path, table((x[twice], y[twice])), "--l2", "0.01", "--tolerance", "1e-12")
    assert weighted["certificate"]["objective"] == pytest.approx(repeated["certificate"]["objective"], rel=1e-11)
    assert weighted["certificate"]["objective"] == pytest.approx(softmax(x[twice], y[twice], 4, 0.01)[1], rel=1e-10)


def test_classes_are_in_order_whatever_the_files(tmp_path, numbers):
    levels = ["10", "9", "-1", "2.5"]
    model = fit(tmp_path, table(numbers, levels), "--l2", "0.01", "-n", 3)
    assert model["classes"] == ["-1", "2.5", "9", "10"]
    plain = fit(tmp_path, table(numbers), "--l2", "0.01", "-n", 3, name="plain.json")
    np.testing.assert_allclose(matrix(model), matrix(plain)[:, [2, 3, 1, 0]], rtol=1e-6)


def test_libsvm_labels_are_classes(tmp_path, numbers):
    x, y = numbers
    lines = [f"{[3, 1, 12, 7][k]} " + " ".join(f"{j + 1}:{v!r}" for j, v in enumerate(map(float, row)))
             for row, k in zip(x, y)]
    (tmp_path / "t.svm").write_text("\n".join(lines) + "\n")
    run("train", tmp_path / "t.svm", "--loss", "softmax", "--l2", "0.01", "--tolerance", "1e-10", "-n", 2,
        "-o", tmp_path / "model.json")
    model = json.loads((tmp_path / "model.json").read_text())
    assert model["classes"] == ["1", "3", "7", "12"]
    w, least = softmax(x, y, 4, 0.01)
    assert model["certificate"]["objective"] == pytest.approx(least, rel=1e-9)
    predicted = (w[0] + x @ w[1:]).argmax(axis=1)
    assert predict(tmp_path / "model.json", tmp_path / "t.svm")["prediction"] == [["3", "1", "12", "7"][k] for k in predicted]
    assert evaluate(tmp_path / "model.json", tmp_path / "t.svm")["accuracy"] == pytest.approx((predicted == y).mean())


def test_predictions_and_metrics_are_those_of_the_saved_numbers(tmp_path, numbers):
    x, y = numbers
    levels = ["ash", "birch, white", "cedar", "elm"]
    model = fit(tmp_path, table(numbers, ["ash", '"birch, white"', "cedar", "elm"]), "--l2", "0.001", "-n", 2)
    assert model["classes"] == levels
    w = matrix(model)
    z = w[0] + x @ w[1:]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    lines = run("predict", tmp_path / "model.json", tmp_path / "t.csv").stdout.splitlines()
    assert lines[0] == 'prediction,probability_ash,"probability_birch, white",probability_cedar,probability_elm'
    cells = [re.match(r'("[^"]*"|[^,]*),(.*)', line).groups() for line in lines[1:]]
    assert [c[0].strip('"') for c in cells] == [levels[k] for k in z.argmax(axis=1)]
    np.testing.assert_allclose([[float(v) for v in c[1].split(",")] for c in cells], p, rtol=1e-11)
    metrics = evaluate(tmp_path / "model.json", tmp_path / "t.csv")
    assert metrics["log_loss"] == pytest.approx(-np.log(p[np.arange(ROWS), y]).mean(), rel=1e-12)
    assert metrics["accuracy"] == pytest.approx((z.argmax(axis=1) == y).mean())
    confusion = np.zeros((4, 4), int)
    np.add.at(confusion, (y, z.argmax(axis=1)), 1)
    assert metrics["confusion"] == confusion.tolist() and metrics["classes"] == levels
    said = run("evaluate", tmp_path / "model.json", tmp_path / "t.csv").stdout
    assert f"{confusion[2, 2] / confusion[2].sum():.6g}" in said  # recall of cedar


def test_two_classes_are_logistic_regression_with_half_the_penalty(tmp_path, numbers):
    columns = {**table(numbers), "y": ["no" if k < 2 else "yes" for k in numbers[1]]}
    two = fit(tmp_path, columns, "--l2", "0.02", "--tolerance", "1e-12")
    run("train", tmp_path / "t.csv", "--target", "y", "--loss", "logistic", "--l2", "0.01", "--tolerance", "1e-12",
        "-o", tmp_path / "one.json")
    one = json.loads((tmp_path / "one.json").read_text())
    assert two["certificate"]["objective"] == pytest.approx(one["certificate"]["objective"], rel=1e-11)
    difference = matrix(two)[:, 1] - matrix(two)[:, 0]
    np.testing.assert_allclose(difference[1:], [c["value"] for c in one["coefficients"]], rtol=1e-4)
    p = [predict(tmp_path / m, tmp_path / "t.csv") for m in ("model.json", "one.json")]
    np.testing.assert_allclose(np.array(p[0]["probability_yes"], float), np.array(p[1]["probability"], float), rtol=1e-4)


def test_a_lasso_makes_zeros(tmp_path, numbers):
    model = fit(tmp_path, table(numbers), "--l1", "0.02", "--standardize", "-n", 2, "--tolerance", "1e-9")
    other = fit(tmp_path, table(numbers), "--l1", "0.02", "--standardize", "-n", 2, "--mode", "decentralized",
                "--tolerance", "1e-9")
    assert 0 < (matrix(model)[1:] == 0).sum() < 12
    assert model["certificate"]["objective"] == pytest.approx(other["certificate"]["objective"], rel=1e-6)


@pytest.mark.parametrize("split, workers, solver", [
    ("features", 4, "lbfgs"), ("2x2", 4, "newton-cg"), ("1x3", 3, "nesterov"), ("features", 9, "gd")])
def test_columns_can_be_split(tmp_path, numbers, split, workers, solver):
    """Nine workers have three columns: some have none."""
    how = ["--l2", "0.01", "--tolerance", "1e-11", "--reproducible"]
    whole = fit(tmp_path, table(numbers), *how, name="rows.json")
    model = fit(tmp_path, table(numbers), *how, "--split", split, "-n", workers, "--solver", solver)
    assert model["certificate"]["same_model_on_all_ranks"] is True
    assert model["certificate"]["objective"] == pytest.approx(whole["certificate"]["objective"], rel=1e-11)
    np.testing.assert_allclose(matrix(model), matrix(whole), rtol=1e-4, atol=1e-6)
    again = fit(tmp_path, table(numbers), *how, "--split", split, "-n", workers, "--solver", solver, "--transport", "sim",
                "--threads", 2, name="sim.json")
    np.testing.assert_array_equal(matrix(again), matrix(model))


@pytest.mark.parametrize("solver, sync", [
    (["ftrl", "--batch", "4"], "async"), (["ftrl"], "bsp"), (["sgd", "--batch", "8", "--decay"], "ssp:3"),
    (["sgd", "--adagrad", "--compress", "float32"], "async"), (["sgd", "--batch", "20", "--staleness-damping"], "bsp")])
def test_rows_can_be_taken_a_few_at_a_time(tmp_path, numbers, solver, sync):
    """From a dense table and from sparse rows, whose columns (one of them 100 from 0) are centred at the servers."""
    x, y = numbers
    lines = [f"{k} " + " ".join(f"{j + 1}:{v!r}" for j, v in enumerate(map(float, row))) for row, k in zip(x, y)]
    (tmp_path / "t.svm").write_text("\n".join(lines) + "\n")
    how = ["--l2", "0.01", "--standardize", "--mode", "parameter-server", "--solver", *solver, "--sync", sync, "-n", 3,
           "--servers", 2, "--max-epochs", 100, "--transport", "sim"]
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    least = softmax(standard, y, 4, 0.01)[1]
    share = np.bincount(y) / len(y)
    constant = -(share * np.log(share)).sum()
    models = fit(tmp_path, table(numbers), *how, code=None), json.loads(run(
        "train", tmp_path / "t.svm", "--loss", "softmax", *how, "-o", tmp_path / "s.json", code=None) and
        (tmp_path / "s.json").read_text(encoding="utf-8"))
    for model in models:
        certificate = model["certificate"]
        assert certificate["objective"] - least < 0.02 * (constant - least)
        assert certificate["suboptimality_bound"] >= certificate["objective"] - least
        scaled = matrix(model).copy()
        scaled[0] += x.mean(axis=0) @ scaled[1:]
        scaled[1:] *= x.std(axis=0)[:, None]
        assert certificate["objective"] == pytest.approx(objective(scaled, standard, y, 0.01), rel=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_hogwild_ends_at_the_minimiser(tmp_path, numbers, threads):
    model = fit(tmp_path, table(numbers), "--l2", "0.01", "--tolerance", "1e-10", "--mode", "parameter-server",
                "--solver", "hogwild", "--threads", threads)
    w, least = softmax(*numbers, 4, 0.01)
    assert model["stop_reason"] == "converged"
    assert model["certificate"]["objective"] == pytest.approx(least, rel=1e-9)
    np.testing.assert_allclose(matrix(model), w, rtol=1e-3, atol=1e-4)


def test_trial_steps_of_a_line_search_are_no_passes(tmp_path, numbers):
    """lbfgs passes over the rows once a round but for the baseline, the start and the intercepts at the end."""
    fit(tmp_path, table(numbers), "--l2", "0.0001", "--tolerance", "1e-10", "--solver", "lbfgs", "--report",
        tmp_path / "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["rounds_done"] > 15
    assert report["passes"] <= report["rounds_done"] + 10


def test_a_stopped_run_resumes(tmp_path, numbers):
    args = ["--l2", "0.001", "--tolerance", "1e-9", "--checkpoint", tmp_path / "c", "--resume"]
    part = fit(tmp_path, table(numbers), *args, "--max-rounds", "5", code=3)
    whole = fit(tmp_path, table(numbers), *args, "-n", 3)
    assert part["stop_reason"] == "max_rounds" and whole["stop_reason"] == "converged"
    assert whole["certificate"]["objective"] == pytest.approx(softmax(*numbers, 4, 0.001)[1], rel=1e-8)
    columns = {**table(numbers), "y": [("ash", "birch", "fir", "elm")[k] for k in numbers[1]]}
    wrong = run("train", write_csv(tmp_path / "u.csv", columns), "--target", "y", "--loss", "softmax", *args, "-o",
                tmp_path / "u.json", code=2)
    refused(wrong, "cedar", "fir")


def test_separable_classes_end_the_run_by_name(tmp_path):
    columns = {"a": range(40), "b": [k * 7 % 11 for k in range(40)], "y": ["low"] * 10 + ["middle"] * 15 + ["high"] * 15}
    result = run("train", write_csv(tmp_path / "t.csv", columns), "--target", "y", "--loss", "softmax", "-n", 2,
                 "-o", tmp_path / "m.json", code=3)
    assert "column 'a' alone separates the classes" in result.stdout


@pytest.mark.parametrize("args, words", [
    (["--offset", "c"], ["--offset", "every class", "drop it"]),
    (["--solver", "exact"], ["--solver exact", "--loss softmax", "--solver lbfgs"]),
    (["--positive", "elm"], ["--positive goes with --loss logistic"])])
def test_what_does_not_go_with_softmax_is_said(tmp_path, numbers, args, words):
    path = write_csv(tmp_path / "t.csv", table(numbers))
    refused(run("train", path, "--target", "y", "--loss", "softmax", *args, "-o", tmp_path / "m.json", code=None), *words)


def test_logistic_regression_of_more_than_two_levels_points_to_softmax(tmp_path, numbers):
    path = write_csv(tmp_path / "t.csv", table(numbers))
    refused(run("train", path, "--target", "y", "--loss", "logistic", "-o", tmp_path / "m.json", code=None),
            "more than two levels", "--loss softmax")
