"""--warm-start: a fit begins at the coefficients of a model file, found by name."""
import json

import numpy as np
import pytest

from command import needs_mpi, refused, run, write_csv

ROWS = 300


@pytest.fixture(scope="module")
def columns():
    """Columns of other scales and centres, a number, two levels and three to predict."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(ROWS, 4)) * [1, 10, 0.1, 3] + [0, 50, 2, -7]
    x[:, 1] += 8 * x[:, 0]
    z = (x - x.mean(0)) @ [1, -0.2, 4, 0.3]
    named = {f"x{j}": x[:, j] for j in range(4)}
    named["y"] = z + rng.normal(size=ROWS)
    named["two"] = np.where(z + rng.normal(size=ROWS) > 0, "yes", "no")
    named["three"] = np.array(list("abc"))[np.digitize(z + rng.normal(size=ROWS), [-0.7, 0.7])]
    return named


TARGETS = {"squared": "y", "logistic": "two", "softmax": "three"}


@pytest.fixture
def table(tmp_path, columns):
    """The file with one loss's target, given columns (features) in a given order."""
    def write(loss, features=("x0", "x1", "x2", "x3"), rows=slice(None), name="table.csv", **changed):
        chosen = {**columns, **changed}
        return write_csv(tmp_path / name, {n: chosen[n][rows] for n in (*features, TARGETS[loss])})
    return write


def trained(directory, data, loss, *arguments, name="model", code=0, **options):
    """The model and the report."""
    model, report = directory / f"{name}.json", directory / f"{name}_report.json"
    result = run("train", data, "--target", TARGETS[loss], "--loss", loss, "-o", model, "--report", report, *arguments,
                 code=code, **options)
    read = [json.loads(path.read_text(encoding="utf-8")) for path in (model, report)]
    read[1]["stderr"] = result.stderr
    return read


def coefficients(model):
    """Features × outputs, and the intercepts."""
    w = np.array([c["values"] if "values" in c else [c["value"]] for c in model["coefficients"]])
    return w, np.array(model.get("intercepts", [model.get("intercept")]))


def objective(x, y, w, b, loss, l2):
    """From its definition; y: numbers, 0/1, or places of classes."""
    z = x @ w + b
    if loss == "squared":
        each = 0.5 * (z[:, 0] - y) ** 2
    elif loss == "logistic":
        each = np.logaddexp(0, z[:, 0]) - y * z[:, 0]
    else:
        each = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(y)), y]
    return each.mean() + 0.5 * l2 * np.sum(w * w)


CASES = [(loss, solver, ways) for loss, solvers in {
    "squared": ["cg", "lbfgs", "newton-cg", "gd", "nesterov"],
    "logistic": ["lbfgs", "newton-cg", "gd", "nesterov"],
    "softmax": ["lbfgs", "newton-cg", "nesterov"]}.items() for solver in solvers for ways in [["-n", "2"]]]
CASES += [("squared", "cg", ["-n", "2", "--split", "features"]), ("logistic", "lbfgs", ["-n", "4", "--split", "2x2"]),
          ("logistic", "hogwild", ["--mode", "parameter-server", "--threads", "2"]),
          ("softmax", "dave", ["-n", "2", "--mode", "parameter-server"]),
          ("logistic", "dave", ["-n", "2", "--mode", "parameter-server", "--sync", "ssp:1"]),
          ("softmax", "nids", ["-n", "3", "--mode", "decentralized"]),
          ("squared", "gradient-tracking", ["-n", "3", "--mode", "decentralized"]),
          ("squared", "push-sum", ["-n", "4", "--mode", "decentralized", "--topology", "exponential"]),
          ("logistic", "pairwise", ["-n", "3", "--mode", "decentralized"])]


@pytest.mark.parametrize("loss, solver, ways", CASES)
def test_at_the_optimum_there_is_nothing_to_do(tmp_path, table, loss, solver, ways):
    arguments = ["--solver", solver, *ways, "--l2", "0.01"]
    cold, cold_report = trained(tmp_path, table(loss), loss, *arguments)
    warm, report = trained(tmp_path, table(loss), loss, *arguments, "--warm-start", tmp_path / "model.json", name="warm")
    assert cold_report["rounds_done"] > 2 and report["rounds_done"] <= 1
    assert report["stop_reason"] == "converged" and report["warm_start"] == str(tmp_path / "model.json")
    assert warm["certificate"]["objective"] == pytest.approx(cold["certificate"]["objective"], rel=1e-13)
    for mine, given in zip(coefficients(warm), coefficients(cold)):
        np.testing.assert_allclose(mine, given, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("loss, solver", [("squared", "cg"), ("squared", "lbfgs"), ("logistic", "lbfgs"),
                                          ("logistic", "newton-cg"), ("softmax", "lbfgs"), ("softmax", "gd")])
def test_from_a_neighbour_it_is_nearer(tmp_path, table, loss, solver):
    arguments = ["--solver", solver, "--tolerance", "1e-5"]
    trained(tmp_path, table(loss), loss, *arguments, "--l2", "0.0101")
    cold, cold_report = trained(tmp_path, table(loss), loss, *arguments, "--l2", "0.01", name="cold")
    warm, report = trained(tmp_path, table(loss), loss, *arguments, "--l2", "0.01", "--warm-start",
                           tmp_path / "model.json", name="warm")
    assert report["passes"] < cold_report["passes"]
    assert warm["certificate"]["objective"] == pytest.approx(cold["certificate"]["objective"], rel=2e-5)


def test_one_step_of_gradient_descent_by_hand(tmp_path, table, columns):
    l2, b = 0.3, 2.5
    w = np.array([0.5, 0.1, -3.0, 0.25])
    model, _ = trained(tmp_path, table("squared"), "squared", "--l2", "1")
    model["intercept"] = b
    for coefficient, value in zip(model["coefficients"], w):
        coefficient["value"] = value
    (tmp_path / "start.json").write_text(json.dumps(model), encoding="utf-8")
    stepped, report = trained(tmp_path, table("squared"), "squared", "--solver", "gd", "--l2", l2, "--max-rounds", "2",
                              "-n", "3", "--warm-start", tmp_path / "start.json", code=3)
    x, y = np.column_stack([columns[f"x{j}"] for j in range(4)]), columns["y"]
    assert report["rounds"][0]["objective"] == pytest.approx(objective(x, y, w[:, None], [b], "squared", l2), rel=1e-12)

    # In v = σw, b' = b + c·w, σ² = mean (x − c)² + l2: v ← v − g/L.
    centre = x.mean(0)
    sigma = np.sqrt(((x - centre) ** 2).mean(0) + l2)
    residual = x @ w + b - y
    gradient = np.append((residual @ (x - centre)) / ROWS / sigma + l2 / sigma**2 * (sigma * w), residual.mean())
    assert report["rounds"][0]["gradient_norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-10)
    now, b_now = coefficients(stepped)
    moved = np.append(sigma * (now[:, 0] - w), b_now + centre @ now[:, 0] - b - centre @ w)
    z = np.column_stack([(x - centre) / sigma, np.ones(ROWS)])
    largest = np.linalg.eigvalsh(z.T @ z / ROWS + np.diag(np.append(l2 / sigma**2, 0)))[-1]
    step = -(moved @ gradient) / (gradient @ gradient)
    np.testing.assert_allclose(moved, -step * gradient, rtol=1e-9, atol=1e-12)
    assert 0.85 / largest < step <= 1 / largest


def test_columns_in_another_order_are_found_by_name(tmp_path, table):
    arguments = ["--l2", "0.02", "--solver", "lbfgs", "--tolerance", "1e-10"]
    trained(tmp_path, table("logistic"), "logistic", *arguments)
    as_trained, report = trained(tmp_path, table("logistic"), "logistic", *arguments, "--warm-start",
                                 tmp_path / "model.json", name="again")
    turned = table("logistic", features=("x3", "x0", "x2", "x1"), name="turned.csv")
    _, other = trained(tmp_path, turned, "logistic", *arguments, "--warm-start", tmp_path / "model.json", name="turned")
    assert other["rounds_done"] == 1
    for key in ("objective", "gradient_norm"):
        assert other["rounds"][0][key] == pytest.approx(report["rounds"][0][key], rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("loss, split", [("squared", "rows"), ("squared", "2x2"), ("logistic", "features"),
                                         ("softmax", "rows")])
def test_new_features_begin_at_0_and_others_are_left_out(tmp_path, table, columns, loss, split):
    l2 = 0.05
    model, _ = trained(tmp_path, table(loss, features=("x0", "x1", "x2"), name="old.csv"), loss, "--l2", l2)
    _, report = trained(tmp_path, table(loss, features=("x3", "x2", "x0"), name="new.csv"), loss, "--l2", l2,
                        "--solver", "lbfgs", "-n", "4", "--split", split, "--warm-start", tmp_path / "model.json",
                        name="warm")
    w, b = coefficients(model)
    w = np.array([np.zeros_like(w[0]), w[2], w[0]])
    x = np.column_stack([columns[n] for n in ("x3", "x2", "x0")])
    y = {"squared": columns["y"], "logistic": columns["two"] == "yes",
         "softmax": np.searchsorted(list("abc"), columns["three"])}[loss]
    assert report["rounds"][0]["objective"] == pytest.approx(objective(x, y, w, b, loss, l2), rel=1e-12)
    notes = "\n".join(report["notes"])
    assert "features of the data that begin at 0" in notes and "does not have them: 1\n" in notes + "\n"
    assert "left out, as the data do not have them: 1 ('x1')" in notes


def test_classes_are_found_by_label(tmp_path, table, columns):
    """The new data know no 'a', but an 'A', which sorts before all."""
    l2, names = 0.05, [f"x{j}" for j in range(4)]
    model, _ = trained(tmp_path, table("softmax"), "softmax", "--l2", l2)
    renamed = np.where(columns["three"] == "a", "A", columns["three"])
    renamed[:20] = "B"
    _, report = trained(tmp_path, table("softmax", three=renamed, name="new.csv"), "softmax", "--l2", l2,
                        "--warm-start", tmp_path / "model.json", name="warm")
    w, b = coefficients(model)  # of a, b, c; now of A, B, b, c
    w, b = np.column_stack([0 * w[:, :2], w[:, 1:]]), np.concatenate([[0, 0], b[1:]])
    x = np.column_stack([columns[n] for n in names])
    y = np.searchsorted(["A", "B", "b", "c"], renamed)
    assert report["rounds"][0]["objective"] == pytest.approx(objective(x, y, w, b, "softmax", l2), rel=1e-12)
    notes = "\n".join(report["notes"])
    assert "classes of the data that begin at 0" in notes and "does not have them: 2 ('A', 'B')" in notes
    assert "classes of the start" in notes and "do not have them: 1 ('a')" in notes


def test_the_other_class_as_the_positive_one_turns_the_start_around(tmp_path, table):
    trained(tmp_path, table("logistic"), "logistic", "--l2", "0.01")
    turned, report = trained(tmp_path, table("logistic"), "logistic", "--l2", "0.01", "--positive", "no",
                             "--warm-start", tmp_path / "model.json", name="turned")
    assert report["rounds_done"] == 1
    model = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    for mine, given in zip(coefficients(turned), coefficients(model)):
        np.testing.assert_allclose(mine, -given, rtol=1e-9)


def test_an_intercept_that_is_not_wanted_is_left_out(tmp_path, table, columns):
    model, _ = trained(tmp_path, table("squared"), "squared", "--l2", "0.05")
    _, report = trained(tmp_path, table("squared"), "squared", "--l2", "0.05", "--solver", "lbfgs", "--no-intercept",
                        "--warm-start", tmp_path / "model.json", name="warm")
    x = np.column_stack([columns[f"x{j}"] for j in range(4)])
    w, b = coefficients(model)
    first = objective(x, columns["y"], w, 0 * b, "squared", 0.05)
    assert report["rounds"][0]["objective"] == pytest.approx(first, rel=1e-12)
    assert "model.json, was left out, as --no-intercept says" in "\n".join(report["notes"])


@pytest.mark.parametrize("old, new, gone", [(range(3), range(1, 4), 0), (range(1, 4), range(3), 3)])
def test_libsvm_features_are_found_by_their_index(tmp_path, columns, old, new, gone):
    """Also where one file begins at index 0 and the other at 1."""
    x = np.column_stack([columns[f"x{j}"] for j in range(4)])

    def write(name, used):
        lines = [" ".join([repr(float(y)), *(f"{j}:{float(row[j])!r}" for j in used)]) for row, y in zip(x, columns["y"])]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / name
    run("train", write("old.svm", old), "--l2", "0.1", "-o", tmp_path / "model.json")
    run("train", write("new.svm", new), "--l2", "0.1", "--solver", "cg", "-n", "2", "--warm-start",
        tmp_path / "model.json", "-o", tmp_path / "warm.json", "--report", tmp_path / "report.json")
    w, b = coefficients(json.loads((tmp_path / "model.json").read_text(encoding="utf-8")))
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    w = np.array([w[old.index(j)] if j in old else [0.0] for j in new])
    assert report["rounds"][0]["objective"] == pytest.approx(objective(x[:, new], columns["y"], w, b, "squared", 0.1),
                                                             rel=1e-12)
    assert f"left out, as the data do not have them: 1 ('{gone}')" in "\n".join(report["notes"])


@needs_mpi
@pytest.mark.parametrize("loss, ways", [("logistic", ["--solver", "lbfgs"]), ("softmax", ["--solver", "newton-cg"]),
                                        ("squared", ["--solver", "cg", "--split", "features"]),
                                        ("squared", ["--solver", "nids", "--mode", "decentralized"])])
def test_the_same_bits_again_and_on_every_transport(tmp_path, table, loss, ways):
    trained(tmp_path, table(loss, rows=slice(0, 200), name="old.csv"), loss, "--l2", "0.02")
    arguments = [*ways, "--l2", "0.01", "--reproducible", "--warm-start", tmp_path / "model.json"]
    places = [(["-n", "2"], None), (["-n", "2"], None), (["-n", "2", "--transport", "sim"], None), ([], 2)]
    found = [trained(tmp_path, table(loss), loss, *arguments, *more, name="warm", ranks=ranks) for more, ranks in places]
    for model, report in found:
        assert model["coefficients"] == found[0][0]["coefficients"]
        assert report["rounds_done"] == found[0][1]["rounds_done"] > 1


@pytest.mark.parametrize("ways", [["--solver", "cg"], ["--solver", "lbfgs"], ["--solver", "gd"],
                                  ["--mode", "decentralized", "-n", "2"]])
def test_of_many_solutions_the_one_nearest_to_the_start_is_taken_and_said(tmp_path, table, columns, ways):
    """x4 is x0 again: their sum is determined, their difference stays that of the start."""
    data = table("squared", features=("x0", "x1", "x2", "x3", "x4"), x4=columns["x0"])
    model, _ = trained(tmp_path, data, "squared", "--l2", "1")
    for coefficient in model["coefficients"]:
        coefficient["value"] += {"x0": 2, "x4": -1}.get(coefficient["feature"], 0)
    (tmp_path / "start.json").write_text(json.dumps(model), encoding="utf-8")
    warm, report = trained(tmp_path, data, "squared", *ways, "--tolerance", "1e-9", "--warm-start",
                           tmp_path / "start.json", name="warm")
    exact, _ = trained(tmp_path, data, "squared", name="exact")
    w, least = coefficients(warm)[0][:, 0], coefficients(exact)[0][:, 0]
    assert w[0] - w[4] == pytest.approx(3, abs=1e-6) and w[0] + w[4] == pytest.approx(least[0] + least[4], abs=1e-6)
    assert f"the solution nearest to {tmp_path / 'start.json'} was taken" in report["stderr"]


def test_exact_says_that_it_makes_no_difference(tmp_path, table):
    cold, _ = trained(tmp_path, table("squared"), "squared")
    warm, report = trained(tmp_path, table("squared"), "squared", "--warm-start", tmp_path / "model.json", name="warm")
    assert warm["coefficients"] == cold["coefficients"]
    assert "exact solves in one pass wherever it starts: --warm-start made no difference" in report["notes"]
    assert "warm_start" not in report


def test_tune_begins_every_fold_there(tmp_path, table):
    trained(tmp_path, table("logistic"), "logistic", "--l2", "0.01")
    found = []
    for more in ([], ["--warm-start", tmp_path / "model.json"]):
        run("tune", table("logistic"), "--target", "two", "--loss", "logistic", "--l2", "0.001,0.01,0.1", "--folds", "3",
            "-n", "2", "--tolerance", "1e-9", *more, "-o", tmp_path / "tuned.json", "--report", tmp_path / "report.json")
        found.append(json.loads((tmp_path / "report.json").read_text(encoding="utf-8")))
    for cold, warm in zip(*(report["tuning"]["points"] for report in found)):
        np.testing.assert_allclose(warm["by_fold"], cold["by_fold"], rtol=1e-5)
    assert found[0]["tuning"]["points"] != found[1]["tuning"]["points"]


@pytest.mark.parametrize("loss, arguments, words", [
    ("logistic", ["--warm-start", "{}/squared.json"], [r"squared\.json: this model is of --loss squared, the run of "
                                                       "--loss logistic: change --loss, or drop --warm-start"]),
    ("squared", ["--warm-start", "{}/none.json"], [r"none\.json"]),
    ("squared", ["--warm-start", "{}/table.csv"], [r"table\.csv"]),
    ("squared", ["--warm-start", "{}/others.json"], [r"others\.json: none of this model's features"]),
    ("logistic", ["--warm-start", "{}/levels.json"], [r"levels\.json: this model is of the levels '0', '1', the data "
                                                      "have 'no', 'yes'"]),
    ("softmax", ["--warm-start", "{}/classes.json"], [r"classes\.json: this model is of the classes 'A', 'B', the data "
                                                      "have 'a', 'b', 'c'"]),
    ("squared", ["--solver", "exact", "--warm-start", "{}/squared.json"], ["--solver exact", "use --solver cg"]),
    ("squared", ["--warm-start", "{}/squared.json", "--checkpoint", "{}/c", "--resume"], ["--resume", "drop --warm-start"]),
    ("squared", ["--warm-start", ""], ["--warm-start is empty"])])
def test_errors(tmp_path, table, columns, loss, arguments, words):
    trained(tmp_path, table("squared"), "squared", name="squared")
    write_csv(tmp_path / "other.csv", {"u": columns["x0"], "y": columns["y"]})
    trained(tmp_path, tmp_path / "other.csv", "squared", name="others")
    two = np.where(columns["two"] == "yes", 1, 0)
    trained(tmp_path, table("logistic", two=two, name="t.csv"), "logistic", "--l2", "1", name="levels")
    halves = np.where(columns["three"] == "a", "A", "B")
    trained(tmp_path, table("softmax", three=halves, name="t.csv"), "softmax", "--l2", "1", name="classes")
    refused(run("train", table(loss), "--target", TARGETS[loss], "--loss", loss, "-o", tmp_path / "new.json", "-n", "2",
                *(a.format(tmp_path) for a in arguments), code=None), *words)
    assert not (tmp_path / "new.json").exists()


@needs_mpi
def test_under_mpi_one_rank_speaks_of_a_file_that_one_rank_reads(tmp_path, table):
    result = run("train", table("squared"), "--target", "y", "--warm-start", tmp_path / "none.json", "-o",
                 tmp_path / "new.json", code=2, ranks=3)
    assert sum(line.startswith("muster: ") for line in result.stderr.splitlines()) == 1, result.stderr
    assert "none.json" in result.stderr and not (tmp_path / "new.json").exists()
