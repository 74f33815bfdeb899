"""The strict reader: walks a tree of nodes along a declaration, notes every problem with its place, builds the model.

It knows no kind of file; a declaration says what is read. Where one part is wrong the others are still read, so that
`Reading` holds every value that could be built, for checks across keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from harness.formats.document import parse
from harness.formats.meant import closest_is, did_you_mean
from harness.formats.nodes import Entry, Listing, Node, Place, Scalar, Table, describe, shorten
from harness.formats.problems import BadValue, Problems
from harness.formats.shapes import Field, Leaf, ListOf, OneOf, Pairs, Record, Shape, Short

Path = tuple[str | int, ...]
"""Where in the file's structure: keys and list indexes from the top, such as ``("spec", "faults", 0, "taint")``."""

T = TypeVar("T")


class Reading:
    """What was read: the built values, the places, and how long each list is, all by path."""

    def __init__(self) -> None:
        """Empty."""
        self.values: dict[Path, object] = {}
        self.places: dict[Path, Place] = {}
        self.lengths: dict[Path, int] = {}

    def one(self, kind: type[T], *path: str | int) -> T | None:
        """The value at `path`; None if it was not written, or is wrong in itself."""
        value = self.values.get(path)
        return value if isinstance(value, kind) else None

    def each(self, kind: type[T], *path: str | int) -> Iterator[tuple[Path, T]]:
        """The values of a list that could be read and are of `kind`, each with its path, in written order."""
        for index in range(self.lengths.get(path, 0)):
            found = (*path, index)
            value = self.values.get(found)
            if found in self.values and isinstance(value, kind):
                yield found, value

    def written(self, *path: str | int) -> bool:
        """Whether something stands at `path`, right or wrong."""
        return path in self.places

    def place(self, *path: str | int) -> Place:
        """Where `path` stands, or the closest thing around it that was written."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places[path]


class _Wrong:
    """Stands for a value that could not be read; the problem is noted."""


WRONG = _Wrong()
_MOST_PAIRS = 200


def read(shape: Shape, node: Node, problems: Problems, *, root: Path = ()) -> Reading:
    """Everything under `node` as `shape` has it; paths start with `root`. What is wrong goes to `problems`."""
    reader = _Reader(problems)
    reader.reading.places[root] = node.at
    reader.read(shape, node, root)
    return reader.reading


class _Reader:
    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.reading = Reading()

    def read(self, shape: Shape, node: Node, path: Path) -> object:
        """The value, or WRONG. A right value is entered into the reading under its path."""
        match shape:
            case Leaf():
                value = self._leaf(shape, node, path)
            case ListOf():
                value = self._list(shape, node, path)
            case Pairs():
                value = self._pairs(shape, node, path)
            case OneOf():
                value = self._one_of(shape, node, path)
            case Record():
                value = self._record(shape, node, path)
            case Short(text=text, record=record):
                value = self._leaf(text, node, path) if isinstance(node, Scalar) else self._record(record, node, path)
        if value is not WRONG:
            self.reading.values[path] = value
        return value

    def _wrong(self, path: Path, at: Place, message: str, fix: str = "") -> _Wrong:
        self.problems.add(at, f"{label(path)}: {message}" if path else message, fix)
        return WRONG

    def _leaf(self, leaf: Leaf, node: Node, path: Path) -> object:
        if not isinstance(node, Scalar):
            return self._wrong(path, node.at, f"{leaf.name} is needed, found {describe(node)}")
        if len(node.text) > leaf.longest:
            found = f"{len(node.text):,} characters, at most {leaf.longest:,}"
            return self._wrong(path, node.at, f"{leaf.name} is needed, found {found}")
        try:
            return leaf.parse(node)
        except BadValue as error:
            return self._wrong(path, node.at, error.message, error.fix)

    def _list(self, shape: ListOf, node: Node, path: Path) -> object:
        if not isinstance(node, Listing):
            is_item = isinstance(shape.item, Leaf) and isinstance(node, Scalar) and node.value is not None
            fix = f"write [{node.text}]" if is_item and isinstance(node, Scalar) else "start each entry with - "
            fix = "write [] for none" if shape.may_be_empty and not is_item else fix
            return self._wrong(path, self.reading.place(*path), f"a list is needed, found {describe(node)}", fix)
        if not node.items and not shape.may_be_empty:
            return self._wrong(path, node.at, "the list is empty", f"fill it, or take {path[-1]} out")
        if len(node.items) > shape.most:
            return self._wrong(path, node.at, f"{len(node.items):,} entries, at most {shape.most:,} are read")
        values: list[object] = []
        seen: set[object] = set()
        self.reading.lengths[path] = len(node.items)
        for index, item in enumerate(node.items):
            here = (*path, index)
            self.reading.places[here] = item.at
            value = self.read(shape.item, item, here)
            if shape.distinct and value is not WRONG and value in seen:
                value = self._wrong(here, item.at, f"{describe(item)} is listed twice", "keep one of them")
            if shape.distinct:
                seen.add(value)
            values.append(value)
        return WRONG if WRONG in values else tuple(values)

    def _pairs(self, shape: Pairs, node: Node, path: Path) -> object:
        if not isinstance(node, Table):
            return self._wrong(path, self.reading.place(*path), f"a mapping is needed, found {describe(node)}")
        if len(node.entries) > _MOST_PAIRS:
            return self._wrong(path, node.at, f"{len(node.entries):,} entries, at most {_MOST_PAIRS} are read")
        pairs: list[tuple[object, object]] = []
        for entry in node.entries:
            key_scalar = Scalar(entry.key, entry.key, True, entry.at)
            key = self._leaf(shape.key, key_scalar, (*path, entry.key))
            self.reading.places[(*path, entry.key)] = entry.value.at
            pairs.append((key, self.read(shape.value, entry.value, (*path, entry.key))))
        return WRONG if any(WRONG in pair for pair in pairs) else tuple(pairs)

    def _one_of(self, shape: OneOf, node: Node, path: Path) -> object:
        if not isinstance(node, Table):
            return self._wrong(path, self.reading.place(*path), f"a mapping is needed, found {describe(node)}")
        keys = [entry.key for entry in node.entries]
        tags = [tag for tag in shape.tags if tag in keys]
        if not tags:
            known = [key for record in shape.records for key in record.keys]
            strange = [key for key in keys if key not in known]
            fix = did_you_mean(strange[0], shape.tags) if strange else f"one of: {', '.join(shape.tags)}"
            at = node.place_of(strange[0]) if strange else node.at
            return self._wrong(path, at, f"none of {', '.join(shape.tags)} is given", fix)
        if len(tags) > 1:
            fix = "make them separate entries" if isinstance(path[-1], int) else "keep one of them"
            return self._wrong(path, node.place_of(tags[1]), f"{' and '.join(tags)} cannot go together", fix)
        return self._record(shape.records[shape.tags.index(tags[0])], node, path)

    def _record(self, record: Record, node: Node, path: Path) -> object:
        if isinstance(node, Scalar) and node.value is None and not record.fields:
            return record.build()
        if not isinstance(node, Table):
            fix = f"give it {', '.join(record.keys[:3])} ..." if record.fields else "write {}"
            return self._wrong(path, self.reading.place(*path), f"a mapping is needed, found {describe(node)}", fix)
        fixes = [self._unknown(record, entry, path) for entry in node.entries if entry.key not in record.keys]
        sound = not fixes
        arguments: dict[str, object] = {}
        for field in record.fields:
            if node.get(field.key) is None and closest_is(field.key) in fixes:
                continue  # the misspelt key was noted; that the right one is missing is the same slip
            value = self._field(field, node, path)
            sound = sound and value is not WRONG
            if value is not None:
                arguments[field.fills] = value
        return record.build(**arguments) if sound else WRONG

    def _unknown(self, record: Record, entry: Entry, path: Path) -> str:
        """Note a key that the record does not have; the fix that was given."""
        fix = record.slips.get(entry.key) or (did_you_mean(entry.key, record.keys) if record.fields else "write {}")
        self._wrong(path, entry.at, f"there is no key {shorten(entry.key)} here", fix)
        return fix

    def _field(self, field: Field, table: Table, path: Path) -> object:
        """The field's value, its default, or None for "leave the argument out"; WRONG if it is wrong or missing."""
        here = (*path, field.key)
        node = table.get(field.key)
        if field.blank and isinstance(node, Scalar) and node.value in (None, ""):
            node = None
        if node is not None:
            self.reading.places[here] = node.at if isinstance(node, Scalar) else table.place_of(field.key)
            return self.read(field.shape, node, here)
        if field.required:
            return self._wrong(path, self.reading.place(*path), f"{field.key} is missing", example(field))
        return None if field.default is None else default_of(field)


def default_of(field: Field) -> object:
    """The value of the field's default, read as if it had been written. TypeError if the declaration is wrong."""
    documents = parse(field.default or "", file="the declaration").documents
    if isinstance(field.shape, Leaf) and len(documents) == 1 and isinstance(documents[0], Scalar):
        return field.shape.parse(documents[0])
    raise TypeError(f"only a scalar can have a default: {field.key}")


def label(path: Path) -> str:
    """The last key of a path with its indexes: ``timeout``, ``slos[1]``."""
    tail = ""
    for step in reversed(path):
        if isinstance(step, str):
            return step + tail
        tail = f"[{step}]{tail}"
    return tail


def example(field: Field) -> str:
    """The fix for a missing key: what kind of thing to write."""
    match field.shape:
        case Leaf(name=name):
            return f"write {field.key}: {name}"
        case ListOf(may_be_empty=True):
            return f"write {field.key}: [] if there are none"
        case ListOf():
            return f"write {field.key}: [...]"
        case Record(fields=fields):
            return f"write {field.key}: {{{', '.join(f'{f.key}: ...' for f in fields if f.required) or '...'}}}"
        case Pairs() | OneOf() | Short():
            return f"write {field.key}: {{...}}"
