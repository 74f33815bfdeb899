"""From PyYAML's events to nodes with positions: aliases, merge keys, scalar types, and the bounds on all of them.

Scalars are resolved by the rules of the reader that Kubernetes itself uses (sigs.k8s.io/yaml, goyaml.v2/resolve.go), so
that a manifest means here what it means to ``kubectl apply``: ``yes``, ``on`` and ``y`` are booleans, ``0644`` is
octal, a date is text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from harness.formats.nodes import Entry, Listing, Node, Place, Scalar, Table, shorten
from harness.formats.problems import Problems

MAX_DEPTH = 64
"""How deep lists and mappings may be nested."""
MAX_NODES = 200_000
"""How many values, keys, lists and mappings one file may hold, each alias counted as a copy of what it names."""
MAX_TEXT = 8 << 20
"""Characters of all values and keys together, counted likewise: what is made of a file is written out again."""


_QUICK = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BoundPassed(Exception):
    """A bound was passed; the problem is noted already."""


@dataclass(frozen=True, slots=True)
class _Sized:
    """A node, how many nodes it holds with every alias expanded, itself included, and how many characters."""

    node: Node
    size: int
    length: int


class Composer:
    """Builds nodes from PyYAML's events; one recursion per nesting level, which MAX_DEPTH bounds.

    `documents` (those that are not empty) and `problems` grow while `compose` runs; what was had stays when it raises.
    """

    def __init__(self, file: str) -> None:
        """`file` is the name problems carry."""
        self.problems = Problems(file)
        self.documents: list[Node] = []
        self._anchors: dict[str, _Sized] = {}

    def compose(self, text: str, *, quick: bool) -> None:
        """Read all documents of `text`. yaml.YAMLError on bad syntax, BoundPassed beyond a bound.

        `quick` takes the parser in C where PyYAML has it: ten times as fast, but other words for what is wrong.
        """
        events = iter(yaml.parse(text, Loader=_QUICK if quick else yaml.SafeLoader))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                node = self._node(next(events), events, 0).node
                if not (isinstance(node, Scalar) and node.value is None):
                    self.documents.append(node)

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> _Sized:
        at = _place(event)
        if isinstance(event, yaml.AliasEvent):
            sized = self._alias(event.anchor, at)
        elif depth >= MAX_DEPTH:
            self.problems.add(at, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
            raise BoundPassed
        elif isinstance(event, yaml.SequenceStartEvent):
            sized = self._listing(at, events, depth)
        elif isinstance(event, yaml.MappingStartEvent):
            sized = self._table(at, events, depth)
        else:
            sized = _Sized(self._scalar(event, at), 1, len(event.value))
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._anchors[event.anchor] = sized
        if not isinstance(event, yaml.AliasEvent | yaml.ScalarEvent) and event.tag not in (None, "!", *_PLAIN_TAGS):
            self._tag(event.tag, at)
        return sized

    def _alias(self, name: str | None, at: Place) -> _Sized:
        sized = self._anchors.get(name or "")
        if sized is None:
            self.problems.add(at, f"*{name} names an anchor that is not complete here", f"write &{name} before it")
            raise BoundPassed
        return sized

    def _count(self, size: int, length: int, at: Place) -> None:
        """Aliases make a node's true size grow by products, so it is counted before anything expands it."""
        if length > MAX_TEXT:
            words = f"more than {MAX_TEXT >> 20} million characters once aliases are expanded"
            self.problems.add(at, words, "use fewer aliases")
            raise BoundPassed
        if size > MAX_NODES:
            self.problems.add(at, f"more than {MAX_NODES} values once aliases are expanded", "use fewer aliases")
            raise BoundPassed

    def _listing(self, at: Place, events: Iterator[Any], depth: int) -> _Sized:
        items: list[Node] = []
        size, length = 1, 0
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            item = self._node(event, events, depth + 1)
            items.append(item.node)
            size += item.size
            length += item.length
            self._count(size, length, at)
        return _Sized(Listing(tuple(items), at), size, length)

    def _table(self, at: Place, events: Iterator[Any], depth: int) -> _Sized:
        own: dict[str, Entry] = {}
        merged: list[tuple[Node, Place]] = []
        size, length = 1, 0
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            name_node = self._node(event, events, depth + 1)
            key = name_node.node
            key_at = _place(event)
            value = self._node(next(events), events, depth + 1)
            size += value.size + 1
            length += value.length + name_node.length
            self._count(size, length, at)
            if isinstance(key, Scalar) and key.text == "<<" and not key.quoted:
                merged.append((value.node, key_at))
                continue
            name = self._key(key, key_at)
            if name is not None and name in own:
                first = own[name].at.line
                self.problems.add(key_at, f"{shorten(name)} is given twice, first in line {first}", "keep one of them")
            elif name is not None:
                own[name] = Entry(name, key_at, value.node)
        for node, key_at in merged:
            self._merge(own, node, key_at)
        return _Sized(Table(tuple(own.values()), at), size, length)

    def _merge(self, own: dict[str, Entry], node: Node, at: Place) -> None:
        """YAML's merge key: what is written here wins over what is merged in; of several, the first wins."""
        for table in node.items if isinstance(node, Listing) else (node,):
            if not isinstance(table, Table):
                self.problems.add(at, "<< merges mappings only", "give it an alias of a mapping, or a list of them")
                return
            for entry in table.entries:
                own.setdefault(entry.key, entry)

    def _key(self, key: Node, at: Place) -> str | None:
        """The key as text, or None with a problem: the API server and this reader must not disagree about a key."""
        if not isinstance(key, Scalar):
            self.problems.add(at, "a key must be text, not a list or a mapping")
            return None
        if isinstance(key.value, str) or (isinstance(key.value, int) and str(key.value) == key.text):
            return key.text
        kind = {bool: "a boolean", type(None): "nothing"}.get(type(key.value), "a number")
        self.problems.add(at, f"YAML reads the key {key.text or '(empty)'} as {kind}", f'quote it: "{key.text}"')
        return None

    def _scalar(self, event: Any, at: Place) -> Scalar:
        quoted = event.style not in (None, "")  # the parser in C has "" for plain
        text = self._whole_characters(event.value, at)
        if event.tag is not None and event.tag not in (_STR_TAG, "!"):
            self._tag(event.tag, at)
        return Scalar(resolve(text) if not quoted and event.tag is None else text, text, quoted, at)

    def _whole_characters(self, text: str, at: Place) -> str:
        """JSON writes a character beyond U+FFFF as two escapes, which only mean something together."""
        if text.isascii() or not _SURROGATE.search(text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self.problems.add(at, "half a character: a surrogate stands alone", "write the character itself")
            return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)

    def _tag(self, tag: str, at: Place) -> None:
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        self.problems.add(at, f"the tag {shown} is not understood here", "write the value without a tag")


_SURROGATE = re.compile("[\ud800-\udfff]")
_STR_TAG = "tag:yaml.org,2002:str"
_PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
_FALSE = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED_INT = re.compile(r"([-+]?)0(?:([xX])([0-9a-fA-F]+)|([bB])([01]+)|[oO]?([0-7]+))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


MAX_DIGITS = 100
"""A longer number stays text: no field takes one, and Python refuses to read very long ones."""


def resolve(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar means to Kubernetes; infinities and not-a-number stay text, for JSON has none."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if not text[0].isascii() or text[0] not in "+-.0123456789":
        return text
    digits = text.replace("_", "") if text[0] != "." else text
    if len(digits) > MAX_DIGITS:
        return text
    if _INT.fullmatch(digits):
        return int(digits)
    if based := _BASED_INT.fullmatch(digits):
        sign, _, sixteen, _, two, eight = based.groups()
        number = int(sixteen, 16) if sixteen else int(two, 2) if two else int(eight, 8)
        return -number if sign == "-" else number
    value = float(digits) if _FLOAT.fullmatch(digits) else math.inf
    return value if math.isfinite(value) else text


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)
