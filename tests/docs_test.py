"""What the documents name is there: paths, links, and the command's options both ways round."""
import os
import re
import subprocess

import pytest

from tree import ROOT, files, read

PAGES = [p for p in files() if p.suffix == ".md" and (p.parts[0] == "docs" or str(p) == "README.md" or p.parts[0] == "examples")]
MUSTER = os.environ.get("MUSTER", str(ROOT / "build/release/muster"))
# Options of other programs that the documents mention.
FOREIGN = {"--allow-run-as-root", "--oversubscribe", "--mpi", "--preset", "--install", "--prefix", "--build", "--quick",
           "--check", "--long", "--all", "--help", "--version", "--hostfile", "--bind-to", "--mca", "--host"}


def spans(page):
    """Text in backticks and in fenced blocks."""
    text = read(page)
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, re.M | re.S)
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)), fenced


def exists(name):
    places = [ROOT / name, ROOT / "src" / name, ROOT / "include" / name]
    return any(p.exists() or (any(c in name for c in "*?") and list(p.parent.glob(p.name))) for p in places)


def test_there_are_pages():
    names = {str(p) for p in PAGES}
    assert {"README.md", "docs/ARCHITECTURE.md", "docs/DEPENDENCIES.md", "docs/DATA.md"} <= names


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_paths_named_exist(page):
    folders = {p.name for p in ROOT.iterdir() if p.is_dir()} | {p.name for p in (ROOT / "src").iterdir()} | {"muster"}
    missing = []
    for span in spans(page)[0]:
        name = re.sub(r"(:\d+)+$", "", span).rstrip("/")
        is_path = re.fullmatch(r"[\w.*-]+(/[\w.*-]+)+", name) and name.split("/")[0] in folders - {"build", ".venv"}
        is_source = re.fullmatch(r"[\w./*-]+\.(h|cc|py|cmake)", name)
        if (is_path or (is_source and "/" in name)) and not exists(name):
            missing.append(span)
        elif is_source and "/" not in name and not any(p.name == name for p in files()):
            missing.append(span)
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    broken = [target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(page))
              if "://" not in target and not ((ROOT / page).parent / target).exists()]
    assert not broken


def options_of(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text))


@pytest.fixture(scope="module")
def help_of():
    def ask(*command):
        return subprocess.run([MUSTER, *command, "--help"], capture_output=True, text=True, check=True).stdout
    commands = ("train", "tune", "predict", "evaluate", "topology", "inspect")
    return {c: options_of(ask(c)) for c in commands if re.search(rf"muster {c}\b", ask())}


def documented():
    return options_of("\n".join(read(p) for p in PAGES))


def test_every_option_is_documented(help_of):
    unsaid = set.union(*help_of.values()) - documented() - {"--help", "--version"}
    assert not unsaid


def test_every_documented_option_exists(help_of):
    unknown = documented() - set.union(*help_of.values()) - FOREIGN
    # A table of what is to come marks it so.
    planned = options_of("\n".join(l for p in PAGES for l in read(p).splitlines() if "planned" in l))
    assert not unknown - planned
