"""What `cmake --install` leaves stands alone: the command runs, and a program outside the tree builds against it."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("MUSTER_BUILD", ROOT / "build/release"))


def call(*command, **options):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    place = tmp_path_factory.mktemp("prefix")
    call("cmake", "--install", BUILD, "--prefix", place)
    return place


@pytest.fixture(scope="module")
def consumer(tmp_path_factory, prefix):
    place = tmp_path_factory.mktemp("consumer")
    call("cmake", "-S", ROOT / "tests/install/consumer", "-B", place, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
         "-DCMAKE_BUILD_TYPE=Release")
    call("cmake", "--build", place)
    return place / "consumer"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n1,1,6\n2,1,8\n3,5,22\n4,0,9\n7,2,21\n", encoding="utf-8")  # y = 1 + 2a + 3b
    return path


def test_what_is_installed(prefix):
    for name in ("bin/muster", "include/muster/muster.h"):
        assert (prefix / name).is_file(), name
    assert list(prefix.glob("lib*/**/libmuster.so*")) and list(prefix.glob("lib*/**/muster-config.cmake"))


def libraries(program):
    """name -> file, as the loader finds them without help from the environment."""
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    text = call("ldd", program, env=environment)
    assert "not found" not in text, text
    return dict(re.findall(r"(\S+) => (\S+)", text))


def test_nothing_comes_from_the_build_or_the_environment_of_python(prefix):
    for program in (prefix / "bin/muster", *prefix.glob("lib*/**/libmuster.so")):
        inside = [f for f in libraries(program).values() if f.startswith(str(ROOT) + "/")]
        assert not inside


def test_headers_say_nothing_of_the_source_tree(prefix):
    texts = [p for pattern in ("**/*.h", "**/*.cmake") for p in prefix.glob(pattern)]
    assert texts and not [p for p in texts if str(ROOT) + "/" in p.read_text(encoding="utf-8")]


def test_the_installed_command_runs(prefix, table, tmp_path):
    call(prefix / "bin/muster", "train", table, "--target", "y", "-o", tmp_path / "m.json", cwd=tmp_path)


def test_a_program_outside_the_tree_trains(consumer, table):
    values = dict(line.split() for line in call(consumer, table).splitlines())
    assert {k: round(float(v), 9) for k, v in values.items() if k != "digits"} == {"intercept": 1, "a": 2, "b": 3}
    assert values["digits"] == "known"


def test_errors_reach_the_program(consumer, tmp_path):
    result = subprocess.run([consumer, tmp_path / "no.csv"], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and result.stderr.startswith("consumer: ") and "no.csv" in result.stderr
