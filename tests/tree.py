"""The files of the project, for tests that read them."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def files():
    """Every file that is or would be tracked, relative to ROOT."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
        return sorted(pathlib.Path(n) for n in names if n and (ROOT / n).is_file())
    skipped = {"build", ".venv", ".git", "__pycache__", ".pytest_cache"}
    found = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
    return sorted(p for p in found if not skipped & set(p.parts))


def cxx_files(*folders):
    return [p for p in files() if p.suffix in (".h", ".cc") and p.parts[0] in folders]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


_NOT_CODE = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<raw>R"(?P<d>[^(\s]*)\(.*?\)(?P=d)")|"""
    r"""(?P<text>"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*')""", re.S)


def code(path):
    """A C++ file without its comments and the contents of its strings; line numbers stay."""
    def blank(match):
        return '""' + "\n" * match.group(0).count("\n") if not match.group("comment") else "\n" * match.group(0).count("\n")
    return _NOT_CODE.sub(blank, read(path))


def findings(paths, pattern, allowed=lambda path, line: False, text=code):
    """'path:line: text' for each line of the files that matches."""
    found = []
    for path in paths:
        for number, line in enumerate(text(path).splitlines(), 1):
            if re.search(pattern, line) and not allowed(path, line):
                found.append(f"{path}:{number}: {line.strip()}")
    return found
