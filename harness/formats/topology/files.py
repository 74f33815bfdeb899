"""Topologies from YAML, strictly: every problem at once, with its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.errors import InvalidFile
from harness.formats.document import parse, read_text
from harness.formats.nodes import START
from harness.formats.problems import Problems, TooMany
from harness.formats.read import Reading, read
from harness.formats.topology.fields import TOPOLOGY, NodeGroup, Written
from harness.model.taints import Effect
from harness.model.topology import DEFAULT_CAPACITY, DEFAULT_EVICTION_HARD, MAX_NODES, Node, Topology

_WORDS = ("@host", "@stand-in")
"""What a program may be instead of a path."""


def read_topology_file(path: Path) -> Topology:
    """As `read_topology`, of a file; InvalidFile also when it cannot be read, is no regular file or is too large."""
    return read_topology(read_text(path), file=str(path))


def read_topology(text: str, *, file: str) -> Topology:
    """The topology that `text` describes; InvalidFile with every problem at once, each at its place in `file`."""
    parsed = parse(text, file=file)
    problems = Problems(file, parsed.problems)
    if not parsed.broken and not parsed.documents:
        problems.add(START, "the file is empty", "write at least nodes:")
    for node in parsed.documents[1:]:
        problems.add(node.at, "a second document: one file holds one topology", "put it into a file of its own")
    reading = Reading()
    try:
        for node in parsed.documents[:1]:
            reading = read(TOPOLOGY, node, problems)
            _check(reading, problems)
    except TooMany:
        problems.stopped()
    problems.raise_if_any()
    written = reading.one(Written)
    if written is None:  # cannot be: what is missing is a problem
        raise InvalidFile(problems.found)
    return Topology(tuple(_nodes(written)), dict(written.programs))


def _check(reading: Reading, problems: Problems) -> None:
    """Note what the declaration cannot say."""
    _check_names(reading, problems)
    for path, group in reading.each(NodeGroup, "nodes"):
        seen: set[tuple[str, Effect]] = set()
        for index, taint in enumerate(group.taints):
            if taint.identity in seen:
                place = reading.place(*path, "taints", index)
                problems.add(place, f"{taint.key}:{taint.effect} is given twice", "the API allows one of each")
            seen.add(taint.identity)
    for path, value in list(reading.values.items()):
        if len(path) == 3 and path[0] == "programs" and path[2] == 0:
            word = str(value)
            if not word.startswith("/") and word not in _WORDS:
                words = f'program of {path[1]}: the first word must be an absolute path, found "{word}"'
                problems.add(reading.place(*path), words, "or write @host or @stand-in")


def _check_names(reading: Reading, problems: Problems) -> None:
    seen: set[str] = set()
    for path, group in reading.each(NodeGroup, "nodes"):
        place = reading.place(*path, "name")
        twice = [name for name in group.names if name in seen]
        if twice:
            problems.add(place, f"two nodes are called {twice[0]}", "give each group its own name")
        seen |= set(group.names)
        if len(seen) > MAX_NODES:
            problems.add(place, f"more than {MAX_NODES} nodes; a lab has at most {MAX_NODES}", "make it smaller")
            return


def _nodes(written: Written) -> Iterator[Node]:
    index = 0
    for group in written.nodes:
        hard = DEFAULT_EVICTION_HARD if group.eviction_hard is None else group.eviction_hard
        for name in group.names:
            index += 1
            yield Node(
                name=name,
                index=index,
                labels=dict(group.labels),
                taints=group.taints,
                capacity={**DEFAULT_CAPACITY, **dict(group.capacity)},
                eviction_hard=dict(hard),
                eviction_pressure_transition_s=group.eviction_pressure_transition_s,
            )
