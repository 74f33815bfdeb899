"""The building blocks of a file's declaration: what a value, a list and a mapping may be.

One declaration (the `fields` of `harness.formats.experiment`, `.script` and `.topology`) serves three readers:
`harness.formats.read` (strict reading), `harness.formats.schema` (JSON Schema for editors) and
`harness.formats.reference` (the page in docs/reference).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.formats.nodes import Scalar


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar. `parse` gives the value or raises BadValue; `schema` is its JSON Schema; `name` says what it is;
    `longest` is how many characters are looked at: more is refused before any of it is parsed.
    """

    name: str
    parse: Callable[[Scalar], object]
    schema: Mapping[str, Any]
    longest: int = 4096


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one shape, not empty unless it `may_be_empty`; read as a tuple. `distinct`: the same value twice is an
    error. `most`: how many entries are read; more are refused.
    """

    item: Shape
    distinct: bool = False
    most: int = 200
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Pairs:
    """A mapping with free keys (HTTP headers, labels); read as a tuple of (key, value) in written order."""

    key: Leaf
    value: Leaf | ListOf


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a Record.

    `fills`: the argument of the record's `build` that takes the value. `default` is written as in YAML and read like
    any other value; without one an absent key leaves `build`'s own default to work. `doc` is for the reference.
    `blank`: null and empty text are as if the key were absent, as they are to the API server.
    """

    key: str
    fills: str
    shape: Shape
    doc: str
    required: bool = False
    default: str | None = None
    blank: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys. `build` makes the model's value from the fields' values.

    `slips` maps a wrong key that people write to the fix; `title` names it in the schema and the reference.
    """

    title: str
    doc: str
    fields: tuple[Field, ...]
    build: Callable[..., object]
    slips: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key it knows, in declared order."""
        return tuple(field_.key for field_ in self.fields)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A mapping that is one of several records, told apart by the first key of each, which is required."""

    title: str
    doc: str
    records: tuple[Record, ...]

    @property
    def tags(self) -> tuple[str, ...]:
        """The keys that tell the records apart."""
        return tuple(record.keys[0] for record in self.records)


@dataclass(frozen=True, slots=True)
class Short:
    """A mapping that may also be written as one text, such as kubectl's ``key=value:Effect`` for a taint."""

    text: Leaf
    record: Record


Shape = Leaf | ListOf | Pairs | Record | OneOf | Short
