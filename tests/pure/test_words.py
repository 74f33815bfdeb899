"""One word, one meaning, and the one that people search for: over docs, docstrings, comments, messages and names.

What docs and docstrings say of modules and files is held to what is there.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("harness", "loadgen", "reports")
CODE = tuple(sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py")))
TESTS = tuple(sorted((ROOT / "tests").rglob("*.py")))
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))

UNUSED = {
    r"mend(s|ed|ing)?": "fix",
    r"deeds?": "step, change, operation",
    r"take off what is ours|(what|something|nothing|things?) (is |of )?ours": "revert, left on the cluster",
    r"thr(ow|ew|own|owing)( \w+)? out": "evict, preempt",
    r"go(es)? dark": "has no ready endpoints",
    r"r[ua]ns? over (the|a|its) budget": "violates the PodDisruptionBudget",
    r"brought back by nobody|nobody brings? \w+ back": "no replacement",
    r"courses?": "simulation",
    r"chances": "variants",
    r"paint(s|ed|ing)?": "assess",
    r"doors?": "port-forward, entry point",
    r"dials?": "node pressure",
    r"froze|freez(es|ing)|thaw(s|ed)?": "pause, resume",
    r"stage": "RunContext",
    r"decider": "what would decide",
    r"inventory": "cluster state",
    r"ping-pong": "eviction loop",
}
"""Words of our own making (case is not looked at), and what is said in their place. Old names of verbs that still work
(`dial`, `door`, `freeze`, `thaw`) are written as code, which is not looked at."""

RETIRED = {
    *("Course", "Chance", "Rush", "Company", "NearRule", "AwayRule", "PortRule", "SpreadRule", "Preemptor", "Picture"),
    *("Fate", "Tier", "Demand", "Deeds", "Deed", "Stage", "Wish", "Alarm", "Voice", "Ear", "Flight", "Inventory"),
    *("PodRecord", "NodeRecord", "Life"),
}
"""Names of classes that were given up for Kubernetes' own, or for plainer ones."""

_WORD = re.compile(rf"(?<![\w.-])({'|'.join(UNUSED)})(?![\w-])", re.I)
_FENCE = re.compile(r"^```.*?^```", re.M | re.S)
_INLINE = re.compile(r"``[^`]*``|`[^`\n]*`")
_FILE = re.compile(r"(?<![\w<>{}./*-])[\w./-]*\w\.(?:py|md|go)\b")
_MODULE = re.compile(rf"(?<![\w./-])(?:{'|'.join(ROOMS)})(?:\.\w+)+")
_UPSTREAM = re.compile(r"\b(pkg|cmd|staging|plugin|test/e2e|k8s\.io|sigs\.k8s\.io)/")
_FILES_OF_OTHERS = {"argparse.py"}
"""Files that are named and are not ours: Python's. ``NAME`` in a path stands for what the reader calls it."""


def label(path: Path) -> str:
    """The path within the repository."""
    return str(path.relative_to(ROOT))


def unused(text: str) -> list[str]:
    """The words in `text`, code left out, that are not used."""
    return [found[0] for found in _WORD.finditer(_INLINE.sub("", _FENCE.sub("", text)))]


@cache
def tree(module: Path) -> ast.Module:
    """A module, parsed."""
    return ast.parse(module.read_text(encoding="utf-8"))


def texts(module: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every comment, docstring and other text of a module."""
    with module.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def docstrings(module: Path) -> Iterator[str]:
    """What a module, its classes and its functions say of themselves."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@cache
def files() -> tuple[str, ...]:
    """Every file of the repository that is not made by a tool, with / before it."""
    rel = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
    return tuple(f"/{name}" for name in rel if not name.startswith((".", "runs/")) and "__pycache__" not in name)


@cache
def names_of(module: Path) -> frozenset[str]:
    """What a module defines or imports, at any depth."""
    found = set()
    for node in ast.walk(tree(module)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.alias(asname=str(name)) | ast.alias(name=name):
                found.add(name)
    return frozenset(found)


def is_there(dotted: str) -> bool:
    """Whether a dotted name (package, modules, name) is a module, or a name in one."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:end])
        module = next((each for each in (base.with_suffix(".py"), base / "__init__.py") if each.is_file()), None)
        if module is not None:
            rest = parts[end:]
            return not rest or rest[0] in names_of(module) or rest[0].startswith("__")
    return False


def missing(text: str) -> list[str]:
    """The modules and files that `text` names and that are not there."""
    gone = [name for name in _MODULE.findall(text) if not is_there(name)]
    for name in _FILE.findall(_UPSTREAM.sub("\0/", text)):
        path = name.removeprefix("./").lstrip("./")
        ours = (
            path not in _FILES_OF_OTHERS
            and "NAME" not in path
            and (not path.endswith(".go") or path.startswith("harness/"))
        )
        if ours and not any(file.endswith(f"/{path}") for file in files()):
            gone.append(name)
    return gone


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_pages_use_plain_words(page: Path) -> None:
    assert unused(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", CODE, ids=label)
def test_code_speaks_plain_words(file: Path) -> None:
    found = [(line, word) for line, text in texts(file) if " " in text for word in unused(text)]
    assert found == []


@pytest.mark.parametrize("file", CODE, ids=label)
def test_names_that_were_given_up_stay_so(file: Path) -> None:
    defined = {node.name for node in ast.walk(tree(file)) if isinstance(node, ast.ClassDef)}
    assert defined & RETIRED == set()


@pytest.mark.parametrize("file", [*CODE, *TESTS], ids=label)
def test_docstrings_name_what_is_there(file: Path) -> None:
    assert [name for text in docstrings(file) for name in missing(text)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=label)
def test_pages_name_what_is_there(page: Path) -> None:
    assert missing(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", [file for file in CODE if file.name == "__init__.py"], ids=label)
def test_a_package_names_its_own_modules(file: Path) -> None:
    """Whatever bare word a package's docstring writes as code is one of its modules, or a name in one of them."""
    docstring = ast.get_docstring(tree(file)) or ""
    here = {each.stem for each in file.parent.iterdir()} | {"locust", "gevent", "taintlab", *ROOMS}
    known = here.union(*(names_of(module) for module in file.parent.glob("*.py")))
    assert set(re.findall(r"`([a-z_]{2,})`", docstring)) - known == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("how to mend it", ["mend"]),
        ("`mend` and ``deed``", []),
        ("``` \nmend\n```", []),
        ("Deeds are done, of course", ["Deeds", "course"]),
        ("amend, recommend, indeed", []),
        ("it goes dark", ["goes dark"]),
        ("throws nothing, was thrown out", ["thrown out"]),
        ("throwing others out", ["throwing others out"]),
        ("`lab dial` is an alias; the dial is not", ["dial"]),
        ("dialled", []),
    ],
)
def test_an_unused_word_is_noticed(text: str, found: list[str]) -> None:
    assert unused(text) == found


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("see harness.clock and `harness.errors.ExitCode`", []),
        ("see harness.clocks", ["harness.clocks"]),
        ("see harness.errors.ExitCodes", ["harness.errors.ExitCodes"]),
        ("clock.py, harness/clock.py, docs/tour.md", []),
        ("clocks.py, run/clock.py", ["clocks.py", "run/clock.py"]),
        ("pkg/controller/tainteviction/taint_eviction.go", []),
        ("harness/lab/plane/nothing.go", ["harness/lab/plane/nothing.go"]),
    ],
)
def test_what_is_not_there_is_noticed(text: str, gone: list[str]) -> None:
    assert missing(text) == gone
