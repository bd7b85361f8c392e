"""--mode parameter-server --solver hogwild: threads of one worker on one model, without locks."""
import json

import numpy as np
import pytest

from command import SHARED_DATA, needs_mpi, needs_shared, read_model, refused, run, write_csv
from real_sets import ARGUMENTS, PENALTY, needs_real_sets, unpack

HOGWILD = ["--mode", "parameter-server", "--solver", "hogwild"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(21)
    x = rng.normal(size=(3000, 5)) * [1, 30, 0.1, 2, 1] + [0, 500, 1, -3, 0]
    y = x @ [1, 0.1, 5, -1, 0] + rng.normal(size=3000)
    return write_csv(tmp_path_factory.mktemp("data") / "t.csv", {**{f"x{j}": x[:, j] for j in range(5)}, "y": y})


def trained(tmp_path, *arguments, name="m", **options):
    run("train", *arguments, "-o", tmp_path / f"{name}.json", "--report", tmp_path / f"{name}-r.json", **options)
    return (read_model(tmp_path / f"{name}.json"),
            json.loads((tmp_path / f"{name}-r.json").read_text(encoding="utf-8")))


@needs_real_sets
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["a9a", "rcv1", "spambase", "diamonds"])
def test_reaches_the_objective_of_lbfgs_on_real_sets(tmp_path, name, threads):
    # A penalty on standardised columns would make words that occur once as long as all others together.
    data = [unpack(tmp_path, name), *ARGUMENTS[name], *(["--l2", "1e-3"] if name == "rcv1" else PENALTY)]
    _, best = trained(tmp_path, *data, "--solver", "lbfgs", "--tolerance", "1e-11", name="best")
    _, report = trained(tmp_path, *data, *HOGWILD, "--threads", threads, "--tolerance", "1e-9", timeout=300)
    assert report["stop_reason"] == "converged" and report["solver"] == "hogwild"
    assert report["certificate"]["objective"] == pytest.approx(best["certificate"]["objective"], rel=1e-8)
    assert report["certificate"]["suboptimality_bound"] <= 1e-8 * report["certificate"]["relative_target"]
    assert [w["role"] for w in report["workers"]] == ["worker"]
    objectives = [r["objective"] for r in report["rounds"]]
    assert all(b <= a * (1 + 1e-12) for a, b in zip(objectives, objectives[1:]))


@needs_shared("reference.jsonl", "sparse/a9a.zst")
@pytest.mark.parametrize("threads", [1, 2])
def test_a9a_as_another_package_fits_it(tmp_path, threads):
    lines = (SHARED_DATA / "reference.jsonl").read_text(encoding="utf-8").splitlines()
    expected = next(r for r in map(json.loads, lines) if r["name"] == "a9a")
    _, report = trained(tmp_path, unpack(tmp_path, "a9a"), "--loss", "logistic", "--l2", expected["lam"], *HOGWILD,
                        "--threads", threads, timeout=300)
    assert report["stop_reason"] == "converged"
    assert report["certificate"]["objective"] == pytest.approx(expected["obj"], rel=1e-6)


def test_one_thread_and_one_seed_is_one_model(tmp_path, table):
    same = [table, "--target", "y", *HOGWILD, "--threads", 1, "--reproducible", "--max-epochs", 3, "--tolerance", "1e-14"]
    first, report = trained(tmp_path, *same, name="first", code=3)
    again, _ = trained(tmp_path, *same, name="again", code=3)
    other, _ = trained(tmp_path, *same, "--seed", 5, name="other", code=3)
    assert first.bits == again.bits != other.bits
    assert report["stop_reason"] == "max_rounds" and "passes" in report["stop_detail"]
    assert report["rounds_done"] == 4  # one evaluation before the first pass


def test_lasso_agrees_with_nesterov(tmp_path, table):
    problem = [table, "--target", "y", "--l1", "0.05", "--standardize", "--tolerance", "1e-9"]
    best, _ = trained(tmp_path, *problem, "--solver", "nesterov", name="best")
    model, report = trained(tmp_path, *problem, *HOGWILD)
    assert report["stop_reason"] == "converged"
    zeros = [[c["feature"] for c in m.text["coefficients"] if c["value"] == 0] for m in (best, model)]
    assert zeros[0] == zeros[1] == ["x4"]
    assert model.text["certificate"]["objective"] == pytest.approx(best.text["certificate"]["objective"], rel=1e-9)


def test_resumes_from_a_checkpoint(tmp_path, table):
    go = [table, "--target", "y", *HOGWILD, "--checkpoint", tmp_path / "c", "--tolerance", "1e-9"]
    _, before = trained(tmp_path, *go, "--max-rounds", 3, name="before", code=3)
    _, after = trained(tmp_path, *go, "--resume", name="after")
    assert after["stop_reason"] == "converged"
    assert after["rounds"][0]["objective"] == pytest.approx(before["rounds"][-1]["objective"], rel=1e-9)


@pytest.mark.parametrize("options, flag", [
    (["-n", "2"], "--threads"), (["--servers", "2"], "--servers"), (["--simulate", "c.toml"], "--simulate"),
    (["--transport", "sim"], "--transport sim"), (["--sync", "bsp"], "--sync"), (["--compress", "int8"], "--compress"),
    (["--batch", "5"], "--batch"), (["--adagrad"], "--adagrad"),
    (["--reproducible"], "--threads 1"),
])
def test_what_it_has_no_use_for_is_refused(table, options, flag):
    refused(run("train", table, "--target", "y", *HOGWILD, *options, code=None), flag)


def test_belongs_to_the_parameter_server(table):
    refused(run("train", table, "--target", "y", "--solver", "hogwild", code=None), "--mode parameter-server")


@needs_mpi
def test_more_than_one_rank_is_refused(tmp_path, table):
    result = run("train", table, "--target", "y", *HOGWILD, "-o", tmp_path / "m.json", ranks=2, code=None)
    assert result.returncode == 2 and "drop mpirun" in result.stderr
    assert not (tmp_path / "m.json").exists()
