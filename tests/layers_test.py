"""A folder is a layer: includes point only down, and what the style of the house forbids is not there."""
import re

from tree import ROOT, code, cxx_files, files, findings, read

# The arrows of docs/ARCHITECTURE.md: what a layer links, and so (with what those link) may include.
ARROWS = {
    "base": [],
    "kernels": ["base"],
    "data": ["base"],
    "objective": ["kernels", "data"],
    "solver": ["base"],
    "cluster": ["base"],
    "train": ["objective", "solver", "cluster"],
    "model": ["data"],
    "engine": ["train", "model", "cluster/threads", "cluster/mpi", "cluster/sim"],
}
TRANSPORTS = ("cluster/threads", "cluster/mpi", "cluster/sim")
ARROWS.update({transport: ["cluster"] for transport in TRANSPORTS})

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def below(layer):
    reached = {layer}
    for lower in ARROWS[layer]:
        reached |= below(lower)
    return reached


def layer_of(path):
    """The layer of src/…, or of an include path; a transport is a layer of its own."""
    parts = [p for p in path.parts[:-1]] if hasattr(path, "parts") else path.split("/")[:-1]
    if parts and parts[0] == "src":
        parts = parts[1:]
    joined = "/".join(parts)
    for transport in TRANSPORTS:
        if joined == transport or joined.startswith(transport + "/"):
            return transport
    return parts[0] if parts else ""


def includes(path):
    """Includes are read from the raw text: their names are in quotes."""
    return [(mark, name) for mark, name in INCLUDE.findall(read(path))]


def test_the_build_links_these_arrows():
    text = read("src/CMakeLists.txt")
    for layer, links in re.findall(r"^muster_layer\((\w+)([^)]*)\)", text, re.M):
        linked = {l.removeprefix("muster_").replace("cluster_", "cluster/") for l in links.split() if l.startswith("muster_")}
        assert linked == set(ARROWS[layer]), f"muster_layer({layer} …) in src/CMakeLists.txt"


def test_every_folder_is_a_layer():
    unknown = {str(p) for p in cxx_files("src") if layer_of(p) not in ARROWS}
    assert not unknown


def test_includes_point_only_down():
    wrong = []
    for path in cxx_files("src"):
        allowed = below(layer_of(path))
        for mark, name in includes(path):
            if mark == '"' and not name.startswith("muster/") and layer_of(name) not in allowed:
                wrong.append(f"{path} includes {name}")
    assert not wrong


def test_quoted_includes_exist():
    missing = []
    for path in cxx_files("src", "cli", "include"):
        for mark, name in includes(path):
            places = [ROOT / "src" / name, ROOT / "include" / name, (ROOT / path).parent / name]
            if mark == '"' and not any(p.is_file() for p in places):
                missing.append(f"{path} includes {name}")
    assert not missing


def test_the_public_face_stands_alone():
    wrong = []
    for path in cxx_files("include", "cli"):
        for mark, name in includes(path):
            own = path.parts[0] == "cli" and "/" not in name
            if mark == '"' and not name.startswith("muster/") and not own:
                wrong.append(f"{path} includes {name}")
    for path in cxx_files("include"):
        for mark, name in includes(path):
            if mark == "<" and ("/" in name or name.endswith(".h")):
                wrong.append(f"{path} includes <{name}>")
    assert not wrong


def test_only_the_engine_names_a_transport():
    wrong = []
    for path in cxx_files("src"):
        layer = layer_of(path)
        for mark, name in includes(path):
            if mark == '"' and layer_of(name) in TRANSPORTS and layer not in ("engine", layer_of(name)):
                wrong.append(f"{path} includes {name}")
    assert not wrong


def test_libraries_stay_in_their_layers():
    homes = {
        r"^mpi\.h": ("cluster/mpi",),
        r"^(arrow|parquet)/": ("data",),
        r"^hwy/": ("kernels",),
        r"^boost/math/": ("engine",),
        r"^(boost/context|toml\+\+)/": ("cluster/sim",),
        r"^nlohmann/": ("data", "model", "engine"),
        r"^CLI/": ("cli",),
    }
    wrong = []
    for path in cxx_files("src", "cli"):
        layer = "cli" if path.parts[0] == "cli" else layer_of(path)
        for _, name in includes(path):
            for pattern, layers in homes.items():
                if re.search(pattern, name) and layer not in layers:
                    wrong.append(f"{path} includes {name}")
    assert not wrong


def test_heavy_headers_stay_out_of_headers():
    wrong = []
    for path in cxx_files("src", "include", "cli"):
        if path.suffix == ".h":
            wrong += [f"{path} includes {n}" for _, n in includes(path) if re.match(r"(arrow|parquet|nlohmann)/.*\.", n)]
    # Arrow's forward declarations are made to be included.
    assert not [w for w in wrong if not re.search(r"(type_fwd|json_fwd)\.", w)]


def test_headers_are_guarded():
    assert not [str(p) for p in cxx_files("src", "include", "cli") if
                p.suffix == ".h" and not p.name.endswith("-inl.h") and "#pragma once" not in read(p)]


def test_ownership_is_in_types():
    paths = cxx_files("src", "cli", "include")
    made = findings(paths, r"\bnew\b", lambda p, line: re.search(r"::new \(|operator new|#\s*include <new>|unique_ptr<\w+>\(new ", line))
    ended = findings(paths, r"\bdelete\b", lambda p, line: re.search(r"=\s*delete\b|operator delete", line))
    assert not made + ended


def test_time_and_chance_are_injected():
    """Below the engine nobody reads a clock or seeds himself, but for the transports, whose clock is the Endpoint's."""
    paths = [p for p in cxx_files("src") if layer_of(p) not in ("engine",) + TRANSPORTS]
    assert not findings(paths, r"_clock::now|\bclock_gettime\b|\bgettimeofday\b|random_device|\btime\((nullptr|NULL|0)\)|\bs?rand\(")


def test_nobody_prints_below_the_command():
    """Words for people leave by return values and observers; a failed check and a rank about to abort the run can not."""
    paths = [p for p in cxx_files("src") if str(p) not in ("src/base/check.cc", "src/cluster/mpi/mpi_launch.cc")]
    assert not findings(paths, r"std::(cout|cerr|clog)\b|\bprintf\(|\bputs\(|fmt::print\(")


TEMPLATE = re.compile(r"template\s*<[^<>]*(?:<[^<>]*>[^<>]*)*>")
SCOPE = re.compile(r"(?:\b(?P<kind>namespace|class|struct|union|enum(?:\s+(?:class|struct))?)"
                   r"\s*(?:alignas\([^)]*\)|\[\[[^\]]*\]\])?\s*(?P<name>[\w:]*)[^;{}()=]*)?(?P<brace>[{}])")


def types_of(path):
    """Qualified names of the types that a file defines in named namespaces; not nested or unnamed ones."""
    found, scopes = [], []  # of the open braces: the namespace's name, or "" for all others
    for token in SCOPE.finditer(TEMPLATE.sub("", code(path))):
        if token["brace"] == "}":
            scopes.pop()
            continue
        space = token["kind"] == "namespace"
        if token["kind"] and not space and token["name"] and "" not in scopes:
            found.append("::".join([*scopes, token["name"]]))
        scopes.append(token["name"] if space else "")
    assert not scopes, f"{path}: braces do not match"
    return found


def test_no_two_types_have_one_name():
    """Of two classes with one qualified name the linker keeps one's functions for both."""
    homes = {}
    for path in cxx_files("src", "include", "cli", "tests", "bench"):
        for name in types_of(path):
            homes.setdefault(name, []).append(str(path))
    assert len(homes) > 100
    assert not {name: paths for name, paths in homes.items() if len(paths) > 1}


def test_no_file_is_two_ideas():
    """Files stay under about 400 lines."""
    long = {str(p): len(read(p).splitlines()) for p in cxx_files("src", "cli", "include", "tests")}
    assert not {p: n for p, n in long.items() if n > 420}


def test_no_line_waits_for_later():
    assert not findings(cxx_files("src", "cli", "include"), r"\b(TODO|FIXME|XXX)\b", text=read)


def test_no_machine_is_named():
    """Nothing of one machine, one registry or one mirror is written down."""
    places = "|".join(["ho" + "me", "wo" + "rk", "ro" + "ot", "Us" + "ers"])
    hosts = "|".join([r"py" + r"pi\.org", r"pythonho" + "sted", r"deb\.deb" + r"ian\.org", r"npm" + r"js\.org", "artifac" + "tory"])
    texts = [p for p in files() if p.suffix in (".h", ".cc", ".py", ".md", ".txt", ".cmake", ".json", "", ".in") and
             not str(p).startswith("tests/data")]
    assert not findings(texts, rf"(?<![\w.$}}])/({places})/|{hosts}", text=read)


def test_the_checks_can_fail(tmp_path):
    """The scanner sees code and only code."""
    sample = tmp_path / "sample.cc"
    sample.write_text('int* p = new int;  // a new one\nauto s = "new";\n/* new\nnew */ auto c = \'"\'; int x = 1\'000; // delete\n')
    assert findings([sample], r"\bnew\b|\bdelete\b") == [f"{sample}:1: int* p = new int;"]
    assert code(sample).count("\n") == 4


def test_the_scanner_of_types_can_tell_them_apart(tmp_path):
    sample = tmp_path / "sample.h"
    sample.write_text("namespace a { class B; template <class T, class U = X<T>> struct B : public C<T> { struct D { int x; }; };\n"
                      "namespace { class E {}; }\nnamespace c::d { enum class F : int { g }; }\nvoid f(struct G* g) { struct H {}; }\n"
                      "class alignas(64) I final : J {};\n}\n")
    assert types_of(sample) == ["a::B", "a::c::d::F", "a::I"]
