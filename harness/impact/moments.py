"""How the nodes look to the scheduler from moment to moment, while faults go on and off."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.model.planned_fault import TimedFault
from harness.model.state import Node
from harness.model.taints import Taint


@dataclass(frozen=True, slots=True)
class Moment:
    """The nodes as they are from `since_s` (seconds after the plan's first write) until the next moment."""

    since_s: float
    nodes: tuple[Node, ...]
    by_name: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Moments:
    """Every moment, one at least, in time order; the first has been since ever."""

    all: tuple[Moment, ...]

    def at(self, at_s: float) -> int:
        """The number of the moment that `at_s` belongs to."""
        return bisect_right(self.all, at_s, key=lambda moment: moment.since_s) - 1


def moments(nodes: Sequence[Node], faults: Sequence[TimedFault]) -> Moments:
    """The moments of `faults`. What is before the first of them is left out: nothing leaves then."""
    edges_s = {fault.on_s for fault in faults} | {fault.off_s for fault in faults if fault.off_s is not None}
    found: list[Moment] = []
    before: dict[str, Node] | None = None
    for at_s in sorted(edges_s) or [0.0]:
        changed = _changed(nodes, [fault for fault in faults if fault.is_on(at_s)])
        if changed != before:
            after = tuple(changed.get(node.name, node) for node in nodes)
            since_s = at_s if found else -math.inf
            found.append(Moment(since_s, after, {node.name: node for node in after}))
            before = changed
    return Moments(tuple(found))


def _changed(nodes: Sequence[Node], on: Iterable[TimedFault]) -> dict[str, Node]:
    """The nodes that differ because of the faults that are on, by name."""
    originals = {node.name: node for node in nodes}
    changed: dict[str, Node] = {}
    for each in on:
        for name in each.subjects:
            node = changed.get(name) or originals.get(name)
            if node is not None:
                changed[name] = each.fault.node_after(node)
    alike: dict[tuple[Taint, ...], tuple[Taint, ...]] = {}
    for name, node in changed.items():
        shared = alike.setdefault(node.taints, node.taints)
        if shared is not node.taints:
            changed[name] = replace(node, taints=shared)  # one tuple for equal taints: many nodes, few of them
    return {name: node for name, node in changed.items() if node != originals[name]}
