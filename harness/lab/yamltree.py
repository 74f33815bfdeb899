"""YAML with places: reads a document's tree and notes every problem with its line and column, instead of stopping."""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Any, TypeVar

import yaml

from harness.errors import Problem
from harness.files import MIB
from harness.terminal import one_line

T = TypeVar("T")

MAX_BYTES = MIB
MAX_DEPTH = 32
MAX_NODES = 100_000
MAX_PROBLEMS = 1000
_LONGEST = 4096
_SLOW_CHARACTERS = 64 * 1024
_QUICK: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TooMany(Exception):
    """MAX_PROBLEMS are noted: stop reading."""


class Reader:
    """One file being read. Methods return a usable empty value after noting a problem, so reading goes on."""

    def __init__(self, file: str) -> None:
        """`file` is the name that problems are reported under."""
        self.file = file
        self.problems: list[Problem] = []

    def parse(self, text: str) -> yaml.Node | None:
        """The document's root; None (and a problem) when it is empty or not YAML."""
        try:
            if not self._bounded(text):
                return None
            root: yaml.Node | None = yaml.compose(text, Loader=_QUICK)
        except yaml.YAMLError as error:
            self._not_yaml(_known_words(text, error))
            return None
        if root is None:
            self.problems.append(Problem(self.file, 1, 1, "the file is empty", "write at least `nodes:`"))
        return root

    def _bounded(self, text: str) -> bool:
        """Whether the text is small enough to be composed, which recurses once a level in C. yaml.YAMLError."""
        depth = 0
        for number, event in enumerate(yaml.parse(text, Loader=_QUICK), start=1):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or number > MAX_NODES:
                words = f"nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"over {MAX_NODES:,} values"
                mark = event.start_mark
                line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
                self.problems.append(Problem(self.file, line, column, words))
                return False
        return True

    def _not_yaml(self, error: yaml.YAMLError) -> None:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        words = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        self.problems.append(Problem(self.file, line, column, one_line(f"not YAML: {words}", 300)))

    def problem(self, node: yaml.Node, message: str, mend: str = "") -> None:
        """Notes one problem at `node`'s place. TooMany after MAX_PROBLEMS."""
        mark = node.start_mark
        words = one_line(message, 500)
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, words, one_line(mend, 300)))
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooMany

    def pairs(self, node: yaml.Node, *, what: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
        """(key, key node, value node) of a mapping, in file order; keys given twice are problems."""
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, f"{what} must be a mapping")
            return []
        seen: set[str] = set()
        out: list[tuple[str, yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problem(key, f"a key of {what} must be plain text")
            elif len(key.value) > _LONGEST:
                self.problem(key, f"a key of {what} has {len(key.value):,} characters")
            elif key.value in seen:
                self.problem(key, f"{key.value!r} is given twice", "keep one")
            else:
                seen.add(key.value)
                out.append((key.value, key, value))
        return out

    def fields(self, node: yaml.Node, *, what: str, known: Collection[str]) -> dict[str, yaml.Node]:
        """The value nodes of a mapping whose keys must all be among `known`."""
        out = {}
        for key, key_node, value in self.pairs(node, what=what):
            if key in known:
                out[key] = value
            else:
                close = get_close_matches(key[:100], known, n=1)
                mend = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
                self.problem(key_node, f"unknown key {key!r} in {what}", mend)
        return out

    def items(self, node: yaml.Node, *, what: str) -> list[yaml.Node]:
        """The entries of a list."""
        if not isinstance(node, yaml.SequenceNode):
            self.problem(node, f"{what} must be a list")
            return []
        return list(node.value)

    def text(self, node: yaml.Node, *, what: str) -> str:
        """A scalar as it is written (numbers and booleans included); null and collections are problems."""
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
            self.problem(node, f"{what} must be text or a number")
            return ""
        if len(node.value) > _LONGEST:
            self.problem(node, f"{what}: {len(node.value):,} characters, at most {_LONGEST:,} are read")
            return ""
        return str(node.value)

    def texts(self, node: yaml.Node, *, what: str) -> dict[str, str]:
        """A mapping of scalars."""
        return {key: self.text(value, what=f"{what}: {key}") for key, _, value in self.pairs(node, what=what)}

    def convert(self, node: yaml.Node, make: Callable[[str], T], *, what: str) -> T | None:
        """`make` of the scalar's text; its ValueError becomes a problem (whose message should name the mend)."""
        text = self.text(node, what=what)
        if not text:
            return None
        try:
            return make(text)
        except ValueError as error:
            self.problem(node, f"{what}: {error}")
            return None


def _known_words(text: str, error: yaml.YAMLError) -> yaml.YAMLError:
    """What the parser whose words are known says of a text that the quick one refused with `error`; 1 MiB would take it
    12 s, so a long text gets the quick one's words.
    """
    if len(text) > _SLOW_CHARACTERS:
        return error
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                return error  # each token costs it as much as it is deep
    except yaml.YAMLError as known:
        return known
    except (OverflowError, ValueError):
        return error  # chr() of "\\UFFFFFFFF"
    return error
