"""Which nodes are meant: a seeded choice that anyone can repeat."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from harness.errors import UsageError
from harness.model.experiment import Target
from harness.model.state import Node


def choose_targets(target: Target, nodes: Sequence[Node]) -> tuple[str, ...]:
    """The names of the chosen nodes, sorted. UsageError when a named node is missing or fewer candidates than
    `count` match.

    The choice among more candidates than `count` orders them by SHA-256 of ``seed/name``: the same seed and the same
    candidates give the same nodes on every machine and Python, and one node more or less moves no other choice.
    """
    by_name = {node.name: node for node in nodes}
    if target.names:
        missing = [name for name in target.names if name not in by_name]
        if missing:
            there = ", ".join(sorted(by_name)) or "none"
            raise UsageError(f"target: no node named {', '.join(missing)}; the cluster has: {there}")
        candidates = [by_name[name] for name in target.names]
    else:
        candidates = [node for node in nodes if all(term.matches(node.labels) for term in target.selector)]
    wanted = len(candidates) if target.count is None else target.count
    if not candidates or len(candidates) < wanted:
        asked = ",".join(map(str, target.selector)) or "every node"
        raise UsageError(
            f"target: {len(candidates)} nodes match {asked}, the experiment asks for {wanted or 'at least 1'}"
        )
    ranked = sorted(candidates, key=lambda node: hashlib.sha256(f"{target.seed}/{node.name}".encode()).digest())
    return tuple(sorted(node.name for node in ranked[:wanted]))
