"""--mode decentralized through the command, on threads, under mpirun and on a simulated cluster."""
import json

import numpy as np
import pytest

from command import needs_mpi, read_model, refused, run, write_csv
from real_sets import ARGUMENTS, PENALTY, needs_real_sets, unpack

NETWORK = ["--mode", "decentralized"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(12)
    x = rng.normal(size=(1203, 4)) * [1, 30, 0.1, 2] + [0, 5, 1, -3]
    y = x @ [1, 0.1, 5, -1] + rng.normal(size=1203)
    order = np.argsort(y)  # every node sees its own part of the targets
    x, y = x[order], y[order]
    path = tmp_path_factory.mktemp("data") / "t.csv"
    return write_csv(path, {**{f"x{j}": x[:, j] for j in range(4)}, "y": y, "c": (y > np.median(y)).astype(int)})


SQUARED = ["--target", "y", "--drop", "c", "--l2", "0.1"]
LOGISTIC = ["--target", "c", "--drop", "y", "--loss", "logistic", "--l2", "0.1"]


def trained(tmp_path, *arguments, name="m", **options):
    run("train", *arguments, "-o", tmp_path / f"{name}.json", "--report", tmp_path / f"{name}-r.json", **options)
    return (read_model(tmp_path / f"{name}.json"),
            json.loads((tmp_path / f"{name}-r.json").read_text(encoding="utf-8")))


def objective(report):
    return report["certificate"]["objective"]


@pytest.mark.parametrize("topology, workers, solver", [
    ("ring", 5, "nids"), ("torus", 6, "nids"), ("symmetric-exponential", 8, "nids"), ("complete", 3, "nids"),
    ("line", 4, "nids"), ("random-regular:3", 8, "nids"), ("one-peer-exponential", 8, "gradient-tracking"),
    ("exponential", 8, "push-sum"), ("ring", 1, "nids"), ("ring", 2, "nids"),
])
@pytest.mark.parametrize("problem", [SQUARED, LOGISTIC], ids=["squared", "logistic"])
def test_the_default_rule_of_each_graph_ends_where_mapreduce_ends(tmp_path, table, problem, topology, workers, solver):
    _, best = trained(tmp_path, table, *problem, "--tolerance", "1e-10", name="best")
    _, report = trained(tmp_path, table, *problem, *NETWORK, "--topology", topology, "-n", workers, "--transport", "sim",
                        "--tolerance", "1e-9")
    assert report["solver"] == solver and report["stop_reason"] == "converged"
    assert objective(report) == pytest.approx(objective(best), rel=1e-8)
    assert len(report["network"]["consensus_distance"]) == workers


@pytest.mark.parametrize("topology, solver", [("ring", "nids"), ("ring", "gradient-tracking"),
                                              ("one-peer-exponential", "gradient-tracking"), ("exponential", "push-sum")])
def test_with_l1_the_same_coefficients_are_zero_as_under_mapreduce(tmp_path, table, topology, solver):
    lasso = [table, "--target", "y", "--drop", "c", "--l1", "0.7", "--standardize"]
    best, report = trained(tmp_path, *lasso, "--tolerance", "1e-10", name="best")
    sparse, network = trained(tmp_path, *lasso, *NETWORK, "--topology", topology, "--solver", solver, "-n", 8,
                              "--transport", "sim", "--tolerance", "1e-9")
    assert objective(network) == pytest.approx(objective(report), rel=1e-8)
    zeros = [name for name, value in best.values.items() if value == 0]
    assert zeros and zeros == [name for name, value in sparse.values.items() if value == 0]


@needs_real_sets
@pytest.mark.parametrize("name", ["a9a", "spambase", "diamonds"])
def test_nodes_that_see_one_class_end_at_mapreduce_s_objective(tmp_path, name):
    data = [unpack(tmp_path, name, sort_by_label=True), *ARGUMENTS[name], *PENALTY]
    _, best = trained(tmp_path, *data, "--tolerance", "1e-11", name="best")
    _, report = trained(tmp_path, *data, *NETWORK, "-n", 8, "--transport", "sim", "--tolerance", "1e-9", timeout=600)
    assert report["stop_reason"] == "converged" and report["solver"] == "nids"
    assert objective(report) == pytest.approx(objective(best), rel=1e-8)


@needs_real_sets
@pytest.mark.parametrize("name", ["a9a", "spambase", "diamonds"])
def test_without_rounds_nodes_that_see_one_class_end_there_too(tmp_path, name):
    data = [unpack(tmp_path, name, sort_by_label=True), *ARGUMENTS[name], *PENALTY]
    _, best = trained(tmp_path, *data, "--tolerance", "1e-11", name="best")
    _, report = trained(tmp_path, *data, *NETWORK, "--sync", "async", "-n", 8, "--transport", "sim", "--tolerance",
                        "5e-9", timeout=600)
    assert report["stop_reason"] == "converged" and report["solver"] == "pairwise"
    assert objective(report) == pytest.approx(objective(best), rel=1e-8)


@pytest.mark.parametrize("options", [
    [], ["--topology", "star"], ["--topology", "complete", "--solver", "pairwise"], ["--compress", "int8"],
    ["--l1", "0.05"]], ids=" ".join)
def test_without_rounds_a_slow_node_does_not_bias_the_end(tmp_path, table, options):
    cluster = tmp_path / "c.toml"
    cluster.write_text("[node]\nflops_per_second = 1e7\n[[nodes]]\ncount = 2\n[[nodes]]\ncount = 1\nfactor = 10\n"
                       "[[nodes]]\ncount = 4\n", encoding="utf-8")
    l1 = options if "--l1" in options else []
    _, best = trained(tmp_path, table, *LOGISTIC, *l1, "--tolerance", "1e-10", name="best")
    sync = [] if "pairwise" in options else ["--sync", "async"]
    _, report = trained(tmp_path, table, *LOGISTIC, *NETWORK, *sync, *options, "--simulate", cluster, "--tolerance",
                        "1e-9")
    assert report["solver"] == "pairwise" and report["synchronisation"] == "async"
    assert report["stop_reason"] == "converged"
    assert objective(report) == pytest.approx(objective(best), rel=1e-8)
    updates = [worker["updates"] for worker in report["workers"]]
    assert updates[2] < 0.5 * max(updates)


@needs_mpi
def test_without_rounds_as_processes_and_as_threads(tmp_path, table):
    same = [table, *LOGISTIC, *NETWORK, "--sync", "async", "--tolerance", "1e-10"]
    _, best = trained(tmp_path, table, *LOGISTIC, "--tolerance", "1e-10", name="best")
    for how in ({"ranks": 3}, {}):
        _, report = trained(tmp_path, *same, *([] if how else ["-n", 3]), **how)
        assert report["stop_reason"] == "converged"
        assert objective(report) == pytest.approx(objective(best), rel=1e-9)


@needs_mpi
def test_processes_and_threads_agree(tmp_path, table):
    same = [table, *LOGISTIC, *NETWORK, "--reproducible"]
    threads, _ = trained(tmp_path, *same, "-n", 3, name="threads")
    simulated, _ = trained(tmp_path, *same, "-n", 3, "--transport", "sim", name="sim")
    processes, _ = trained(tmp_path, *same, ranks=3, name="mpi")
    assert threads.bits == simulated.bits == processes.bits


@needs_mpi
@pytest.mark.parametrize("topology, neighbours", [("ring", [2, 2, 2, 2, 2]), ("star", [4, 1, 1, 1, 1])])
def test_a_process_sends_to_its_neighbours_and_to_nobody_else(tmp_path, table, topology, neighbours):
    """Thirty rounds more are as many messages more as there are neighbours; the rest is set-up and certificate."""
    arguments = [table, *SQUARED, *NETWORK, "--topology", topology, "--tolerance", "1e-15"]
    sent = []
    for rounds in (10, 40):
        _, report = trained(tmp_path, *arguments, "--max-rounds", rounds, ranks=5, code=3)
        assert report["transport"] == "mpi" and report["rounds_done"] == rounds
        sent.append(np.array([worker["messages_sent"] for worker in report["workers"]]))
    assert (sent[1] - sent[0]).tolist() == [30 * n for n in neighbours]


def test_the_plain_rule_stalls_beside_the_optimum_and_says_so(tmp_path, table):
    result = run("train", table, *LOGISTIC, *NETWORK, "--solver", "dgd", "-n", 4, "-o", tmp_path / "m.json", "--report",
                 tmp_path / "r.json", code=None)
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert result.returncode == 3 and report["stop_reason"] == "stalled"
    assert max(report["network"]["consensus_distance"]) > 1e-4
    assert report["rounds"][-1]["consensus_distance"] > 1e-4


def test_the_report_has_the_consensus_distance_of_every_round_and_node(tmp_path, table):
    _, report = trained(tmp_path, table, *SQUARED, *NETWORK, "-n", 5, "--tolerance", "1e-9")
    by_round = [r["consensus_distance"] for r in report["rounds"]]
    assert len(by_round) == report["rounds_done"] + 1  # and the exact one at the end, of the meeting
    assert by_round[-1] == pytest.approx(np.sqrt(np.mean(np.square(report["network"]["consensus_distance"]))), rel=1e-9)
    assert max(by_round) > 1e-3 and 0 < by_round[-1] < 1e-3 * max(by_round)
    assert 0.2 * by_round[-1] <= by_round[-2] < 20 * by_round[-1]  # the network's own estimate


def test_one_node_s_copy_can_be_saved(tmp_path, table):
    arguments = [table, *SQUARED, *NETWORK, "--solver", "dgd", "-n", 4, "--max-rounds", "300"]
    average, _ = trained(tmp_path, *arguments, name="average", code=3)
    copies = [trained(tmp_path, *arguments, "--node", k, name=f"node{k}", code=3)[0] for k in range(4)]
    assert np.mean([c.vector for c in copies], axis=0) == pytest.approx(average.vector, rel=1e-9)
    assert copies[0].bits != copies[1].bits


@pytest.mark.parametrize("options", [["--compress", "int8"], ["--compress", "float32"], ["--local-steps", "3"],
                                     ["--chebyshev"], ["--solver", "gradient-tracking"]], ids=" ".join)
def test_cheaper_rounds_still_meet_the_tolerance(tmp_path, table, options):
    _, best = trained(tmp_path, table, *LOGISTIC, "--tolerance", "1e-10", name="best")
    _, report = trained(tmp_path, table, *LOGISTIC, *NETWORK, "-n", 5, "--tolerance", "1e-8", *options)
    assert report["stop_reason"] == "converged"
    assert objective(report) == pytest.approx(objective(best), rel=1e-7)


def test_a_node_that_dies_is_dropped_or_taken_over(tmp_path, table):
    _, best = trained(tmp_path, table, *LOGISTIC, "--tolerance", "1e-10", name="best")
    cluster = tmp_path / "c.toml"
    cluster.write_text("[[failures.deaths]]\nnode = 2\nat = 0.004\n", encoding="utf-8")
    arguments = [table, *LOGISTIC, *NETWORK, "-n", 6, "--simulate", cluster, "--tolerance", "1e-9"]
    _, without = trained(tmp_path, *arguments, name="without")
    assert [lost["rank"] for lost in without["lost"]] == [2]
    assert without["certificate"]["rows_read"] < without["certificate"]["rows_in_files"]
    _, full = trained(tmp_path, *arguments, "--takeover", name="full")
    assert full["lost"][0]["rows_taken_over_by"] in (1, 3)
    assert objective(full) == pytest.approx(objective(best), rel=1e-8)


def test_a_loss_that_changes_the_solver_is_told(tmp_path, table):
    cluster = tmp_path / "c.toml"
    cluster.write_text("[[failures.deaths]]\nnode = 2\nat = 0.004\n", encoding="utf-8")
    _, report = trained(tmp_path, table, *LOGISTIC, *NETWORK, "--topology", "exponential", "--solver",
                        "gradient-tracking", "--local-steps", "2", "-n", 8, "--simulate", cluster)
    assert report["stop_reason"] == "converged" and report["solver"] == "push-sum"
    assert any("gradient-tracking, without --local-steps" in note for note in report["notes"])


def test_a_network_that_a_death_cuts_is_reported_with_its_parts(tmp_path, table):
    cluster = tmp_path / "c.toml"
    cluster.write_text("[[failures.deaths]]\nnode = 2\nat = 0.004\n", encoding="utf-8")
    arguments = [table, *LOGISTIC, *NETWORK, "--topology", "line", "-n", 6, "--simulate", cluster]
    refused(run("train", *arguments, "-o", tmp_path / "m.json", code=None), "0-1", "3-5", "--allow-parts", code=4)
    assert not (tmp_path / "m.json").exists()


def rows_of(path, table, counts, nodes):
    """The file of these nodes' rows alone: nodes hold rows in the order of the file."""
    lines = table.read_text(encoding="utf-8").splitlines()
    first = sum(counts[:nodes[0]])
    path.write_text("\n".join([lines[0], *lines[1 + first:1 + first + sum(counts[k] for k in nodes)]]) + "\n",
                    encoding="utf-8")
    return path


@pytest.mark.parametrize("options, topology, deaths, parts", [
    ([], "line", [(3, 0.004)], [[4, 5, 6, 7], [0, 1, 2]]),
    (["--sync", "async"], "line", [(3, 0.004)], [[4, 5, 6, 7], [0, 1, 2]]),
    (["--solver", "gradient-tracking"], "ring", [(0, 0.004), (6, 0.005)], [[1, 2, 3, 4, 5], [7]]),
    (["--standardize"], "star", [(0, 0.003)], [[k] for k in (2, 3, 4, 5, 6, 7, 1)]),
], ids=["line", "without-rounds", "ring", "star"])
def test_each_part_of_a_cut_network_has_the_model_of_its_own_rows(tmp_path, table, options, topology, deaths, parts):
    cluster = tmp_path / "c.toml"
    cluster.write_text("".join(f"[[failures.deaths]]\nnode = {node}\nat = {at}\n" for node, at in deaths),
                       encoding="utf-8")
    arguments = [table, *SQUARED, *NETWORK, *options, "--topology", topology, "-n", 8, "--tolerance", "1e-15"]
    _, whole = trained(tmp_path, *arguments, "--transport", "sim", name="whole")
    counts = [worker["rows"] for worker in whole["workers"]]
    _, report = trained(tmp_path, *arguments, "--simulate", cluster, "--allow-parts", name="m")
    found = {tuple(part["nodes"]): part for part in report["parts"]}
    assert set(found) == {tuple(nodes) for nodes in parts}
    rows = [part["rows"] for part in report["parts"]]
    assert rows == sorted(rows, reverse=True) and report["certificate"]["rows_read"] == rows[0]
    assert [part["file"] for part in report["parts"]] == \
        [str(tmp_path / name) for name in ["m.json", *(f"m.part{i}.json" for i in range(2, len(parts) + 1))]]
    assert [lost["rank"] for lost in report["lost"]] == [node for node, _ in deaths]
    assert [w["rows"] > 0 for w in report["workers"]] == [k not in dict(deaths) for k in range(8)]
    for nodes, part in found.items():
        assert part["rows"] == sum(counts[k] for k in nodes) and part["stop_reason"] == "converged"
        best, truth = trained(tmp_path, rows_of(tmp_path / "rows.csv", table, counts, nodes), *SQUARED, name="best")
        if "--standardize" not in options:  # which is by the columns of all rows
            assert read_model(part["file"]).vector == pytest.approx(best.vector, rel=1e-8)
            assert part["objective"] == pytest.approx(objective(truth), rel=1e-12)
        certificate = read_model(part["file"]).text["certificate"]
        assert certificate["objective"] == part["objective"]
        assert certificate["gradient_norm"] == part["gradient_norm"] < 1e-6


def test_a_part_short_of_the_tolerance_gives_the_command_its_exit_code(tmp_path, table):
    """Nodes 4-8 all hear each other; 0-2 are a line, where news takes longer."""
    graph, cluster = tmp_path / "graph.txt", tmp_path / "c.toml"
    pairs = [(0, 1), (1, 2), (2, 3), (3, 4), *((a, b) for a in range(4, 9) for b in range(a + 1, 9))]
    graph.write_text("".join(f"{a} {b}\n" for a, b in pairs), encoding="utf-8")
    cluster.write_text("[[failures.deaths]]\nnode = 3\nat = 0.004\n", encoding="utf-8")
    arguments = [table, *SQUARED, *NETWORK, "--topology", f"file:{graph}", "-n", 9, "--simulate", cluster,
                 "--allow-parts"]
    _, report = trained(tmp_path, *arguments, "--max-rounds", "200", code=3)
    assert [(part["nodes"], part["stop_reason"]) for part in report["parts"]] == \
        [([4, 5, 6, 7, 8], "converged"), ([0, 1, 2], "max_rounds")]


def test_the_parts_are_told_to_people_too(tmp_path, table):
    cluster = tmp_path / "c.toml"
    cluster.write_text("[[failures.deaths]]\nnode = 2\nat = 0.004\n", encoding="utf-8")
    arguments = [table, *SQUARED, *NETWORK, "--topology", "line", "-n", 6, "--simulate", cluster, "--allow-parts"]
    told = run("train", *arguments, "-o", tmp_path / "m.json").stdout
    lines = [line.split() for line in told.splitlines()]
    assert [line[0] for line in lines if line and line[-1].endswith((".json"))] == ["3-5", "0-1"]
    refused(run("train", *arguments, "-o", "-", code=None), "--allow-parts", "--output")


def test_a_part_that_has_no_model_is_named_and_the_others_go_on(tmp_path, table):
    """Rows are sorted by class, so that node 0 alone has rows of one class only."""
    cluster = tmp_path / "c.toml"
    cluster.write_text("[[failures.deaths]]\nnode = 1\nat = 0.004\n", encoding="utf-8")
    _, report = trained(tmp_path, table, *LOGISTIC, *NETWORK, "--topology", "line", "-n", 6, "--simulate", cluster,
                        "--allow-parts")
    assert [part["nodes"] for part in report["parts"]] == [[2, 3, 4, 5]]
    assert [lost["rank"] for lost in report["lost"]] == [0, 1]
    assert "needs both levels" in report["lost"][0]["sentence"]


def test_a_graph_in_parts_is_refused_with_its_parts_named(tmp_path, table):
    graph = tmp_path / "graph.txt"
    graph.write_text("0 1\n2 3\n", encoding="utf-8")
    refused(run("train", table, *SQUARED, *NETWORK, "--topology", f"file:{graph}", "-n", 4, code=None), "0-1", "2-3")


@pytest.mark.parametrize("arguments, words", [
    ([*NETWORK, "--topology", "exponential", "-n", "8", "--solver", "nids"], ["nids", "--solver push-sum"]),
    ([*NETWORK, "--topology", "one-peer-exponential", "-n", "8", "--solver", "nids"], ["--solver gradient-tracking"]),
    ([*NETWORK, "--topology", "exponential", "-n", "8", "--chebyshev"], ["--chebyshev", "symmetric"]),
    ([*NETWORK, "--topology", "exponential", "-n", "8", "--compress", "int8"], ["--compress", "push-sum"]),
    ([*NETWORK, "--compress", "int8", "--chebyshev"], ["--compress", "--chebyshev"]),
    ([*NETWORK, "--solver", "dgd", "--local-steps", "2"], ["--local-steps", "--solver nids"]),
    ([*NETWORK, "--l1", "0.1", "--local-steps", "2"], ["--local-steps", "--l1"]),
    ([*NETWORK, "--l1", "0.1", "--solver", "dgd"], ["--l1", "--solver"]),
    ([*NETWORK, "--topology", "wheel", "-n", "4"], ["wheel"]),
    ([*NETWORK, "--topology", "hypercube", "-n", "6"], ["hypercube", "6"]),
    ([*NETWORK, "--sync", "ssp:2"], ["--sync", "parameter-server"]),
    ([*NETWORK, "--sync", "async", "--solver", "nids"], ["nids", "--sync async", "pairwise"]),
    ([*NETWORK, "--sync", "bsp", "--solver", "pairwise"], ["pairwise", "--sync bsp"]),
    ([*NETWORK, "--sync", "async", "--chebyshev"], ["--chebyshev", "pairwise"]),
    ([*NETWORK, "--sync", "async", "--local-steps", "2"], ["--local-steps", "pairwise"]),
    ([*NETWORK, "--sync", "async", "--topology", "exponential", "-n", "8"], ["pairwise", "exponential", "push-sum"]),
    ([*NETWORK, "--sync", "async", "--topology", "one-peer-exponential", "-n", "8"], ["pairwise", "gradient-tracking"]),
    ([*NETWORK, "--solver", "dave"], ["dave", "parameter-server"]),
    ([*NETWORK, "--servers", "2"], ["--servers", "parameter-server"]),
    ([*NETWORK, "--node", "9", "-n", "3"], ["--node"]),
    (["--chebyshev"], ["--chebyshev", "decentralized"]),
])
def test_what_does_not_go_together_is_refused(tmp_path, table, arguments, words):
    refused(run("train", table, *SQUARED, *arguments, "-o", tmp_path / "m.json", code=None), *words)
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize("solver", ["push-sum", "gradient-tracking", "dgd", "nids"])
def test_rows_that_sum_to_one_are_not_enough_on_a_directed_graph(tmp_path, table, solver):
    graph = tmp_path / "graph.txt"
    graph.write_text("directed\n0 1 .5\n1 2 .7\n2 0 .2\n0 2 .1\n", encoding="utf-8")
    chosen = [] if solver == "push-sum" else ["--solver", solver]
    arguments = [table, *SQUARED, *NETWORK, "--topology", f"file:{graph}", "-n", 3]
    refused(run("train", *arguments, *chosen, code=None), solver, "--weights uniform")
    run("train", *arguments, "--weights", "uniform", "-o", tmp_path / "m.json")


def test_what_was_made_of_the_graph_is_in_the_report(tmp_path, table):
    graph = tmp_path / "graph.txt"
    graph.write_text("0 1 .5\n1 2 .5\n2 3 .5\n3 0 .5\n", encoding="utf-8")
    _, report = trained(tmp_path, table, *SQUARED, *NETWORK, "--topology", f"file:{graph}", "-n", 4)
    assert any("bipartite" in note and "made lazy" in note for note in report["notes"])
    assert report["network"]["lambda2_modulus"] == pytest.approx(0.5) and report["network"]["spectral_gap"] > 0.49
