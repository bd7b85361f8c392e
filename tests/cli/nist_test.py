"""The eleven linear sets of NIST's Statistical Reference Datasets, each coefficient to 13 correct digits."""
import json
import math

import pytest

from command import ROOT, needs_mpi, train

NIST = ROOT / "tests/data/nist"
CERTIFIED = json.loads((NIST / "certified.json").read_text(encoding="utf-8"))


def correct_digits(value, certified):
    if value == certified:
        return 15.0
    return min(15.0, -math.log10(abs(value - certified) / (abs(certified) or 1.0)))


def fit(directory, name, *args, **options):
    expected = CERTIFIED[name]
    arguments = [NIST / f"{name}.csv", "--target", "y", *args]
    if expected["degree"]:
        arguments += ["--poly", f"x1:{expected['degree']}"]
    if not expected["intercept"]:
        arguments += ["--no-intercept"]
    model = train(directory, *arguments, **options)
    got = list(model.vector) if expected["intercept"] else list(model.values.values())
    assert len(got) == len(expected["coef"])
    digits = {i: correct_digits(g, c) for i, (g, c) in enumerate(zip(got, expected["coef"]))}
    assert min(digits.values()) >= 13, digits
    return model


def test_all_eleven_are_here():
    assert len(CERTIFIED) == 11


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("name", CERTIFIED)
def test_thirteen_digits(tmp_path, name, workers):
    model = fit(tmp_path, name, "-n", workers)
    assert model.text["certificate"]["rows_read"] == CERTIFIED[name]["n"]


@pytest.mark.parametrize("split, workers", [("features", 3), ("2x2", 4)])
@pytest.mark.parametrize("name", CERTIFIED)
def test_thirteen_digits_where_columns_are_cut(tmp_path, name, split, workers):
    fit(tmp_path, name, "-n", workers, "--split", split)


@needs_mpi
@pytest.mark.parametrize("name", ["Filip", "Longley", "Wampler5"])
def test_thirteen_digits_under_mpi(tmp_path, name):
    fit(tmp_path, name, ranks=2)


@pytest.mark.parametrize("name", ["Filip", "Norris"])
def test_the_certificate_estimates_the_digits(tmp_path, name):
    certificate = fit(tmp_path, name).text["certificate"]
    assert certificate["digits"] >= 10


def test_powers_are_named_in_order(tmp_path):
    assert list(fit(tmp_path, "Wampler2").values) == ["x1", "x1^2", "x1^3", "x1^4", "x1^5"]
