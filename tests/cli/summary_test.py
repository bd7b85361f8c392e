"""muster train --summary: NIST's certified standard deviations, and what statsmodels says of real data."""
import json
import subprocess

import numpy as np
import pytest

from command import ROOT, SHARED_DATA, needs_mpi, needs_shared, run
from nist_test import CERTIFIED, NIST


def summary(directory, *args, **options):
    report = directory / "report.json"
    run("train", *args, "--summary", "-o", directory / "m.json", "--report", report, **options)
    found = json.loads(report.read_text(encoding="utf-8"))["summary"]
    return found, {c["feature"]: c for c in found["coefficients"]}


def eight_digits(value):
    return pytest.approx(value, rel=1e-8, abs=1e-300)


def nist_arguments(name):
    expected = CERTIFIED[name]
    arguments = [NIST / f"{name}.csv", "--target", "y"]
    if expected["degree"]:
        arguments += ["--poly", f"x1:{expected['degree']}"]
    return arguments if expected["intercept"] else arguments + ["--no-intercept"]


@pytest.mark.parametrize("name", CERTIFIED)
def test_nist_standard_deviations(tmp_path, name):
    expected = CERTIFIED[name]
    found, _ = summary(tmp_path, *nist_arguments(name), "-n", 2)
    errors = [c["standard_error"] for c in found["coefficients"]]
    if expected["resid_sd"] == 0:  # the fit is exact: what is left is rounding
        sizes = [abs(c) for c in expected["coef"]]
        assert all(e <= 1e-9 * s for e, s in zip(errors, sizes))
        return
    assert errors == [eight_digits(sd) for sd in expected["sd"]]
    assert found["residual_standard_error"] == eight_digits(expected["resid_sd"])
    assert found["r2"] == eight_digits(expected["r2"])
    assert found["degrees_of_freedom"] == expected["n"] - expected["p"]


# statsmodels 0.15.0, OLS with a constant and the first level of each column of words left out. Its AIC does not count
# the variance as a parameter; R's, and ours, does: 2 more.
DIAMONDS = {
    "(intercept)": (2015.4468400526912, 449.892728190457, 4.479838667673407, 7.489113967029719e-06,
                    1133.648548698077, 2897.245131407305),
    "depth": (-61.92856638863165, 4.975376286553722, -12.44701160714168, 1.670955026101328e-35,
              -71.68039839973282, -52.17673437753048),
    "clarity=IF": (5366.158652270274, 57.19711601847964, 93.81869272108996, 0.0, 5254.0512186196565,
                   5478.266085920891),
}


@pytest.mark.parametrize("workers", [1, 3])
def test_diamonds(tmp_path, workers):
    found, by_name = summary(tmp_path, ROOT / "examples/diamonds/train.csv", "--target", "price", "-n", workers)
    for name, figures in DIAMONDS.items():
        got = [by_name[name][k] for k in ("estimate", "standard_error", "statistic", "p_value", "lower", "upper")]
        assert got == [eight_digits(f) for f in figures], name
    assert found["distribution"] == "t" and len(found["coefficients"]) == 24
    assert (found["rows"], found["degrees_of_freedom"], found["f_degrees_of_freedom"]) == (43152, 43128, 23)
    assert found["residual_standard_error"] == eight_digits(1127.6351397678934)
    assert found["r2"] == eight_digits(0.9201393531164429)
    assert found["adjusted_r2"] == eight_digits(0.9200967637341779)
    assert found["f_statistic"] == eight_digits(21604.900193027013)
    assert found["f_p_value"] == 0
    assert found["log_likelihood"] == eight_digits(-364485.02034023934)
    assert found["aic"] == eight_digits(729018.0406804787 + 2)
    assert found["residual_quantiles"] == [eight_digits(q) for q in (
        -21565.829866453132, -592.5463718505893, -183.04214562153697, 377.8422252054578, 10678.935259775742)]


# statsmodels 0.15.0, GLM of the binomial family with a constant.
@needs_shared("dense/magic04.csv.zst")
def test_logistic(tmp_path):
    table = tmp_path / "magic04.csv"
    table.write_bytes(subprocess.run(["zstd", "-d", "--long=27", "-c", SHARED_DATA / "dense/magic04.csv.zst"],
                                     capture_output=True, check=True).stdout)
    found, _ = summary(tmp_path, table, "--target", "y", "--loss", "logistic", "--tolerance", "1e-11", "-n", 2)
    assert found["distribution"] == "z"
    errors = [3.10628798785755e-01, 1.05572111524007e-03, 2.45733990144180e-03, 9.60213189022346e-02,
              5.20715207280091e-01, 7.55465507435525e-01, 4.30960365464379e-04, 5.32358736868967e-04,
              1.14568345765876e-03, 8.52232246444015e-04, 3.00955060989865e-04]
    assert [c["standard_error"] for c in found["coefficients"]] == [eight_digits(e) for e in errors]
    p_values = [c["p_value"] for c in found["coefficients"]]
    assert p_values[2] == pytest.approx(2.60426796323718e-002, rel=1e-7)
    assert p_values[0] == pytest.approx(9.47319107469777e-100, rel=1e-5)  # z to 8 digits
    assert found["residual_deviance"] == eight_digits(17396.810226712576)
    assert found["null_deviance"] == eight_digits(24667.028647045023)
    assert found["aic"] == eight_digits(17418.81022671258)
    assert (found["degrees_of_freedom"], found["null_degrees_of_freedom"]) == (19009, 19019)
    assert found["residual_quantiles"] == [pytest.approx(q, rel=1e-7) for q in (
        -2.49407929447283, -0.65150310126628, 0.46012130641081, 0.66112315811234, 3.97013687144579)]


@pytest.fixture
def weighted(tmp_path):
    random = np.random.default_rng(5)
    x, w = random.normal(size=(60, 2)), random.integers(0, 4, size=60)
    y = x @ [1.0, -2.0] + 3 + random.normal(size=60)
    path = tmp_path / "w.csv"
    path.write_text("a,b,w,y\n" + "".join(f"{r[0]!r},{r[1]!r},{k},{t!r}\n" for r, k, t in zip(x.tolist(), w, y.tolist())),
                    encoding="utf-8")
    return path, x, w, y


def test_weights_divide_the_variance(tmp_path, weighted):
    path, x, w, y = weighted
    found, by_name = summary(tmp_path, path, "--target", "y", "--weight", "w", "-n", 2)
    z = np.column_stack([np.ones(60), x])
    information = z.T @ (w[:, None] * z)
    beta = np.linalg.solve(information, z.T @ (w * y))
    kept = int((w > 0).sum())
    variance = float((w * (y - z @ beta) ** 2).sum()) / (kept - 3)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(information)))
    assert [by_name[n]["standard_error"] for n in ("(intercept)", "a", "b")] == [eight_digits(e) for e in errors]
    assert found["rows"] == kept and found["degrees_of_freedom"] == kept - 3


@needs_mpi
def test_ranks_change_nothing_but_rounding(tmp_path):
    arguments = [ROOT / "examples/diamonds/held_out.csv", "--target", "price"]
    one, _ = summary(tmp_path, *arguments, "-n", 1)
    three, _ = summary(tmp_path, *arguments, ranks=3)
    for a, b in zip(one["coefficients"], three["coefficients"]):
        assert a["standard_error"] == pytest.approx(b["standard_error"], rel=1e-10)
    assert one["residual_quantiles"] == pytest.approx(three["residual_quantiles"], rel=1e-8)


def test_the_table_is_printed(tmp_path):
    text = run("train", NIST / "Norris.csv", "--target", "y", "--summary", "-o", tmp_path / "m.json").stdout
    assert "std. error" in text and "P(>|t|)" in text and "residual standard error 0.884796" in text
    assert "1st quartile" in text and "F " in text


def test_dependent_columns_have_no_summary(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n1,2,1\n2,4,3\n3,6,2\n4,8,5\n", encoding="utf-8")
    result = run("train", path, "--target", "y", "--summary", "-o", tmp_path / "m.json", "--report", tmp_path / "r.json")
    assert "no summary: columns depend on others" in result.stderr
    assert "summary" not in json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("penalty", ["--l1", "--l2"])
def test_a_penalty_is_refused(tmp_path, penalty):
    result = run("train", NIST / "Norris.csv", "--target", "y", "--summary", penalty, "0.1", "-o", tmp_path / "m.json",
                 code=2)
    assert "--summary describes a fit without a penalty" in result.stderr and not (tmp_path / "m.json").exists()
