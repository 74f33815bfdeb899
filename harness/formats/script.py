"""Write scripts (a world and timed writes to it) from YAML or JSON, strictly: every problem at once, with its place.

What the API server would refuse is fine in a write (that is for the predictor to say, and for the replayer to see), but
not in the world at time 0, which could not be set up. Lists and tables that are left out are empty; nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from harness.errors import InvalidFile, UsageError
from harness.formats.document import is_folder, parse, read_text
from harness.formats.labels import SUBDOMAIN, SUBDOMAIN_MAX, label_value, qualified_name
from harness.formats.meant import did_you_mean
from harness.formats.nodes import START, Listing, Node, Place, Scalar, Table, describe
from harness.formats.problems import BadValue, Problems, TooMany
from harness.formats.script_plain import VERSION, to_plain
from harness.model.scenario import (
    Component,
    CreatePod,
    DeletePod,
    Restart,
    Scenario,
    ScenarioNode,
    ScenarioPod,
    SetTaints,
    SetTolerations,
    Write,
)
from harness.model.taints import Effect, Operator, Taint, Toleration

__all__ = ["parse_script", "read_script", "refused", "scenario_of", "scripts_in", "to_plain"]

_KINDS = ("taints", "tolerations", "create", "delete", "restart")
_LONGEST_TEXT = 4096
_LATEST_S = 1e12
"""Thirty thousand years; beyond, seconds lose their fractions."""
_INT64 = range(-(2**63), 2**63)

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


def read_script(path: Path) -> Scenario:
    """The script in that file; InvalidFile with everything wrong with it."""
    return parse_script(read_text(path), file=str(path))


def scripts_in(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files of `paths`: a folder stands for every .yaml, .yml and .json file in it, by name."""
    found: list[Path] = []
    for path in paths:
        inside = _entries(path) if is_folder(path) else [path]
        found += [each for each in inside if each is path or each.suffix in (".yaml", ".yml", ".json")]
    return tuple(found)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from error


def parse_script(text: str, *, file: str) -> Scenario:
    """The script that `text` is; `file` is the name problems carry. InvalidFile with everything wrong with it."""
    parsed = parse(text, file=file)
    problems = Problems(file, parsed.problems)
    if not parsed.broken and len(parsed.documents) != 1:
        problems.add(START, f"one script is needed, found {len(parsed.documents)} documents", "one file a script")
    scenario = None
    try:
        for node in parsed.documents[:1]:
            scenario = scenario_of(node, problems)
    except TooMany:
        problems.stopped()
    problems.raise_if_any()
    if scenario is None:  # cannot be: what is missing is a problem
        raise InvalidFile(problems.found)
    return scenario


def scenario_of(node: Node, problems: Problems) -> Scenario | None:
    """The script that stands at `node`, a part of another file perhaps; None if it cannot be one. Notes `problems`."""
    return _Reader(problems).script(node)


class _Reader:
    """Reads on after each problem. `None` stands for what could not be read."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._node_names: dict[str, Place] = {}
        self._pod_names: dict[str, Place] = {}
        self._at_s = 0.0

    # ------------------------------------------------------------------ the script

    def script(self, node: Node) -> Scenario | None:
        table = self._table(node, "the script", ("version", "nodes", "pods", "writes", "until"))
        if table is None:
            return None
        version = self._needed(table, "version", self._integer)
        if version is not None and version != VERSION:
            self._add(table.place_of("version"), f"version: {version} is not known", f"write {VERSION}")
        nodes = self._items(table, "nodes", self._node, needed=True)
        creations = self._created_names(table)
        pods = self._items(table, "pods", self._pod_at_start, needed=True)
        self._pod_names |= creations
        writes: tuple[Write, ...] = self._items(table, "writes", self._write, needed=True)
        until_s = self._needed(table, "until", self._seconds)
        return None if until_s is None else Scenario(nodes, pods, writes, until_s)

    def _created_names(self, table: Table) -> dict[str, Place]:
        """The names that writes create: a write to a pod must mean one of these, or one of time 0."""
        names: dict[str, Place] = {}
        writes = table.get("writes")
        for write in writes.items if isinstance(writes, Listing) else ():
            create = write.get("create") if isinstance(write, Table) else None
            name = create.get("name") if isinstance(create, Table) else None
            if isinstance(name, Scalar):
                names[name.text] = name.at
        return names

    def _node(self, node: Node) -> ScenarioNode | None:
        table = self._table(node, "a node", ("name", "labels", "taints"))
        if table is None:
            return None
        name = self._needed(table, "name", self._name)
        if name is not None:
            self._once(name, table.place_of("name"), self._node_names)
        labels = dict(self._labels(table.get("labels")))
        taints = self._items(table, "taints", self._taint)
        seen: set[tuple[str, Effect]] = set()
        for taint in taints:
            if taint.identity in seen:
                self._add(table.place_of("taints"), f"taints: {taint} repeats key and effect", "keep one of them")
            seen.add(taint.identity)
            self._may_be(taint.key, table.place_of("taints"), qualified_name)
            self._may_be(taint.value, table.place_of("taints"), label_value)
        return None if name is None else ScenarioNode(name, labels, taints)

    def _labels(self, node: Node | None) -> Iterator[tuple[str, str]]:
        if node is None:
            return
        if not isinstance(node, Table):
            self._add(node.at, f"labels: a mapping is needed, found {describe(node)}", "write {} for none")
            return
        for entry in node.entries:
            value = self._text(entry.value, entry.key)
            if value is not None:
                self._may_be(entry.key, entry.at, qualified_name)
                self._may_be(value, entry.value.at, label_value)
                yield entry.key, value

    def _pod_at_start(self, node: Node) -> ScenarioPod | None:
        pod = self._pod(node)
        name = node.get("name") if isinstance(node, Table) else None
        if isinstance(name, Scalar):
            self._once(name.text, name.at, self._pod_names)
        if pod is not None and isinstance(node, Table):
            for toleration in pod.tolerations:
                if (why := refused(toleration)) is not None:
                    self._add(node.place_of("tolerations"), f"tolerations: the API server refuses this: {why}")
        return pod

    def _pod(self, node: Node) -> ScenarioPod | None:
        table = self._table(node, "a pod", ("name", "node", "tolerations"))
        if table is None:
            return None
        name = self._needed(table, "name", self._name)
        where = self._needed(table, "node", lambda value: self._known(value, "node", self._node_names))
        tolerations = self._items(table, "tolerations", self._toleration)
        return None if name is None or where is None else ScenarioPod(name, where, tolerations)

    # ------------------------------------------------------------------ writes

    def _write(self, node: Node) -> Write | None:
        table = self._table(node, "a write", ("at", *_KINDS))
        if table is None:
            return None
        at_s = self._needed(table, "at", self._seconds)
        if at_s is not None:
            if at_s < self._at_s:
                self._add(table.place_of("at"), f"at: {at_s:g} comes after {self._at_s:g}", "sort the writes by time")
            self._at_s = max(self._at_s, at_s)
        kinds = [kind for kind in _KINDS if table.get(kind) is not None]
        if len(kinds) != 1:
            found = f"found {' and '.join(kinds)}" if kinds else "found none"
            self._add(table.at, f"a write does exactly one of {', '.join(_KINDS)}; {found}")
            return None
        body = table.get(kinds[0])
        if at_s is None or body is None:
            return None
        return self._deed(kinds[0], body, at_s)

    def _deed(self, kind: str, body: Node, at_s: float) -> Write | None:
        if kind == "restart":
            component = self._enum(body, "restart", Component)
            return None if component is None else Restart(at_s, component)
        if kind == "create":
            pod = self._pod(body)
            return None if pod is None else CreatePod(at_s, pod)
        keys = {"taints": ("node", "set"), "tolerations": ("pod", "set"), "delete": ("pod",)}[kind]
        table = self._table(body, kind, keys)
        if table is None:
            return None
        names = self._node_names if kind == "taints" else self._pod_names
        name = self._needed(table, keys[0], lambda value: self._known(value, keys[0], names))
        taints = self._items(table, "set", self._taint, needed=True) if kind == "taints" else ()
        tolerations = self._items(table, "set", self._toleration, needed=True) if kind == "tolerations" else ()
        if name is None:
            return None
        if kind == "taints":
            return SetTaints(at_s, name, taints)
        if kind == "tolerations":
            return SetTolerations(at_s, name, tolerations)
        return DeletePod(at_s, name)

    # ------------------------------------------------------------------ taints and tolerations

    def _taint(self, node: Node) -> Taint | None:
        table = self._table(node, "a taint", ("key", "value", "effect", "timeAdded"))
        if table is None:
            return None
        key = self._needed(table, "key", lambda value: self._text(value, "key"))
        value = self._optional(table, "value", lambda node: self._text(node, "value"))
        effect = self._needed(table, "effect", lambda value: self._enum(value, "effect", Effect))
        time_added = self._optional(table, "timeAdded", self._time)
        return None if key is None or effect is None else Taint(key, effect, value or "", time_added)

    def _toleration(self, node: Node) -> Toleration | None:
        table = self._table(node, "a toleration", ("key", "operator", "value", "effect", "tolerationSeconds"))
        if table is None:
            return None
        key = self._optional(table, "key", lambda value: self._text(value, "key"))
        operator = self._optional(table, "operator", lambda value: self._enum(value, "operator", Operator))
        value = self._optional(table, "value", lambda node: self._text(node, "value"))
        effect = self._optional(table, "effect", lambda value: self._enum(value, "effect", Effect))
        seconds = self._optional(table, "tolerationSeconds", self._integer)
        read = {"key": key, "operator": operator, "value": value, "effect": effect, "tolerationSeconds": seconds}
        if any(found is None and not _is_nothing(table.get(name)) for name, found in read.items()):
            return None
        return Toleration(key or "", operator or Operator.EQUAL, value or "", effect, seconds)

    # ------------------------------------------------------------------ values

    def _add(self, at: Place, message: str, mend: str = "") -> None:
        self._problems.add(at, message, mend)

    def _table(self, node: Node, what: str, keys: tuple[str, ...]) -> Table | None:
        if not isinstance(node, Table):
            self._add(node.at, f"{what} is a mapping, found {describe(node)}", f"keys: {', '.join(keys)}")
            return None
        for entry in node.entries:
            if entry.key not in keys:
                self._add(entry.at, f"{what} has no {entry.key}", did_you_mean(entry.key, keys))
        return node

    def _items(
        self, table: Table, key: str, read: Callable[[Node], T | None], *, needed: bool = False
    ) -> tuple[T, ...]:
        node = table.get(key)
        if node is None:
            if needed:
                self._add(table.at, f"{key} is missing", f"write {key}: [] if there are none")
            return ()
        if not isinstance(node, Listing):
            self._add(node.at, f"{key}: a list is needed, found {describe(node)}", "write [] for none")
            return ()
        items = [read(item) for item in node.items]
        return tuple(item for item in items if item is not None)

    def _needed(self, table: Table, key: str, read: Callable[[Node], T | None]) -> T | None:
        node = table.get(key)
        if node is None:
            self._add(table.at, f"{key} is missing")
            return None
        return read(node)

    def _optional(self, table: Table, key: str, read: Callable[[Node], T | None]) -> T | None:
        node = table.get(key)
        return None if node is None or _is_nothing(node) else read(node)

    def _text(self, node: Node, what: str) -> str | None:
        if isinstance(node, Scalar) and isinstance(node.value, str) and len(node.text) <= _LONGEST_TEXT:
            return node.value
        if isinstance(node, Scalar) and len(node.text) > _LONGEST_TEXT:
            self._add(node.at, f"{what}: {len(node.text):,} characters, at most {_LONGEST_TEXT:,} are read")
            return None
        mend = f'write "{node.text}"' if isinstance(node, Scalar) and node.value is not None else ""
        self._add(node.at, f"{what}: a text is needed, found {describe(node)}", mend)
        return None

    def _integer(self, node: Node) -> int | None:
        if isinstance(node, Scalar) and type(node.value) is int and node.value in _INT64:
            return node.value
        self._add(node.at, f"a 64-bit whole number is needed, found {describe(node)}")
        return None

    def _seconds(self, node: Node) -> float | None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LATEST_S:
            return float(value)
        self._add(node.at, f"a number of seconds from 0 on is needed, found {describe(node)}")
        return None

    def _time(self, node: Node) -> str | None:
        text = self._text(node, "timeAdded")
        if text is not None and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", text):
            self._add(node.at, f"timeAdded: a time is needed, found {describe(node)}", "write 2026-01-02T03:04:05Z")
            return None
        return text

    def _enum(self, node: Node, what: str, kind: type[E]) -> E | None:
        names = [member.value for member in kind]
        if isinstance(node, Scalar) and node.value in names:
            return kind(node.text)
        mend = did_you_mean(node.text, names) if isinstance(node, Scalar) else f"one of: {', '.join(names)}"
        self._add(node.at, f"{what}: {describe(node)} is not known", mend)
        return None

    def _name(self, node: Node) -> str | None:
        text = self._text(node, "name")
        return None if text is None else self._may_be(text, node.at, _object_name)

    def _known(self, node: Node, what: str, names: dict[str, Place]) -> str | None:
        text = self._text(node, what)
        if text is not None and text not in names:
            self._add(node.at, f"{what}: there is no {text}", self._problems.closest(text, names))
            return None
        return text

    def _once(self, name: str, at: Place, names: dict[str, Place]) -> None:
        if name in names:
            self._add(at, f"name: {name} is taken, in line {names[name].line}", "give each a name of its own")
        names.setdefault(name, at)

    def _may_be(self, text: str, at: Place, check: Callable[[str], str]) -> str | None:
        try:
            return check(text)
        except BadValue as error:
            self._add(at, error.message, error.mend)
            return None


def _is_nothing(node: Node | None) -> bool:
    """Absent, null or empty: the same to the API server."""
    return node is None or (isinstance(node, Scalar) and node.value in (None, ""))


def _object_name(text: str) -> str:
    """`text`, if pods and nodes may be called so (an RFC 1123 subdomain); BadValue otherwise."""
    if len(text) <= SUBDOMAIN_MAX and re.fullmatch(SUBDOMAIN, text):
        return text
    raise BadValue(f'"{text}" is no name: lower-case letters, digits, - and ., a letter or digit at both ends')


def refused(toleration: Toleration) -> str | None:
    """Why no API server takes this toleration, whatever its gates; None when it may."""
    if not toleration.key and toleration.operator is not Operator.EXISTS:
        return "without a key the operator must be Exists"
    if toleration.seconds is not None and toleration.effect is not Effect.NO_EXECUTE:
        return "tolerationSeconds needs effect: NoExecute"
    if toleration.operator is Operator.EXISTS and toleration.value:
        return "Exists takes no value"
    try:
        if toleration.key:
            qualified_name(toleration.key)
        if toleration.operator is Operator.EQUAL:
            label_value(toleration.value)
    except BadValue as error:
        return error.message
    return None
