"""Training on a simulated cluster through the command: the same models, virtual times, errors by name."""
import json

import numpy as np
import pytest

from command import ROOT, refused, run, train, write_csv

CLUSTERS = ROOT / "examples/clusters"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(1999, 4)) * [1, 100, 0.01, 5] + [3, 0, 1, -50]
    y = x @ [1, 0.02, 30, -1] + rng.normal(size=1999)
    path = tmp_path_factory.mktemp("data") / "t.csv"
    return write_csv(path, {**{f"x{j}": x[:, j] for j in range(4)}, "y": y, "c": (y > np.median(y)).astype(int)})


PROBLEMS = {"exact": ["--target", "y", "--drop", "c", "--solver", "exact"],
            "gd": ["--target", "y", "--drop", "c", "--solver", "gd", "--l2", "0.01"],
            "logistic": ["--target", "c", "--drop", "y", "--loss", "logistic", "--l2", "0.1"]}


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_threads_and_simulation_agree_in_every_bit(tmp_path, table, problem, workers):
    arguments = [table, *PROBLEMS[problem], "--reproducible", "-n", workers]
    threads = train(tmp_path, *arguments)
    plain = train(tmp_path, *arguments, "--transport", "sim", "--threads", 1 + workers % 2)
    rack = train(tmp_path, *arguments, "--simulate", CLUSTERS / "rack64.toml")
    assert threads.bits == plain.bits == rack.bits


def report_of(tmp_path, *arguments):
    run("train", *arguments, "-o", tmp_path / "m.json", "--report", tmp_path / "r.json")
    return json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))


def test_times_are_virtual_and_the_same_every_time(tmp_path, table):
    arguments = [table, *PROBLEMS["gd"], "-n", 40, "--simulate", CLUSTERS / "rack64.toml"]
    first, second = report_of(tmp_path, *arguments), report_of(tmp_path, *arguments, "--threads", 2)
    assert first == second
    assert first["transport"] == "sim"
    assert [w["host"] for w in first["workers"]][:2] == ["rack0", "rack1"]
    assert any("virtual" in note for note in first["notes"])
    assert report_of(tmp_path, *arguments, "--seed", 3)["rounds"] != first["rounds"]


def test_a_slower_network_costs_time_and_changes_no_result(tmp_path, table):
    fast, slow = tmp_path / "fast.toml", tmp_path / "slow.toml"
    fast.write_text("[links.inter_host]\nlatency_seconds = 1e-5\n", encoding="utf-8")
    slow.write_text("[links.inter_host]\nlatency_seconds = 1e-1\n", encoding="utf-8")
    reports = [report_of(tmp_path, table, *PROBLEMS["gd"], "-n", 4, "--simulate", f) for f in (fast, slow)]
    # Every round goes up and down a tree of two levels, four times the latency.
    rounds = reports[0]["rounds_done"]
    assert reports[1]["rounds_done"] == rounds
    assert reports[1]["train_seconds"] > reports[0]["train_seconds"] + 0.4 * rounds
    assert reports[1]["certificate"] == reports[0]["certificate"]


def test_a_file_without_a_number_of_workers_means_all_its_nodes(tmp_path, table):
    report = report_of(tmp_path, table, *PROBLEMS["exact"], "--simulate", CLUSTERS / "two_sites.toml")
    assert len(report["workers"]) == 32


@pytest.mark.parametrize("split", ["rows", "features", "2x2"])
def test_a_dead_node_ends_the_run_by_name(tmp_path, table, split):
    cluster = tmp_path / "c.toml"
    cluster.write_text("[[failures.deaths]]\nnode = 2\nat = 0.001\n", encoding="utf-8")
    refused(run("train", table, *PROBLEMS["gd"], "-n", 4, "--split", split, "--simulate", cluster, "-o",
                tmp_path / "m.json", code=None), "rank 2 on node2", "no sign of life", code=4)
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize("text, words", [
    ("[node]\nflops = 1e9\n", [r"c\.toml:2:1: unknown key 'flops'", "did you mean 'flops_per_second'"]),
    ("[node]\nfactor = -1\n", [r"c\.toml:2:10:", "'factor'", "negative"]),
    ("[node\n", [r"c\.toml:1:"]),
    ("[[nodes]]\ncount = 2\n", ["2 nodes", "3 ranks"]),
])
def test_errors_of_the_cluster_file(tmp_path, table, text, words):
    cluster = tmp_path / "c.toml"
    cluster.write_text(text, encoding="utf-8")
    refused(run("train", table, *PROBLEMS["gd"], "-n", 3, "--simulate", cluster, code=None), *words)


def test_what_does_not_go_together(tmp_path, table):
    refused(run("train", table, *PROBLEMS["gd"], "--simulate", tmp_path / "none.toml", code=None), "none.toml", "No such file")
    refused(run("train", table, *PROBLEMS["gd"], "--simulate", CLUSTERS / "laptop.toml", "--transport", "threads", code=None),
            "--simulate", "--transport")
