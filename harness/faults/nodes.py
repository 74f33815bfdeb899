"""Guarded writes to nodes: read, compute, patch with resourceVersion; a conflict means read again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.errors import Conflict, Indeterminate
from harness.faults.claim import Change, claim_of, release
from harness.run.ports import Cluster, Json

_ATTEMPTS = 20
_PAUSE_S = 0.02


def node_path(name: str) -> str:
    """The API path of a node."""
    return f"/api/v1/nodes/{name}"


async def change_node(
    cluster: Cluster, name: str, compute: Callable[[Json], dict[str, Any] | None]
) -> tuple[Json | None, Json]:
    """Patch a node with what `compute(node)` says; None means nothing to do. Returns (node before, node after).

    A 409 is answered by reading the node again (heartbeats and other actors write it all the time), at most
    `_ATTEMPTS` times; then
    Conflict is raised. Refused and Indeterminate go to the caller.
    """
    for attempt in range(_ATTEMPTS):
        node = await cluster.get(node_path(name))
        patch = compute(node)
        if patch is None:
            return None, node
        try:
            return node, await cluster.merge_patch(node_path(name), patch)
        except Conflict:
            if attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(_PAUSE_S)
    raise AssertionError("unreachable: the loop returns or raises")


@dataclass(frozen=True, slots=True)
class Healed:
    """`left_alone`: what somebody else changed since, and so was not undone. `resource_version`: of the node
    afterwards.
    """

    left_alone: tuple[str, ...]
    resource_version: str


async def heal_node(cluster: Cluster, name: str, *, run: str | None = None, what: Change | None = None) -> Healed:
    """Undo what a claim on the node says (of run `run`, or of any): all of it, or one change.

    Safe to repeat. An answer that got lost is settled by reading the node again, for about 20 s; then Indeterminate
    is raised.
    """
    left_alone: tuple[str, ...] = ()

    def undo(node: Json) -> dict[str, Any] | None:
        nonlocal left_alone
        claim = claim_of(node)
        if claim is None or (run is not None and claim.run != run):
            return None
        plan = release(node, what)
        left_alone = plan.left_alone
        return plan.patch

    for attempt in range(_ATTEMPTS):
        try:
            _, after = await change_node(cluster, name, undo)
        except Indeterminate:
            if attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(_PAUSE_S * 2 ** min(attempt, 6))
        else:
            return Healed(left_alone, after["metadata"]["resourceVersion"])
    raise AssertionError("unreachable: the loop returns or raises")
