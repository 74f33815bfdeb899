"""How the code is built, where no linter looks: a union of ours is matched to its last member, the wall clock is read
in one place, a module is short.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("harness", "loadgen", "reports")
FILES = tuple(sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py")))
_BUILT_IN = frozenset({"str", "int", "float", "bool", "bytes", "list", "dict", "tuple", "set", "frozenset", "object"})


def catch_alls(tree: ast.Module) -> Iterator[int]:
    """The lines of catch-alls that end a match over classes or enums of ours. ``case _ as never: assert_never(never)``
    is none: it is an error for the type checker as soon as a member is forgotten.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Match) and any(_is_ours(case.pattern) for case in node.cases):
            last = node.cases[-1]
            if last.guard is None and _takes_all(last.pattern) and not _is_never(last):
                yield last.pattern.lineno


def _is_ours(pattern: ast.pattern) -> bool:
    """Whether somewhere in it a class that is not built in, or a member of an enum, is asked for."""
    for node in ast.walk(pattern):
        if isinstance(node, ast.MatchClass) and ast.unparse(node.cls) not in _BUILT_IN:
            return True
        if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Attribute):
            return True
    return False


def _takes_all(pattern: ast.pattern) -> bool:
    match pattern:
        case ast.MatchAs(pattern=None):
            return True
        case ast.MatchAs(pattern=ast.pattern() as inner):
            return _takes_all(inner)
        case ast.MatchOr(patterns=patterns):
            return any(map(_takes_all, patterns))
        case ast.MatchSequence(patterns=patterns):
            return all(map(_takes_all, patterns))
    return False


def _is_never(case: ast.match_case) -> bool:
    pattern = case.pattern
    name = pattern.name if isinstance(pattern, ast.MatchAs) else None
    return name is not None and ast.unparse(case.body[0]) == f"assert_never({name})"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_match_over_types_of_ours_ends_in_a_catch_all(file: Path) -> None:
    assert list(catch_alls(ast.parse(file.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("cases", "lines"),
    [
        ("case Taint():\n  pass\n case _:\n  pass", [4]),
        ("case Taint():\n  pass\n case other:\n  pass", [4]),
        ("case Taint(key=key) if key:\n  pass\n case _ as rest:\n  raise ValueError(rest)", [4]),
        ("case Action.HEAL, Taint():\n  pass\n case _, _:\n  pass", [4]),
        ("case Action.HEAL:\n  pass\n case _:\n  pass", [4]),
        ("case events.PodSeen():\n  pass\n case Taint() | _:\n  pass", [4]),
        ("case Taint():\n  pass\n case _ as never:\n  assert_never(never)", []),
        ("case Taint():\n  pass\n case Cordon():\n  pass", []),
        ("case str():\n  pass\n case _:\n  pass", []),
        ("case [b'start', at]:\n  pass\n case _:\n  pass", []),
    ],
)
def test_a_catch_all_is_noticed(cases: str, lines: list[int]) -> None:
    assert list(catch_alls(ast.parse(f"match thing:\n {cases}"))) == lines


# --- the wall clock ---

READS_THE_WALL_CLOCK = {
    "harness/lab/pki.py": "certificates are valid from an hour ago on, by the clock that the API server asks",
}
"""Beside `harness.clock`. (That nobody else imports `time` is a contract of import-linter, with its own exceptions.)"""


def wall_clock_reads(tree: ast.Module) -> Iterator[int]:
    """The lines that ask ``datetime`` or ``date`` what time it is; handed on as a function, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today"):
            owner = ast.unparse(node.value)
            if owner.split(".")[-1] in ("datetime", "date"):
                yield node.lineno


def test_only_the_clock_asks_what_time_it_is() -> None:
    found = {
        str(file.relative_to(ROOT))
        for file in FILES
        if any(wall_clock_reads(ast.parse(file.read_text(encoding="utf-8"))))
    }
    assert found == set(READS_THE_WALL_CLOCK)


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("from datetime import UTC, datetime\nnow = datetime.now(UTC)", [2]),
        ("import datetime\nnow = datetime.datetime.utcnow()", [2]),
        ("from datetime import date\ntoday = date.today()", [2]),
        ("from datetime import datetime\ndef f(now=datetime.now): ...", [2]),
        ("from datetime import datetime\nat = datetime.fromtimestamp(0)", []),
        ("now = clock.now()", []),
    ],
)
def test_a_look_at_the_wall_clock_is_noticed(code: str, lines: list[int]) -> None:
    assert list(wall_clock_reads(ast.parse(code))) == lines


# --- the length of modules ---

LONGEST = 400
LONG_BECAUSE = "Long because"
"""How the docstring of a longer module gives its reason."""


def too_long(text: str) -> bool:
    """Whether a module of this text is longer than `LONGEST` lines, and does not say why."""
    return len(text.splitlines()) > LONGEST and LONG_BECAUSE not in (ast.get_docstring(ast.parse(text)) or "")


def test_modules_are_short_or_say_why_not() -> None:
    texts = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in FILES}
    lengths = {name: len(text.splitlines()) for name, text in texts.items()}
    longest = max(lengths, key=lengths.__getitem__)
    print(f"\n{len(lengths)} modules, median {median(lengths.values()):g} lines, longest {longest}: {lengths[longest]}")
    assert [name for name, text in texts.items() if too_long(text)] == []


@pytest.mark.parametrize(
    ("docstring", "lines", "told"),
    [
        ("A table.", LONGEST - 1, False),
        ("A table.", LONGEST, True),
        ("A table. Long because it is one.", LONGEST, False),
    ],
)
def test_a_long_module_is_noticed(docstring: str, lines: int, told: bool) -> None:
    assert too_long(f'"""{docstring}"""\n' + "x = 1\n" * lines) is told
