"""muster topology: what it says of a graph, against dense linear algebra and closed forms, and what it draws."""
import json
import math
import re
import xml.etree.ElementTree

import numpy as np
import pytest

from command import refused, run

NAMES = ["ring", "line", "star", "complete", "torus", "hypercube", "exponential", "symmetric-exponential",
         "one-peer-exponential", "random-regular:3"]


def described(*arguments):
    return json.loads(run("topology", *arguments, "--json").stdout)


def second_modulus(w):
    return sorted(abs(np.linalg.eigvals(w)))[-2]


def weighted_file(path, w, header):
    """An edge list of W, every weight in digits that read back the same; W_ba is the edge a b."""
    edges = [f"{a} {b} {w[b, a]!r}" for a in range(len(w)) for b in range(len(w)) if w[b, a]]
    path.write_text("\n".join([header, *edges]) + "\n", encoding="utf-8")
    return f"file:{path}"


def random_weights(nodes, seed, by_column):
    """A directed ring, so strongly connected, with as many arrows more, and weights far from equal."""
    rng = np.random.default_rng(seed)
    w = np.zeros((nodes, nodes))
    for a in range(nodes):
        w[(a + 1) % nodes, a] = rng.uniform(0.1, 1)
        w[a, a] = rng.uniform(0, 0.5)
    for a, b in rng.integers(nodes, size=(nodes, 2)):
        w[b, a] = rng.uniform(0.1, 2)
    w /= w.sum(axis=0 if by_column else 1, keepdims=True)
    return w


@pytest.mark.parametrize("arguments, expected", [
    (["ring", "-n", 16, "--weights", "uniform"], 0.949253),
    (["hypercube", "-n", 32, "--weights", "uniform"], 4 / 6),
    (["exponential", "-n", 64], 1 - 2 / 7),
    (["ring", "-n", 9, "--weights", "metropolis"], (1 + 2 * math.cos(2 * math.pi / 9)) / 3),
    (["ring", "-n", 9], (2 + math.cos(2 * math.pi / 9)) / 3),
    (["star", "-n", 9], 1 - 1 / 18),
    (["one-peer-exponential", "-n", 16], 0),
], ids=lambda v: "-".join(map(str, v)) if isinstance(v, list) else "")
def test_second_eigenvalues_in_closed_form(arguments, expected):
    report = described(*arguments)
    assert report["lambda2_modulus"] == pytest.approx(expected, abs=5e-7)
    assert report["spectral_gap"] == pytest.approx(1 - expected, abs=5e-7)
    assert report["strongly_connected"] and report["components"] == [list(range(report["nodes"]))]


@pytest.mark.parametrize("by_column", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("nodes, seed", [(5, 1), (40, 2), (120, 3)])
def test_directed_weighted_files_against_dense_eigenvalues(tmp_path, nodes, seed, by_column):
    w = random_weights(nodes, seed, by_column)
    report = described(weighted_file(tmp_path / "g.txt", w, "directed columns" if by_column else "directed"))
    assert report["nodes"] == nodes and report["directed"] and report["weights"] == "of the file"
    assert report["lambda2_modulus"] == pytest.approx(second_modulus(w), rel=1e-6)
    assert report["consensus_rounds"] == pytest.approx(math.log(1e6) / -math.log(second_modulus(w)), abs=1.01)
    reached, steps = np.eye(nodes, dtype=int), 0
    while not reached.all():
        reached, steps = ((reached + (w > 0) @ reached) > 0).astype(int), steps + 1
    assert report["diameter"] == steps


def test_an_eigenvalue_near_minus_one_counts_too(tmp_path):
    (tmp_path / "g.txt").write_text("0 1 .45\n1 2 .45\n2 3 .45\n3 0 .45\n", encoding="utf-8")
    report = described(f"file:{tmp_path / 'g.txt'}")  # 0.1 + 0.9 cos(kπ/2): 1, 0.1, −0.8, 0.1
    assert report["lambda2_modulus"] == pytest.approx(0.8) and report["note"] == ""


def test_a_changing_graph_against_the_product_of_its_period():
    product = np.eye(12)
    for distance in (1, 2, 4, 8):
        product = (np.eye(12) + np.roll(np.eye(12), distance, axis=0)) / 2 @ product
    report = described("one-peer-exponential", "-n", 12)
    assert report["period"] == 4
    assert report["lambda2_modulus"] == pytest.approx(second_modulus(product) ** 0.25, rel=1e-6)


def test_metropolis_weights_of_an_irregular_file_against_dense_eigenvalues(tmp_path):
    edges = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 3), (5, 6)]
    (tmp_path / "g.txt").write_text("".join(f"{a} {b}\n" for a, b in edges), encoding="utf-8")
    degree = np.bincount(np.array(edges).ravel())
    w = np.zeros((7, 7))
    for a, b in edges:
        w[a, b] = w[b, a] = 1 / (1 + max(degree[a], degree[b]))
    w += np.diag(1 - w.sum(axis=1))
    for weights, matrix in (("metropolis", w), ("lazy", (np.eye(7) + w) / 2)):
        report = described(f"file:{tmp_path / 'g.txt'}", "--weights", weights)
        assert report["lambda2_modulus"] == pytest.approx(second_modulus(matrix), rel=1e-6)
        assert report["doubly_stochastic"] and not report["directed"]
    assert (report["edges"], report["least_degree"], report["most_degree"]) == (8, 1, 3)


@pytest.mark.parametrize("name, nodes, edges", [
    ("exponential", 8, 8 * 3), ("exponential", 12, 12 * 4), ("one-peer-exponential", 8, 8 * 3), ("ring", 8, 8),
    ("symmetric-exponential", 8, 8 * 5 // 2), ("complete", 6, 15)])
def test_edges_are_counted_once_each_way_of_a_directed_graph(name, nodes, edges):
    """exponential: k sends to k + 2^i mod n; undirected, to k ± 2^i, of which k + 4 and k - 4 are one of 8."""
    assert described(name, "-n", nodes)["edges"] == edges


def test_bytes_and_rounds_by_hand():
    ring = described("ring", "-n", 5, "--columns", 7)
    assert ring["bytes_per_round"] == 5 * 2 * 7 * 8 and ring["bytes_per_round_per_node"] == 2 * 7 * 8
    star = described("star", "-n", 5)
    assert star["bytes_per_round"] == 8 * 8 and star["bytes_per_round_per_node"] == 4 * 8
    assert described("one-peer-exponential", "-n", 16)["consensus_rounds"] == 4
    lambda2 = ring["lambda2_modulus"]
    assert ring["consensus_rounds"] == math.ceil(math.log(1e6) / -math.log(lambda2))
    text = run("topology", "ring", "-n", 5, "--columns", 7).stdout
    for words in (r"strongly connected\s+yes", r"diameter\s+2\b", r"\|λ₂\|\s+0\.7", r"spectral gap\s+0\.2",
                  r"rounds to 1e-6\s+\d", r"bytes a round\s+560 B"):
        assert re.search(words, text), text


def test_ten_thousand_nodes():
    report = described("exponential", "-n", 10000)
    assert report["spectrum_converged"] and report["strongly_connected"]
    ring = described("ring", "-n", 10000, "--weights", "uniform")
    assert ring["spectral_gap"] == pytest.approx(4 * math.sin(math.pi / 10000) ** 2 / 3, rel=1e-5)


def test_a_graph_in_parts_is_described_with_them(tmp_path):
    (tmp_path / "g.txt").write_text("directed\n0 1\n1 0\n1 2\n2 3\n3 2\n3 4\n4 2\n", encoding="utf-8")
    report = described(f"file:{tmp_path / 'g.txt'}")
    assert report["components"] == [[2, 3, 4], [0, 1]] and not report["strongly_connected"]
    assert report["diameter"] is None and report["consensus_rounds"] is None
    text = run("topology", f"file:{tmp_path / 'g.txt'}").stdout
    assert re.search(r"strongly connected\s+no\ncomponents\s+2 3 4\n\s+0 1\n", text) and "never" in text


def test_bipartite_without_own_weights_is_made_lazy_and_said(tmp_path):
    (tmp_path / "g.txt").write_text("0 1 .5\n1 2 .5\n2 3 .5\n3 0 .5\n", encoding="utf-8")
    report = described(f"file:{tmp_path / 'g.txt'}")
    assert "bipartite" in report["note"] and "lazy" in report["note"]
    assert report["lambda2_modulus"] == pytest.approx(0.5)  # (1 + cos(2π/4))/2
    assert "bipartite" in run("topology", f"file:{tmp_path / 'g.txt'}").stdout


@pytest.mark.parametrize("text, words", [
    ("0 1 .5\n1 2 .9\n2 0 .5\n", ["g.txt:2:", r"row 1", "1.4"]),
    ("directed columns\n0 1 .5\n0 2 .7\n1 0 1\n2 0 1\n", ["g.txt:3:", "column 0", "1.2"]),
    ("0 1\n1 2 .5\n", ["g.txt:2:", "weight"]),
    ("0 1\n1 0\n", ["g.txt:2:", "line 1"]),
    ("0 x\n", ["g.txt:1:3", "'x'"]),
    ("", ["g.txt", "no edge"]),
])
def test_mistakes_in_files_are_named(tmp_path, text, words):
    (tmp_path / "g.txt").write_text(text, encoding="utf-8")
    refused(run("topology", f"file:{tmp_path / 'g.txt'}", code=None), *words)


@pytest.mark.parametrize("arguments, words", [
    (["rnig", "-n", 4], ["rnig", "ring"]), (["torus:2x3", "-n", 7], ["torus", "7"]),
    (["star", "-n", 5, "--weights", "uniform"], ["uniform", "--weights lazy"]),
    (["exponential", "-n", 8, "--weights", "lazy"], ["directed", "--weights uniform"]),
    (["ring", "-n", 8, "--weights", "file"], ["--weights file"]), (["ring"], ["-n"]),
    (["ring", "-n", 4, "-o", "/nowhere/g.svg"], ["/nowhere/g.svg"]),
])
def test_what_does_not_fit_is_refused(arguments, words):
    refused(run("topology", *arguments, code=None), *words)


def drawn(path, name, nodes):
    """The circles (x, y, r) and the straight edges (x, y, x, y) of a drawing, and the number of curved ones."""
    run("topology", name, "-n", nodes, "-o", path)
    text = path.read_text(encoding="utf-8")
    root, text = xml.etree.ElementTree.fromstring(text), text.split("</defs>")[1]
    circles = [[float(c.get(k)) for k in ("cx", "cy", "r")] for c in root.iter("{http://www.w3.org/2000/svg}circle")]
    number = r"(-?[\d.]+)"
    lines = [[float(v) for v in m] for m in re.findall(rf"M{number} {number}L{number} {number}", text)]
    return np.array(circles), np.array(lines), len(re.findall(r"Q", text))


@pytest.mark.parametrize("nodes", [8, 16, 64, 256])
@pytest.mark.parametrize("name", NAMES)
def test_no_two_nodes_of_a_drawing_overlap(tmp_path, name, nodes):
    circles, lines, curves = drawn(tmp_path / "g.svg", name, nodes)
    assert len(circles) == nodes and len(lines) + curves == described(name, "-n", nodes)["edges"]
    apart = np.hypot(*(circles[:, None, i] - circles[None, :, i] for i in (0, 1)))
    apart[np.diag_indices(nodes)] = np.inf
    assert apart.min() > 2.2 * circles[0, 2]


@pytest.mark.parametrize("nodes", [8, 16, 64])
@pytest.mark.parametrize("name", ["line", "star", "torus", "hypercube"])
def test_no_edge_runs_through_a_third_node(tmp_path, name, nodes):
    circles, lines, _ = drawn(tmp_path / "g.svg", name, nodes)
    a, b, radius = lines[:, None, :2], lines[:, None, 2:], circles[0, 2]
    p = circles[None, :, :2]
    along = np.clip(((p - a) * (b - a)).sum(2) / ((b - a) ** 2).sum(2), 0, 1)
    away = np.hypot(*np.moveaxis(a + along[..., None] * (b - a) - p, 2, 0))
    third = (np.hypot(*np.moveaxis(a - p, 2, 0)) > 0.5) & (np.hypot(*np.moveaxis(b - p, 2, 0)) > 0.5)
    assert away[third].min() > radius
