"""A run can be stopped at any moment and gone on with."""
import json
import signal
import subprocess
import time

import numpy as np
import pytest

from command import MUSTER, mpi_prefix, needs_mpi, read_model, refused, run, train, write_csv

LONG = ["--solver", "gd", "--tolerance", "1e-9", "--max-rounds", "1000000000"]


@pytest.fixture(scope="module")
def slow_table(tmp_path_factory):
    """A problem the plain rule needs minutes for: two columns that are nearly one."""
    rng = np.random.default_rng(3)
    common = rng.normal(size=4000)
    columns = {f"x{j}": common + 10.0 ** (-j / 2.0) * rng.normal(size=4000) for j in range(8)}
    columns["y"] = common + rng.normal(size=4000) + sum(j * c for j, c in enumerate(columns.values()))
    return write_csv(tmp_path_factory.mktemp("slow") / "slow.csv", columns)


@pytest.fixture(scope="module")
def gentle_table(tmp_path_factory):
    """The same kind of run, with an optimum the plain rule reaches in a second or so."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(20000, 6))
    x[:, 5] = x[:, 4] + 0.2 * x[:, 5]
    columns = {f"x{j}": x[:, j] for j in range(6)}
    columns["y"] = x @ np.arange(1.0, 7.0) + rng.normal(size=20000)
    return write_csv(tmp_path_factory.mktemp("gentle") / "gentle.csv", columns)


def start(*args, ranks=None):
    command = (mpi_prefix(ranks) if ranks else []) + [MUSTER, "train", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path, process, seconds=60):
    """Until the file is there; a process that ends before has failed."""
    limit = time.monotonic() + seconds
    while not path.exists():
        if process.poll() is not None:
            pytest.fail(f"ended with {process.returncode} before {path.name} was there: {process.communicate()}")
        assert time.monotonic() < limit, f"no {path.name} after {seconds} s"
        time.sleep(0.02)
    return path


def test_killed_in_mid_run_leaves_a_readable_checkpoint_to_resume_from(tmp_path, slow_table):
    directory = tmp_path / "checkpoints"
    process = start(slow_table, "--target", "y", *LONG, "--checkpoint", directory, "--checkpoint-every", "0.05",
                    "-n", "2", "-o", tmp_path / "killed.json")
    file = wait_for(directory / "checkpoint.json", process)
    for _ in range(20):  # never a half-written one, whenever one looks
        json.loads(file.read_text(encoding="utf-8"))
        time.sleep(0.01)
    process.kill()
    process.communicate()
    checkpoint = json.loads(file.read_text(encoding="utf-8"))
    assert not (tmp_path / "killed.json").exists()

    # Any number of workers goes on from there: to the same optimum, which the exact solver knows.
    common = [slow_table, "--target", "y", "--checkpoint", directory, "--resume", "--solver", "gd"]
    resumed = run("train", *common, "-n", "3", "--max-rounds", "20", "-o", tmp_path / "resumed.json",
                  "--report", tmp_path / "report.json", code=3)
    first = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["rounds"][0]
    fresh = run("train", slow_table, "--target", "y", "--solver", "gd", "-n", "3", "--max-rounds", "20",
                "-o", tmp_path / "fresh.json", "--report", tmp_path / "fresh_report.json", code=3)
    begin = json.loads((tmp_path / "fresh_report.json").read_text(encoding="utf-8"))["rounds"][0]
    assert first["objective"] < begin["objective"], (resumed.stderr, fresh.stderr, checkpoint)


@pytest.mark.parametrize("solver", ["gd", "lbfgs"])
@pytest.mark.parametrize("workers", [1, 3])
def test_resumes_to_the_same_optimum_with_another_number_of_workers(tmp_path, gentle_table, workers, solver):
    directory = tmp_path / "checkpoints"
    common = [gentle_table, "--target", "y", "--solver", solver, "--tolerance", "1e-12", "--checkpoint", directory]
    run("train", *common, "--max-rounds", "4", "-n", "2", "--checkpoint-every", "1e-6", "-o", tmp_path / "early.json",
        code=3)
    assert (directory / "checkpoint.json").exists()
    resumed = train(tmp_path, *common, "-n", workers, "--resume")
    exact = train(tmp_path, gentle_table, "--target", "y", "--solver", "exact", name="exact.json")
    np.testing.assert_allclose(resumed.vector, exact.vector, rtol=1e-5, atol=1e-6)


@needs_mpi
def test_resumes_under_mpi(tmp_path, gentle_table):
    directory = tmp_path / "checkpoints"
    run("train", gentle_table, "--target", "y", "--solver", "gd", "--max-rounds", "5", "--checkpoint", directory,
        "--checkpoint-every", "1e-6", "-o", tmp_path / "early.json", code=3)
    resumed = train(tmp_path, gentle_table, "--target", "y", "--solver", "gd", "--tolerance", "1e-12",
                    "--checkpoint", directory, "--resume", ranks=2)
    exact = train(tmp_path, gentle_table, "--target", "y", "--solver", "exact", name="exact.json")
    np.testing.assert_allclose(resumed.vector, exact.vector, rtol=1e-5, atol=1e-6)


def test_a_checkpoint_of_another_model_is_refused(tmp_path, gentle_table):
    directory = tmp_path / "checkpoints"
    run("train", gentle_table, "--target", "y", "--solver", "gd", "--max-rounds", "5", "--checkpoint", directory,
        "--checkpoint-every", "1e-6", "-o", tmp_path / "early.json", code=3)
    other = run("train", gentle_table, "--target", "y", "--drop", "x5", "--checkpoint", directory, "--resume",
                "-o", tmp_path / "other.json", code=None)
    refused(other, r"checkpoint\.json")
    assert not (tmp_path / "other.json").exists()


def test_a_damaged_checkpoint_is_refused(tmp_path, gentle_table):
    directory = tmp_path / "checkpoints"
    directory.mkdir()
    (directory / "checkpoint.json").write_text('{"format": "muster-', encoding="utf-8")
    refused(run("train", gentle_table, "--target", "y", "--checkpoint", directory, "--resume", "-o",
                tmp_path / "m.json", code=None), r"checkpoint\.json")


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_next_round_with_the_model_saved(tmp_path, slow_table, which):
    process = start(slow_table, "--target", "y", *LONG, "--checkpoint", tmp_path / "c", "--checkpoint-every", "0.05",
                    "-n", "2", "-o", tmp_path / "model.json", "--report", tmp_path / "report.json")
    wait_for(tmp_path / "c/checkpoint.json", process)
    process.send_signal(which)
    process.communicate(timeout=20)
    assert process.returncode == 130
    model = read_model(tmp_path / "model.json")
    assert "interrupted" in json.dumps(model.text)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["stop_reason"] == "interrupted"
    run("predict", tmp_path / "model.json", slow_table)


@needs_mpi
def test_interrupting_mpirun_leaves_the_model_or_the_checkpoint(tmp_path, slow_table):
    process = start(slow_table, "--target", "y", *LONG, "--checkpoint", tmp_path / "c", "--checkpoint-every", "0.05",
                    "-o", tmp_path / "model.json", ranks=2)
    wait_for(tmp_path / "c/checkpoint.json", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0
    if (tmp_path / "model.json").exists():
        assert "interrupted" in (tmp_path / "model.json").read_text(encoding="utf-8")
    json.loads((tmp_path / "c/checkpoint.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("limit, reason", [(["--max-rounds", "3"], "max_rounds"), (["--max-time", "0.3"], "max_time")])
def test_a_limit_ends_with_3_and_the_model_marked(tmp_path, slow_table, limit, reason):
    arguments = [slow_table, "--target", "y", "--solver", "gd", "--tolerance", "1e-12", *limit]
    model = train(tmp_path, *arguments, "--report", tmp_path / "report.json", code=3)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["stop_reason"] == reason
    assert reason in json.dumps(model.text)
    run("predict", tmp_path / "model.json", slow_table)
