"""The tree a YAML text becomes: scalars, listings and tables that know where they were written. No parsing here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something was written; line and column count from 1."""

    line: int
    column: int


START = Place(1, 1)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value: resolved (`value`) and as written (`text`, without quotes). `quoted`: in quotes or as a block."""

    value: str | int | float | bool | None
    text: str
    quoted: bool
    at: Place


@dataclass(frozen=True, slots=True)
class Listing:
    """A YAML sequence, in order."""

    items: tuple[Node, ...]
    at: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``key: value`` of a mapping and where the key stands."""

    key: str
    at: Place
    value: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A YAML mapping in written order. Keys are unique: of a repeated one the first stands, and a problem was noted."""

    entries: tuple[Entry, ...]
    at: Place

    def get(self, key: str) -> Node | None:
        """The value of `key`, or None when it is not there."""
        return next((entry.value for entry in self.entries if entry.key == key), None)

    def place_of(self, key: str) -> Place:
        """Where `key` stands; the mapping's own place when it is not there."""
        return next((entry.at for entry in self.entries if entry.key == key), self.at)


Node = Scalar | Listing | Table


def plain(node: Node) -> Any:
    """The node as plain JSON values: str, int, float, bool, None, list, dict (keys in written order)."""
    match node:
        case Scalar():
            return node.value
        case Listing():
            return [plain(item) for item in node.items]
        case Table():
            return {entry.key: plain(entry.value) for entry in node.entries}


def describe(node: Node) -> str:
    """What stands there, for messages: ``the number 5``, ``true (a boolean)``, ``the text "x"``, ``nothing``."""
    match node:
        case Listing():
            return "a list"
        case Table():
            return "a mapping"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool(), text=text):
            return f"{text} (a boolean)"
        case Scalar(value=int() | float(), text=text):
            return f"the number {text}"
        case Scalar(text=text):
            return f'the text "{shorten(text)}"'


def shorten(text: str, limit: int = 60) -> str:
    """`text` on one line and at most `limit` characters, for messages."""
    line = " ".join(text[: 16 * limit].split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
