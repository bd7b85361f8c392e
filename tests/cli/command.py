"""Runs the muster command as a user does, and reads what it leaves."""
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MUSTER = os.environ.get("MUSTER", str(ROOT / "build/release/muster"))
SHARED_DATA = ROOT.parent / "shared" / "data"

needs_mpi = pytest.mark.skipif(shutil.which("mpirun") is None, reason="mpirun is not installed")


def needs_shared(*names):
    """Skips where the real data sets, which live beside the project, are not there."""
    missing = [n for n in names if not (SHARED_DATA / n).exists()]
    return pytest.mark.skipif(bool(missing), reason=f"../shared/data has no {missing}: real data sets are not here")


def mpi_prefix(ranks):
    """mpirun with what a small machine and root need; ranks more than cores give way while they wait."""
    prefix = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
    return prefix + (["--allow-run-as-root"] if os.geteuid() == 0 else [])


def run(*args, code=0, ranks=None, timeout=120, **options):
    """Runs muster with the arguments, under mpirun where ranks are given; the exit code must be as said (None: any)."""
    command = (mpi_prefix(ranks) if ranks else []) + [MUSTER, *map(str, args)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
    if code is not None:
        assert result.returncode == code, f"{' '.join(command)}\nexit {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result


@dataclasses.dataclass
class Model:
    intercept: float
    values: dict  # feature -> coefficient, in the file's order
    text: dict    # the whole file

    @property
    def vector(self):
        return np.array([self.intercept, *self.values.values()])

    @property
    def bits(self):
        return {"intercept": self.intercept.hex(), **{k: v.hex() for k, v in self.values.items()}}


def read_model(path):
    text = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    assert text["format"] == "muster-linear-1"
    values = {c["feature"]: float(c["value"]) for c in text["coefficients"]}
    assert len(values) == len(text["coefficients"])
    return Model(float(text["intercept"] or 0.0), values, text)


def train(directory, *args, name="model.json", **options):
    """Trains and returns the model; `directory` gets its file."""
    path = pathlib.Path(directory) / name
    run("train", *args, "-o", path, **options)
    return read_model(path)


def bytes_read(*args):
    """What muster with the arguments read of files, by the count of the system."""
    process = subprocess.Popen([MUSTER, *map(str, args)], stdout=subprocess.DEVNULL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    counts = pathlib.Path(f"/proc/{process.pid}/io")
    if not counts.exists():
        pytest.skip("no /proc/PID/io here")
    said = dict(line.split(": ") for line in counts.read_text(encoding="ascii").splitlines())
    assert process.wait() in (0, 3)
    return int(said["rchar"])


def evaluate(model, *data):
    return json.loads(run("evaluate", model, *data, "--json").stdout)


def predict(model, *data, **options):
    """The columns of `muster predict`, as lists of text by name."""
    lines = run("predict", model, *data, **options).stdout.splitlines()
    names = lines[0].split(",")
    rows = [line.split(",") for line in lines[1:]]
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def write_csv(path, columns):
    """A table of {name: values}; doubles are written so that reading gives them back."""
    def text(value):
        return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)
    rows = zip(*columns.values())
    lines = [",".join(columns)] + [",".join(map(text, row)) for row in rows]
    pathlib.Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def least_squares(x, y, weight=None, intercept=True, l2=0.0):
    """(1/S) Σ s ½(x·w + b − y)² + (l2/2)|w|²: [b, w…], by QR of the augmented rows."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, float)
    total = weight.sum()
    mean_x = (weight @ x) / total if intercept else np.zeros(x.shape[1])
    mean_y = (weight @ y) / total if intercept else 0.0
    root = np.sqrt(weight / total)[:, None]
    rows = np.vstack([root * (x - mean_x), np.sqrt(l2) * np.eye(x.shape[1])])
    w = np.linalg.lstsq(rows, np.concatenate([root[:, 0] * (y - mean_y), np.zeros(x.shape[1])]), rcond=None)[0]
    return np.concatenate([[mean_y - mean_x @ w if intercept else 0.0], w])


def refused(result, *words, code=2):
    """One sentence on stderr, nothing on stdout, the code of its kind; the sentence has all the words."""
    assert result.returncode == code, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("muster: "), result.stderr
    assert result.stdout == ""
    for word in words:
        assert re.search(word, lines[0]), f"{word!r} not in {lines[0]!r}"
    return lines[0]
