"""YAML with positions: what scalars mean, where things stand, and that no text can break the loader."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.formats.compose import MAX_DEPTH, MAX_NODES, BoundPassed, Composer, resolve
from harness.formats.document import parse
from harness.formats.nodes import Listing, Place, Scalar, Table, plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("spot", "spot"),
        ("true", True),
        ("yes", True),
        ("On", True),
        ("y", True),
        ("no", False),
        ("off", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("5", 5),
        ("-5", -5),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0644", 420),
        ("0o14", 12),
        ("-0b11", -3),
        ("08", 8.0),
        ("1.35", 1.35),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("5s", "5s"),
        ("100/s", "100/s"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("-", "-"),
        ("+", "+"),
        ("0x", "0x"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_scalar_means_what_it_means_to_kubernetes(text: str, value: object) -> None:
    resolved = resolve(text)
    assert resolved == value
    assert type(resolved) is type(value)


def test_places_of_keys_and_values() -> None:
    (root,) = parse("a: 1\nb:\n  - x\n  - {c: 'd'}\n", file="f").documents
    assert isinstance(root, Table)
    assert root.place_of("b") == Place(2, 1)
    listing = root.get("b")
    assert isinstance(listing, Listing)
    assert listing.items[0] == Scalar("x", "x", False, Place(3, 5))
    inner = listing.items[1]
    assert isinstance(inner, Table)
    assert inner.at == Place(4, 5)
    assert inner.entries[0].at == Place(4, 6)
    assert inner.entries[0].value == Scalar("d", "d", True, Place(4, 9))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x {k: v}\nb: *x\n", {"a": {"k": "v"}, "b": {"k": "v"}}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n", {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}}),
        (
            "a: &x {k: 1}\nb: &z {k: 2, m: 3}\nc: {<<: [*x, *z]}\n",
            {"a": {"k": 1}, "b": {"k": 2, "m": 3}, "c": {"k": 1, "m": 3}},
        ),
        ("'<<': 1\n", {"<<": 1}),
        ("1: x\n", {"1": "x"}),
        ("a: !!str 5\n", {"a": "5"}),
        ("a: |\n  5\n", {"a": "5\n"}),
        ("\ufeffa: 1\n", {"a": 1}),
    ],
)
def test_one_document(text: str, value: object) -> None:
    parsed = parse(text, file="f")
    assert not parsed.problems
    assert [plain(document) for document in parsed.documents] == [value]


def test_empty_documents_are_left_out() -> None:
    assert [plain(d) for d in parse("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n", file="f").documents] == [
        {"a": 1},
        {"b": 2},
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "fix"),
    [
        ("a: 1\na: 2\n", 2, 1, "a is given twice, first in line 1", "keep one"),
        ("a: {b: 1, b: 2}\n", 1, 11, "b is given twice", "keep one"),
        ("on: 1\n", 1, 1, "reads the key on as a boolean", 'quote it: "on"'),
        ("? [a]\n: 1\n", 1, 3, "a key must be text", ""),
        ("010: 1\n", 1, 1, "reads the key 010 as a number", "quote it"),
        ("a: !secret x\n", 1, 4, "the tag !secret", "without a tag"),
        ("a: !!set {x: }\n", 1, 4, "the tag !!set", "without a tag"),
        ("a: *x\n", 1, 4, "*x names an anchor", "write &x before it"),
        ("a: &x [*x]\n", 1, 8, "*x names an anchor", "write &x before it"),
        ("a: {<<: 5}\n", 1, 5, "<< merges mappings only", "alias"),
        ("a:\n\tb: 1\n", 2, 1, "not valid YAML", "spaces, not tabs"),
        ("a: b: c\n", 1, 5, "mapping values are not allowed", "indentation"),
        ("a: [1, 2\nb: 3\n", 2, 2, "expected ',' or ']'", "close the bracket"),
        ('a: "x\n', 1, 4, "unexpected end of stream", "close the quote"),
        ("a: 'it's'\n", 1, 8, "expected <block end>", "''"),
        ("a: 1\n  b: 2\n", 2, 4, "mapping values are not allowed", "indentation"),
        ("a: @x\n", 1, 4, "cannot start any token", "quote"),
        ("a: \x07\n", 1, 4, "no character #x0007", "take it out"),
        ("a: " + "[" * (MAX_DEPTH + 1), 1, MAX_DEPTH + 3, "nested deeper", "flatten"),
    ],
)
def test_problem(text: str, line: int, column: int, message: str, fix: str) -> None:
    (problem,) = parse(text, file="f").problems
    assert (problem.line, problem.column) == (line, column)
    assert message in problem.message
    assert fix in problem.fix


def test_what_stands_before_a_syntax_error_is_kept() -> None:
    parsed = parse("a: 1\na: 2\n---\nb: 1\n---\nc: [\n", file="f")
    assert parsed.broken
    assert [plain(document) for document in parsed.documents] == [{"a": 1}, {"b": 1}]
    assert [problem.line for problem in parsed.problems] == [2, 7]


def test_aliases_cannot_make_a_small_file_large() -> None:
    """The billion laughs: nine lines that stand for a thousand million values."""
    lines = ["a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for name, before in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    parsed = parse("\n".join(lines), file="f")
    assert parsed.broken
    (problem,) = parsed.problems
    assert f"more than {MAX_NODES} values" in problem.message


def test_merges_cannot_either() -> None:
    lines = ["a: &a {k: [" + "x, " * 999 + "x]}"]
    for name, before in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"{name}: &{name} {{" + ", ".join(f"k{n}: *{before}" for n in range(10)) + "}")
    assert parse("\n".join(lines), file="f").broken


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:,-[]{}&*!|>'\"# \n.1é"), max_size=40))
def test_both_parsers_see_the_same_tree(text: str) -> None:
    """Which of PyYAML's two parsers reads a file is a matter of speed, where both take it (C takes ``|#`` too)."""
    quick, slow = Composer("f"), Composer("f")
    try:
        quick.compose(text, quick=True)
        slow.compose(text, quick=False)
    except (yaml.YAMLError, BoundPassed):
        return
    assert quick.documents == slow.documents
    assert quick.problems.found == slow.problems.found


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:,-[]{}&*!|>'\"%@`#? \n\t<~0.1"), max_size=60))
def test_no_text_breaks_the_loader(text: str) -> None:
    parsed = parse(text, file="f")
    assert parsed.problems or not parsed.broken
