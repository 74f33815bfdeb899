"""The nodes as the filters want them: by index, by class of equals, and label by label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.model import wellknown
from harness.model.state import Node, NodeTerm, PodTemplate

_MANY_VALUES = 64
_SHARE = 20


class NodeTable:
    """All nodes, numbered from 0 in the order given.

    Nodes of one class are equal in everything that the static filters look at, except for *wide* labels: those that
    (nearly) every node has a value of its own for, such as the host name. Filters run once a class; what depends on a
    wide label is looked up by value.
    """

    def __init__(self, nodes: Sequence[Node], templates: Iterable[PodTemplate], volume_keys: set[str]) -> None:
        """`templates`: all that may be asked about; `volume_keys`: the labels that volumes are tied to."""
        self.nodes = nodes
        self.index = {node.name: number for number, node in enumerate(nodes)}
        self._values: dict[str, list[str | None]] = {}
        self._where: dict[str, dict[str, list[int]]] = {}
        keys = _selecting_keys(templates) | volume_keys
        limit = max(_MANY_VALUES, len(nodes) // _SHARE)
        self.wide = {key for key in {*keys, wellknown.HOSTNAME} if len(set(self.values(key))) > limit}
        narrow = [self.values(key) for key in sorted(keys - self.wide)]
        classes: dict[tuple[object, ...], list[int]] = {}
        for number, node in enumerate(nodes):
            of = (node.taints, node.unschedulable, *[values[number] for values in narrow])
            classes.setdefault(of, []).append(number)
        self.classes: tuple[tuple[int, ...], ...] = tuple(map(tuple, classes.values()))
        self.class_of = [0] * len(nodes)
        for which, members in enumerate(self.classes):
            for number in members:
                self.class_of[number] = which

    def values(self, key: str) -> list[str | None]:
        """The value of a label for each node, None where it is missing."""
        known = self._values.get(key)
        if known is None:
            known = self._values[key] = [node.labels.get(key) for node in self.nodes]
        return known

    def with_value(self, key: str, value: str) -> list[int]:
        """The nodes that carry ``key=value``."""
        where = self._where.get(key)
        if where is None:
            where = self._where[key] = {}
            for number, found in enumerate(self.values(key)):
                if found is not None:
                    where.setdefault(found, []).append(number)
        return where.get(value, [])


def term_keys(terms: Iterable[NodeTerm]) -> set[str]:
    """The labels that these alternatives look at."""
    return {requirement.key for term in terms for requirement in term.labels}


def _selecting_keys(templates: Iterable[PodTemplate]) -> set[str]:
    keys: set[str] = set()
    seen: set[int] = set()
    for template in templates:
        keys.update(key for key, _ in template.node_selector)
        terms = template.node_affinity
        if terms is not None and id(terms) not in seen:
            seen.add(id(terms))
            keys |= term_keys(terms)
    return keys
