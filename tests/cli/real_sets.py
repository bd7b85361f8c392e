"""Real data sets beside the project, unpacked for a test."""
import subprocess

from command import SHARED_DATA, needs_shared

needs_real_sets = needs_shared("sparse/a9a.zst", "sparse/rcv1_cocoa_train.libsvm.zst", "dense/spambase.csv.zst",
                               "dense/diamonds.csv.zst")
PATHS = {"a9a": "sparse/a9a.zst", "rcv1": "sparse/rcv1_cocoa_train.libsvm.zst", "spambase": "dense/spambase.csv.zst",
         "diamonds": "dense/diamonds.csv.zst"}
ARGUMENTS = {"a9a": ["--loss", "logistic"], "rcv1": ["--loss", "logistic"],
             "spambase": ["--target", "y", "--loss", "logistic"], "diamonds": ["--target", "y"]}
# Where workers' objectives and minimisers are compared: strongly convex, well away from the data's own scaling.
PENALTY = ["--l2", "1e-3", "--standardize"]


def unpack(directory, name, sort_by_label=False):
    """The set as a file in directory; sorted, so that contiguous shards see one class, or one end of the targets."""
    text = subprocess.run(["zstd", "-d", "--long=27", "-c", SHARED_DATA / PATHS[name]], capture_output=True,
                          check=True).stdout
    csv = PATHS[name].endswith(".csv.zst")
    path = directory / (f"{name}.csv" if csv else f"{name}.libsvm")
    lines = text.splitlines(keepends=True)
    if sort_by_label:
        header, rows = (lines[:1], lines[1:]) if csv else ([], lines)
        key = (lambda line: float(line.rsplit(b",", 1)[1])) if csv else (lambda line: float(line.split(b" ", 1)[0]))
        lines = header + sorted(rows, key=key)
    path.write_bytes(b"".join(lines))
    return path
