"""--max-epochs 1 of sgd, ftrl and hogwild: rows are learned from as they are read, once."""
import json
import subprocess
import sys

import numpy as np
import pytest

from command import MUSTER, SHARED_DATA, evaluate, needs_shared, predict, read_model, refused, run, write_csv
from real_sets import needs_real_sets, unpack

ONCE = ["--mode", "parameter-server", "--max-epochs", "1"]
SOLVERS = ["ftrl", "sgd", "hogwild"]
WORKERS = {"ftrl": "-n", "sgd": "-n", "hogwild": "--threads"}


def learned(tmp_path, *arguments, solver="ftrl", workers=2, name="m", **options):
    run("train", *arguments, *ONCE, "--solver", solver, WORKERS[solver], workers, "-o", tmp_path / f"{name}.json", "--report",
        tmp_path / f"{name}-r.json", code=3, **options)
    return (read_model(tmp_path / f"{name}.json"),
            json.loads((tmp_path / f"{name}-r.json").read_text(encoding="utf-8")))


def sparse_rows(path, rows, seed=0, labels=(-1, 1)):
    rng = np.random.default_rng(seed)
    columns = np.sort(rng.integers(1, 400, (rows, 12)), axis=1)
    truth = np.random.default_rng(9).normal(size=400)
    with open(path, "w", encoding="ascii") as out:
        for row in columns:
            row = np.unique(row)
            positive = rng.random() < 1 / (1 + np.exp(-truth[row].sum()))
            out.write(f"{labels[int(positive)]} " + " ".join(f"{j}:1" for j in row) + "\n")
    return path


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("solver", SOLVERS)
def test_what_a_pass_leaves(tmp_path, solver, workers):
    data, unseen = sparse_rows(tmp_path / "a.svm", 6000), sparse_rows(tmp_path / "b.svm", 2000, seed=1)
    model, report = learned(tmp_path, data, "--loss", "logistic", solver=solver, workers=workers)
    assert report["stop_reason"] == model.text["stop_reason"] == "max_rounds" and report["passes"] == 1
    assert report["solver"] == solver and report["synchronisation"] == "async"
    assert [w["role"] for w in report["workers"]] == ["worker"] * workers
    assert sum(w["rows"] for w in report["workers"]) == report["certificate"]["rows_read"] == 6000
    assert report["certificate"]["objective"] is None and report["certificate"]["suboptimality_bound"] is None
    assert len(model.values) == 399
    run("train", data, "--loss", "logistic", "--l2", "1e-4", "-q", "-o", tmp_path / "best.json")
    best, found = (evaluate(tmp_path / name, unseen)["log_loss"] for name in ("best.json", "m.json"))
    assert best - 0.02 < found < best + 0.05
    # The loss under way is that of models that had seen less.
    assert found - 0.02 < report["progressive_loss"] < np.log(2)
    assert set(predict(tmp_path / "m.json", unseen)["prediction"]) == {"-1", "1"}


def test_one_worker_is_one_model(tmp_path):
    data = sparse_rows(tmp_path / "a.svm", 3000)
    same = [data, "--loss", "logistic", "--reproducible"]
    first, _ = learned(tmp_path, *same, workers=1, name="first")
    again, _ = learned(tmp_path, *same, workers=1, name="again")
    assert first.bits == again.bits


def test_which_label_is_positive_is_known_at_the_end(tmp_path):
    data = sparse_rows(tmp_path / "a.svm", 2000, labels=(7, 3))
    seven, _ = learned(tmp_path, data, "--loss", "logistic", workers=1)
    three, _ = learned(tmp_path, data, "--loss", "logistic", "--positive", "3", workers=1)
    assert seven.vector == pytest.approx(-three.vector)
    assert seven.text["encoding"]["positive_level"] == "7"


def table(tmp_path, rows=4000):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(rows, 3)) * [1, 1000, 0.01] + [0, 300, 0]
    color = rng.choice(["red", "green", "blue"], rows)
    y = 1e5 + 100 * x[:, 0] + 0.2 * x[:, 1] + 50 * (color == "red") + rng.normal(size=rows)
    columns = {**{f"x{j}": x[:, j] for j in range(3)}, "color": color, "y": y, "big": np.where(y > 1e5 + 60, "yes", "no")}
    return write_csv(tmp_path / "t.csv", columns)


@pytest.mark.parametrize("solver", SOLVERS)
def test_tables_with_and_without_words(tmp_path, solver):
    data = table(tmp_path)
    for drop in ("big,color", "big"):
        model, report = learned(tmp_path, data, "--target", "y", "--drop", drop, solver=solver)
        assert evaluate(tmp_path / "m.json", data)["r2"] > 0.9, (drop, model.vector)
        assert report["certificate"]["rows_read"] == report["certificate"]["rows_in_files"] == 4000
    learned(tmp_path, data, "--target", "big", "--drop", "y", "--loss", "logistic", solver=solver)
    assert evaluate(tmp_path / "m.json", data)["accuracy"] > 0.9


def test_penalties_shrink_and_l1_leaves_zeros(tmp_path):
    data = sparse_rows(tmp_path / "a.svm", 6000)
    for solver in ("ftrl", "sgd"):
        plain, _ = learned(tmp_path, data, "--loss", "logistic", solver=solver)
        small, _ = learned(tmp_path, data, "--loss", "logistic", "--l2", "0.05", solver=solver)
        sparse, _ = learned(tmp_path, data, "--loss", "logistic", "--l1", "0.004", solver=solver)
        assert np.linalg.norm(small.vector[1:]) < 0.7 * np.linalg.norm(plain.vector[1:])
        zeros = [w == 0 for w in sparse.values.values()]
        assert 5 < sum(zeros) < 399, sum(zeros)
    # F at what a pass ends with, beside the optimum. One learner: of several, each run ends elsewhere.
    for penalty, norm in (("--l2", lambda w: 0.5 * w @ w), ("--l1", lambda w: np.abs(w).sum())):
        run("train", data, "--loss", "logistic", penalty, "0.004", "--tolerance", "1e-8", "-q", "-o", tmp_path / "best.json")
        best = evaluate(tmp_path / "best.json", data)["log_loss"] + 0.004 * norm(read_model(tmp_path / "best.json").vector[1:])
        for solver in SOLVERS:
            model, _ = learned(tmp_path, data, "--loss", "logistic", penalty, "0.004", solver=solver, workers=1)
            assert evaluate(tmp_path / "m.json", data)["log_loss"] + 0.004 * norm(model.vector[1:]) < 1.05 * best, (solver, penalty)


# Log-loss of unseen rows after one pass beside that of the optimum with a slight penalty, which is known.
@needs_real_sets
@pytest.mark.parametrize("solver", SOLVERS)
def test_a9a_and_rcv1_come_near_the_optimum_of_many_passes(tmp_path, solver):
    lines = (SHARED_DATA / "reference.jsonl").read_text(encoding="utf-8").splitlines()
    known = {r["name"]: r for r in map(json.loads, lines)}
    for name, test, margin in (("a9a", "a9a.t", 0.01), ("rcv1_vw_train", "rcv1_vw_test.libsvm", 0.03)):
        stem = SHARED_DATA / "sparse"
        train_file = stem / (name + (".zst" if name == "a9a" else ".libsvm.zst"))
        learned(tmp_path, train_file, "--loss", "logistic", solver=solver)
        found = evaluate(tmp_path / "m.json", stem / f"{test}.zst")["log_loss"]
        assert found < known[name]["te_ll"] + margin, name


def test_bad_input_in_the_middle(tmp_path):
    data = sparse_rows(tmp_path / "a.svm", 5000)
    lines = data.read_text(encoding="ascii").splitlines()
    cases = {"1 3:1 2:1": "indices must ascend", "x 1:1": "is not a label", "1 3:": "not an index:value pair"}
    for solver in SOLVERS:
        for bad, words in cases.items():
            data.write_text("\n".join(lines[:4000] + [bad] + lines[4000:]) + "\n", encoding="ascii")
            refused(run("train", data, "--loss", "logistic", *ONCE, "--solver", solver, "-q", "-o", tmp_path / "no.json", code=None),
                    r"a\.svm:4001:\d+", words)
    csv = write_csv(tmp_path / "t.csv", {"x": list(range(3000)), "y": [i % 2 for i in range(3000)]})
    rows = csv.read_text(encoding="utf-8").splitlines()
    csv.write_text("\n".join(rows[:2500] + ["oops,1"] + rows[2500:]) + "\n", encoding="utf-8")
    refused(run("train", csv, "--target", "y", *ONCE, "--solver", "ftrl", "-q", "-o", tmp_path / "no.json", code=None),
            r"t\.csv:2501", "oops")
    assert not (tmp_path / "no.json").exists()


def test_labels_and_rows_that_are_too_few_or_too_many(tmp_path):
    logistic = ["--loss", "logistic", *ONCE, "--solver", "ftrl", "-q", "-o", tmp_path / "no.json"]
    data = sparse_rows(tmp_path / "a.svm", 3000)
    late = data.read_text(encoding="ascii") + "2 1:1\n"
    for text, words in ((late, "more than two levels"), ("1 1:1\n1 2:1\n", "only one level"), ("", "no rows|empty"),
                        ("1\n-1\n", "no row has a feature")):
        data.write_text(text, encoding="ascii")
        refused(run("train", data, *logistic, code=None), words)
    assert not (tmp_path / "no.json").exists()
    data.write_text("2.5 1:1 3:2\n", encoding="ascii")
    model, report = learned(tmp_path, data)
    assert model.intercept == 2.5 and report["progressive_loss"] == 0


def peak_bytes(*command):
    before = ("import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], check=False).returncode; "
              "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    said = subprocess.run([sys.executable, "-c", before, *map(str, command)], check=True, capture_output=True, text=True)
    code, kilobytes = map(int, said.stdout.split())
    assert code == 3, said.stderr
    return kilobytes * 1024


def test_memory_does_not_grow_with_the_rows(tmp_path):
    few = sparse_rows(tmp_path / "few.svm", 20_000)
    many = tmp_path / "many.svm"
    many.write_bytes(few.read_bytes() * 25)  # 29 MB, and as much again parsed
    peaks = [peak_bytes(MUSTER, "train", data, "--loss", "logistic", *ONCE, "--solver", "ftrl", "-n", "2", "-q", "-o", tmp_path / "m.json")
             for data in (few, many)]
    assert peaks[1] < peaks[0] + 8e6, peaks


def test_a_limit_on_time_ends_it_with_a_model(tmp_path):
    data = sparse_rows(tmp_path / "a.svm", 30_000)
    model, report = learned(tmp_path, data, "--loss", "logistic", "--max-time", "1e-9")
    assert report["stop_reason"] == "max_time" and 0 < report["certificate"]["rows_read"] < 30_000
    assert np.isfinite(model.vector).all()


def test_a_note_where_rows_are_sorted_by_their_targets(tmp_path):
    data = sparse_rows(tmp_path / "a.svm", 6000)
    _, report = learned(tmp_path, data, "--loss", "logistic")
    assert not any("sorted" in note for note in report["notes"])
    data.write_text("".join(sorted(data.read_text(encoding="ascii").splitlines(keepends=True))), encoding="ascii")
    _, report = learned(tmp_path, data, "--loss", "logistic")
    assert any("seem to be sorted" in note for note in report["notes"])
