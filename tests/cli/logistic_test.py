"""Logistic regression through the command: labels, probabilities, metrics, and data that have no minimiser."""
import re

import numpy as np
import pytest

from command import evaluate, needs_mpi, predict, read_model, run, train, write_csv

ROWS = 500


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(21)
    x = rng.normal(size=(ROWS, 3)) * [1, 20, 0.1] + [0, 100, 0]
    p = 1 / (1 + np.exp(-(x[:, 0] + (x[:, 1] - 100) / 20 - 5 * x[:, 2] - 0.5)))
    return x, (rng.random(ROWS) < p).astype(int)


def table(numbers, labels=("0", "1")):
    x, y = numbers
    return {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": [labels[v] for v in y]}


def logistic(x, y, l2=0.0, weight=None):
    """Minimiser of the mean log-loss + (l2/2)|w|², intercept free, by Newton: [b, w…]."""
    design = np.column_stack([np.ones(len(y)), x])
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, float)
    penalty = l2 * np.diag([0.0] + [1.0] * x.shape[1])
    w = np.zeros(design.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-design @ w))
        gradient = design.T @ (weight * (p - y)) / weight.sum() + penalty @ w
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design / weight.sum() + penalty
        step = np.linalg.solve(hessian, gradient)
        w -= step
        if np.abs(step).max() < 1e-14 * np.abs(w).max():
            break
    return w


def fit(tmp_path, columns, *args, **options):
    return train(tmp_path, write_csv(tmp_path / "t.csv", columns), "--target", "y", "--loss", "logistic", *args, **options)


@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_minimiser_is_found(tmp_path, numbers, l2, workers):
    model = fit(tmp_path, table(numbers), "--l2", l2, "--tolerance", "1e-12", "-n", workers)
    x, y = numbers
    np.testing.assert_allclose(model.vector, logistic(x, y, l2), rtol=1e-4)
    w = logistic(x, y, l2)
    margin = np.column_stack([np.ones(ROWS), x]) @ w
    objective = np.mean(np.logaddexp(0, margin) - y * margin) + l2 / 2 * w[1:] @ w[1:]
    certificate = model.text["certificate"]
    assert certificate["objective"] == pytest.approx(objective, rel=1e-9)
    if certificate["suboptimality_bound"] is not None:
        assert certificate["objective"] - objective <= certificate["suboptimality_bound"] + 1e-13


@pytest.mark.parametrize("labels", [("0", "1"), ("-1", "1"), ("-1", "+1"), ("0.0", "1.0"), ("no", "yes"), ("bad", "good")],
                         ids=" ".join)
def test_labels_may_be_written_in_several_ways(tmp_path, numbers, labels):
    model = fit(tmp_path, table(numbers, labels), "--l2", "0.01")
    plain = fit(tmp_path, table(numbers), "--l2", "0.01", name="plain.json")
    np.testing.assert_allclose(model.vector, plain.vector, rtol=1e-10)


def test_true_and_false_are_labels(tmp_path, numbers):
    model = fit(tmp_path, table(numbers, ("false", "true")), "--l2", "0.01")
    plain = fit(tmp_path, table(numbers), "--l2", "0.01", name="plain.json")
    np.testing.assert_allclose(model.vector, plain.vector, rtol=1e-10)


def test_which_level_is_positive_is_said_and_can_be_chosen(tmp_path, numbers):
    columns = table(numbers, ("no", "yes"))
    path = write_csv(tmp_path / "t.csv", columns)
    said = run("train", path, "--target", "y", "--loss", "logistic", "--l2", "0.01", "-o", tmp_path / "yes.json")
    assert re.search(r"yes", said.stdout + said.stderr) and re.search(r"positive", said.stdout + said.stderr)
    yes = read_model(tmp_path / "yes.json")
    no = fit(tmp_path, columns, "--l2", "0.01", "--positive", "no", name="no.json")
    np.testing.assert_allclose(no.vector, -yes.vector, rtol=1e-6)
    assert set(predict(tmp_path / "no.json", path)["prediction"]) == {"yes", "no"}


def test_a_third_level_and_an_unknown_positive_are_refused(tmp_path, numbers):
    columns = table(numbers, ("no", "yes"))
    wrong = run("train", write_csv(tmp_path / "t.csv", columns), "--target", "y", "--loss", "logistic", "--positive",
                "maybe", "-o", tmp_path / "m.json", code=2)
    assert "maybe" in wrong.stderr
    columns["y"][77] = "maybe"
    third = run("train", write_csv(tmp_path / "t.csv", columns), "--target", "y", "--loss", "logistic",
                "-o", tmp_path / "m.json", code=2)
    assert len(third.stderr.splitlines()) == 1
    columns["y"] = ["yes"] * ROWS
    run("train", write_csv(tmp_path / "t.csv", columns), "--target", "y", "--loss", "logistic", "-o", tmp_path / "m.json", code=2)
    assert not (tmp_path / "m.json").exists()


def test_predictions_have_a_level_and_a_probability(tmp_path, numbers):
    model = fit(tmp_path, table(numbers, ("no", "yes")), "--l2", "0.01")
    got = predict(tmp_path / "model.json", tmp_path / "t.csv")
    assert list(got) == ["prediction", "probability"]
    margin = np.column_stack([np.ones(ROWS), numbers[0]]) @ model.vector
    probability = np.array(got["probability"], float)
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-margin)), rtol=1e-12)
    assert got["prediction"] == ["yes" if p >= 0.5 else "no" for p in probability]


def test_metrics_of_a_classification(tmp_path, numbers):
    fit(tmp_path, table(numbers), "--l2", "0.01")
    metrics = evaluate(tmp_path / "model.json", tmp_path / "t.csv")
    y = numbers[1]
    p = np.array(predict(tmp_path / "model.json", tmp_path / "t.csv")["probability"], float)
    assert metrics["log_loss"] == pytest.approx(-np.mean(np.where(y == 1, np.log(p), np.log1p(-p))), rel=1e-12)
    assert metrics["accuracy"] == pytest.approx(np.mean((p >= 0.5) == y))
    above = p[y == 1][:, None] - p[y == 0][None, :]
    assert metrics["auc"] == pytest.approx(np.mean((above > 0) + 0.5 * (above == 0)), rel=1e-12)
    counts = [metrics[k] for k in ("true_positive", "false_positive", "true_negative", "false_negative")]
    q = p >= 0.5
    assert counts == [np.sum(q & (y == 1)), np.sum(q & (y == 0)), np.sum(~q & (y == 0)), np.sum(~q & (y == 1))]


def test_weights_and_offset(tmp_path, numbers):
    x, y = numbers
    weight = np.arange(ROWS) % 3
    model = fit(tmp_path, {**table(numbers), "s": weight}, "--weight", "s", "--l2", "0.01", "--tolerance", "1e-12")
    np.testing.assert_allclose(model.vector, logistic(x, y, 0.01, weight), rtol=1e-4)
    shifted = fit(tmp_path, {**table(numbers), "o": [2.5] * ROWS}, "--offset", "o", "--l2", "0.01", "--tolerance", "1e-12")
    np.testing.assert_allclose(shifted.vector + [2.5, 0, 0, 0], logistic(x, y, 0.01), rtol=1e-4)


# --- separable data ---

def separable(kind):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(200, 2))
    y = x[:, 0] > 0.1 if kind == "one column" else x @ [1.0, -2.0] > 0.3
    return {"a": x[:, 0], "b": x[:, 1], "y": y.astype(int)}


@pytest.mark.parametrize("kind", ["one column", "a combination"])
@pytest.mark.parametrize("workers", [1, 3])
def test_separable_data_are_said_to_have_no_minimiser(tmp_path, kind, workers):
    result = run("train", write_csv(tmp_path / "t.csv", separable(kind)), "--target", "y", "--loss", "logistic",
                 "-n", workers, "-o", tmp_path / "m.json", code=3, timeout=60)
    assert re.search(r"separat|separable", result.stdout + result.stderr), result.stdout + result.stderr
    model = read_model(tmp_path / "m.json")
    assert np.all(np.isfinite(model.vector)) and "converged" not in str(model.text.get("stop_reason"))
    evaluate(tmp_path / "m.json", tmp_path / "t.csv")


@needs_mpi
def test_separable_data_under_mpi(tmp_path):
    result = run("train", write_csv(tmp_path / "t.csv", separable("a combination")), "--target", "y", "--loss", "logistic",
                 "-o", tmp_path / "m.json", code=3, ranks=2, timeout=60)
    assert re.search(r"separat|separable", result.stdout + result.stderr)


@pytest.mark.parametrize("kind", ["one column", "a combination"])
def test_a_penalty_gives_separable_data_a_minimiser(tmp_path, kind):
    columns = separable(kind)
    model = fit(tmp_path, columns, "--l2", "0.01", "--tolerance", "1e-12")
    x = np.column_stack([columns["a"], columns["b"]])
    np.testing.assert_allclose(model.vector, logistic(x, columns["y"], 0.01), rtol=1e-4)
