"""--split: whoever holds which columns, the fit is that of the row split to rounding; under --reproducible it has the
same bits on threads, under MPI and simulated; and what makes no sense is refused in one sentence."""
import json

import numpy as np
import pytest

from command import ROOT, needs_mpi, run, train, write_csv
from real_sets import ARGUMENTS, PENALTY, needs_real_sets, unpack

DIAMONDS = [ROOT / "examples/diamonds/train.csv", "--target", "price"]


def trained(directory, *args, **options):
    """The model and the report."""
    model = train(directory, *args, "--report", directory / "report.json", **options)
    return model, json.loads((directory / "report.json").read_text())


def expect_same(model, rows, rtol):
    np.testing.assert_allclose(model.vector, rows.vector, rtol=rtol, atol=rtol * np.abs(rows.vector).max())
    mine, theirs = model.text["certificate"], rows.text["certificate"]
    assert mine["objective"] == pytest.approx(theirs["objective"], rel=1e-9)
    assert mine["same_model_on_all_ranks"] is True
    assert (mine["rows_read"], mine["rows_in_files"]) == (theirs["rows_read"], theirs["rows_in_files"])


@pytest.mark.parametrize("split, workers", [("features", 3), ("2x2", 4), ("3x1", 3)])
def test_diamonds_on_every_grid_as_by_rows(tmp_path, split, workers):
    how = [*DIAMONDS, "--solver", "lbfgs", "--l2", "0.01", "--standardize", "--tolerance", "1e-15", "--max-rounds", 300]
    rows = train(tmp_path, *how, "-n", 1, code=None)
    model, report = trained(tmp_path, *how, "-n", workers, "--split", split, code=None)
    expect_same(model, rows, 1e-6)
    assert report["split"] == {"3x1": "rows"}.get(split, split)
    held = sum(w["rows"] * w["columns"] for w in report["workers"])
    assert held == 23 * model.text["certificate"]["rows_read"]


@needs_real_sets
@pytest.mark.parametrize("name, split, workers", [("a9a", "features", 4), ("a9a", "2x3", 6), ("spambase", "2x2", 4)])
def test_real_sets_as_by_rows(tmp_path, name, split, workers):
    how = [unpack(tmp_path, name), *ARGUMENTS[name], *PENALTY, "--tolerance", "1e-10"]
    rows = train(tmp_path, *how, "-n", 1)
    model, _ = trained(tmp_path, *how, "-n", workers, "--split", split)
    expect_same(model, rows, 1e-4)


@needs_mpi
@pytest.mark.parametrize("split", ["features", "2x2"])
def test_bits_are_those_of_every_transport_and_number_of_threads(tmp_path, split):
    how = [*DIAMONDS, "--solver", "nesterov", "--l2", "0.1", "--l1", "5", "--split", split, "--reproducible",
           "--max-rounds", 12]
    threads = train(tmp_path, *how, "-n", 4, code=None)
    assert train(tmp_path, *how, "-n", 4, "--threads", 2, code=None).bits == threads.bits
    assert train(tmp_path, *how, "-n", 4, "--transport", "sim", code=None).bits == threads.bits
    assert train(tmp_path, *how, ranks=4, code=None).bits == threads.bits


def test_a_feature_split_moves_margins_and_no_gradient(tmp_path):
    """Under the ring each of m workers sends 2(m - 1)/m of the margins, and a few sums of single numbers."""
    m = 4
    _, report = trained(tmp_path, *DIAMONDS, "--solver", "gd", "--split", "features", "--reduce", "ring", "-n", m,
                        "--max-rounds", 10, code=3)
    assert report["reduce"] == "ring"
    for worker in report["workers"]:
        margins = 2 * (m - 1) / m * 8 * worker["rows"]
        assert margins < worker["bytes_per_round"] < margins + 3000
    assert {w["columns"] for w in report["workers"]} == {5, 6}


def test_auto_goes_by_shape_and_says_so(tmp_path):
    _, report = trained(tmp_path, *DIAMONDS, "-n", 2)
    assert report["split"] == "rows"
    assert report["split_reason"] == (
        "rows, because for 43152 rows of 23 columns on 2 workers a round takes about 0.8 ms by rows, and as features about "
        "1.7 ms")
    wide = tmp_path / "wide.svm"
    rng = np.random.default_rng(3)
    columns = 160_000
    used = [np.sort(rng.choice(columns, 30, replace=False)) + 1 for _ in range(500)]
    wide.write_text("".join(f"{rng.normal()!r} " + " ".join(f"{j}:{rng.normal()!r}" for j in row) + f" {columns}:1\n"
                            for row in used if row[-1] < columns))
    how = [wide, "--l2", "0.1", "--solver", "lbfgs"]
    by_rows = train(tmp_path, *how, "-n", 4, "--split", "rows")
    model, report = trained(tmp_path, *how, "-n", 4)
    assert report["split"] == "features"
    assert report["split_reason"].startswith("features, because for ")
    assert [w["columns"] for w in report["workers"]] == [40_000] * 4
    np.testing.assert_allclose(model.vector, by_rows.vector, atol=2e-3)
    assert model.text["certificate"]["objective"] == pytest.approx(by_rows.text["certificate"]["objective"], rel=1e-5)


def test_a_grid_checkpoints_whole_models_and_any_grid_resumes(tmp_path):
    how = [*DIAMONDS, "--solver", "gd", "--l2", "0.1", "--checkpoint", tmp_path / "kept", "--checkpoint-every", "0"]
    train(tmp_path, *how, "-n", 4, "--split", "2x2", "--max-rounds", 40, code=3)
    kept = json.loads((tmp_path / "kept/checkpoint.json").read_text())
    assert len(kept["coefficients"]) == 23
    assert kept["round"] == 40
    afresh = train(tmp_path, *DIAMONDS, "--solver", "gd", "--l2", "0.1", "-n", 1)
    resumed, report = trained(tmp_path, *how, "--resume", "-n", 3, "--split", "features")
    assert report["rounds_done"] < 150
    assert resumed.text["certificate"]["objective"] == pytest.approx(afresh.text["certificate"]["objective"], rel=1e-5)


@pytest.mark.parametrize("options, sentence", [
    (["--split", "2x3", "-n", "4"], "--split 2x3 is a grid of 6 workers, and there are 4: change --split or the number of workers"),
    (["--split", "2by3"], "--split is one of auto, rows, features, or ROWSxCOLUMNS as in 2x3, not '2by3'"),
    (["--split", "0x4"], "--split is one of auto, rows, features, or ROWSxCOLUMNS as in 2x3, not '0x4'"),
    (["--split", "features", "--mode", "decentralized"], "--split goes with --mode mapreduce"),
    (["--split", "rows", "--mode", "parameter-server"], "--split goes with --mode mapreduce"),
])
def test_what_makes_no_sense_is_refused(tmp_path, options, sentence):
    refused = run("train", *DIAMONDS, *options, "-o", tmp_path / "model.json", code=2)
    assert refused.stderr == f"muster: {sentence}\n"
    assert not (tmp_path / "model.json").exists()


@needs_mpi
def test_exact_is_chosen_under_a_split_as_by_rows_with_the_same_bits(tmp_path):
    by_rows = train(tmp_path, *DIAMONDS, "-n", 4, "--split", "rows", "--reproducible")
    for split, where in [("features", {}), ("2x2", {}), ("2x2", {"ranks": 4})]:
        model, report = trained(tmp_path, *DIAMONDS, "-n", 4, "--split", split, "--reproducible", **where)
        assert (report["solver"], report["split"]) == ("exact", split)
        assert report["solver_reason"].startswith("exact, because for 43152 rows of 23 columns on 4 workers exact takes")
        assert model.bits == by_rows.bits
        assert sum(w["rows"] * w["columns"] for w in report["workers"]) == 23 * model.text["certificate"]["rows_read"]


def test_dependent_columns_are_named_under_a_split_as_by_rows(tmp_path):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 5))
    table = {f"x{j}": x[:, j] for j in range(5)} | {"copy": x[:, 0] - x[:, 3], "y": x @ [1, 2, 3, 4, 5]}
    path = write_csv(tmp_path / "table.csv", table)
    for solver in ["exact", "cg", "lbfgs"]:
        found = [trained(tmp_path, path, "--target", "y", "-n", 3, "--split", split, "--solver", solver)[1]
                 for split in ["rows", "features"]]
        assert found[0]["dependent_columns"] and found[0]["dependent_columns"] == found[1]["dependent_columns"]
