"""Guarded writes to nodes, and their undoing: read, compute, patch with resourceVersion, look again.

A write whose answer was lost may land later. It was guarded by the resourceVersion that was read before it: as soon as
the node has another one, it is refused. So a heal first moves the version on by a write of its own (`fence`), and what
it reads after that stays true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from harness.clock import Clock, sleep
from harness.cluster.patience import Patience
from harness.cluster.ports import Cluster, Json
from harness.cluster.undo import NodeUndo, UndoKinds, fence, ours_on, own_claim, release
from harness.errors import ClusterError, Conflict, NotFound, Refused

_ATTEMPTS = 20
_PAUSE_S = 0.02


def node_path(name: str) -> str:
    """The API path of a node."""
    return f"/api/v1/nodes/{quote(name, safe='')}"


@dataclass(slots=True)
class Held:
    """What this process knows of what it changed on one node.

    `uid`: of the node first claimed. `claim`: what may be on it. `acknowledged`: a claim of ours was seen to be
    written. `unsettled`: a change whose answer was lost may still land. `undo_sent`: so may an undo. `lock`: one write
    at a time.
    """

    name: str
    uid: str = ""
    claim: NodeUndo | None = None
    acknowledged: bool = False
    unsettled: bool = False
    undo_sent: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_clean(self) -> bool:
        """Nothing was ever sent, or all of it was seen undone."""
        return (self.claim is None or self.claim.is_empty) and not self.unsettled and not self.undo_sent


Intend = Callable[[str, NodeUndo], Awaitable[None]]
"""Writes a node's uid and the claim that it is about to carry into the ledger."""

Compute = Callable[[Json], tuple[dict[str, Any], NodeUndo]]
"""From a node to the patch that changes it and the claim that comes with it (`harness.cluster.undo.changed`)."""


async def change_node(cluster: Cluster, held: Held, compute: Compute, *, intend: Intend, clock: Clock) -> Json:
    """Patch a node with what `compute(node)` says; the node afterwards.

    The new claim is in the ledger before it is sent. A 409 is answered by reading the node again (heartbeats and other
    actors write it all the time), at most `_ATTEMPTS` times; then Conflict is raised. Refused and Indeterminate go to
    the caller; Refused also when the node is another one than the one first claimed.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        node = await cluster.get(node_path(held.name))
        uid = str(node["metadata"]["uid"])
        if held.uid and held.uid != uid:
            raise Refused(f"node {held.name} is another one now (deleted and created anew): not touched")
        patch, claim = compute(node)
        if held.claim is not None:
            claim = claim.joined(held.claim)
        held.uid = uid
        await intend(uid, claim)
        try:
            return await _send(cluster, held, node, patch, claim)
        except Conflict:
            if attempt == _ATTEMPTS:
                raise
            await sleep(clock, _PAUSE_S)
    raise AssertionError("unreachable: the loop returns or raises")


async def _send(cluster: Cluster, held: Held, node: Json, patch: dict[str, Any], claim: NodeUndo) -> Json:
    """One PATCH. Whatever ends it without an answer, a cancellation too, leaves `held` unsettled."""
    before = held.claim, held.unsettled
    held.claim, held.unsettled = claim, True
    try:
        after = await cluster.merge_patch(node_path(held.name), patch)
    except Refused:
        held.claim, held.unsettled = before
        raise
    held.acknowledged = True
    # An earlier write that is still under way is refused from now on, unless this one changed nothing.
    held.unsettled = before[1] and after["metadata"]["resourceVersion"] == node["metadata"]["resourceVersion"]
    return after


class StillThere(ClusterError):
    """Seen on the node after it should have been removed. `left`: what, for people."""

    def __init__(self, name: str, left: tuple[str, ...]) -> None:
        """`left` is not empty."""
        super().__init__(f"node {name} still has {', '.join(left)} after it was removed")
        self.left = left


@dataclass(frozen=True, slots=True)
class Healed:
    """A node on which nothing of the run was seen after the heal.

    `left_alone`: what somebody else changed since, and so was not undone. `missing`: what should have been removed
    and was not there any more. `claim_missing`: nor was our annotation. `gone`: the node is not there any more, or
    another one has its name. `resource_version`: of the node afterwards.
    """

    left_alone: tuple[str, ...] = ()
    resource_version: str = ""
    missing: tuple[str, ...] = ()
    claim_missing: bool = False
    gone: str = ""


async def heal_node(
    cluster: Cluster,
    name: str,
    claim: NodeUndo | None,
    *,
    run: str,
    patience: Patience,
    kinds: UndoKinds,
    uid: str = "",
    what: str | None = None,
    fence_first: bool = False,
    copy_only: bool = False,
) -> Healed:
    """Undo all that run `run` did to the node, or the change with the id `what`, and look whether it is undone. Safe to
    repeat.

    What was done is read from the node's own claim if it is that run's, and from `claim`, the copy that the process or
    the ledger holds (None: there is none). `uid`: of the node that was changed, "" when not known; a node that is gone,
    or another one, is healed by that. `fence_first`: a write to that node may still be under way (its answer was lost,
    or its process died). `copy_only`: undo nothing but what `claim` says: annotations can be written by strangers.

    StillThere when something is left. Other errors as `Patience.keep_trying` has them: the last one when time is up.
    """
    heal = _Heal(cluster, name, claim, run, kinds, uid, what, fence_first, copy_only)
    healed, left = await patience.keep_trying(heal.once)
    if left:
        raise StillThere(name, left)
    return healed


@dataclass(slots=True)
class _Heal:
    cluster: Cluster
    name: str
    copy: NodeUndo | None
    run: str
    kinds: UndoKinds
    uid: str
    what: str | None
    fence_first: bool
    copy_only: bool
    sent: bool = False  # an undo whose answer was lost: what is missing from then on may be our own work
    found: Healed | None = None

    async def once(self) -> tuple[Healed, tuple[str, ...]]:
        """One try, and what was left after it."""
        try:
            return await self._once()
        except NotFound:
            return Healed(gone="gone with its node"), ()

    async def _once(self) -> tuple[Healed, tuple[str, ...]]:
        node = await self.cluster.get(node_path(self.name))
        if self._is_another(node):
            return self._gone(), ()
        if self.fence_first:
            node = await self.cluster.merge_patch(node_path(self.name), fence(node, self.run))
            self.fence_first = False
        own = own_claim(node, self.run, self.kinds)
        claim = (self.copy if self.copy_only else own or self.copy) or NodeUndo(self.run, "")
        if self.copy is not None and not self.copy_only:
            claim = claim.joined(self.copy)
        plan = release(node, claim, self.kinds, self.what)
        before = self.found if self.sent else None
        if before is None:
            self.found = Healed(plan.left_alone, missing=plan.missing, claim_missing=own is None)
        else:
            self.found = replace(before, left_alone=tuple(dict.fromkeys(before.left_alone + plan.left_alone)))
        if plan.patch is not None:
            await self._undo(plan.patch)
            node = await self.cluster.get(node_path(self.name))
            if self._is_another(node):
                return self._gone(), ()
        healed = replace(self.found, resource_version=node["metadata"]["resourceVersion"])
        return healed, ours_on(node, claim, self.kinds, self.what)

    async def _undo(self, patch: dict[str, Any]) -> None:
        sent_before, self.sent = self.sent, True
        try:
            await self.cluster.merge_patch(node_path(self.name), patch)
        except Refused:
            self.sent = sent_before
            raise

    def _is_another(self, node: Json) -> bool:
        return bool(self.uid) and node["metadata"]["uid"] != self.uid

    def _gone(self) -> Healed:
        return Healed(gone="gone with its node: another one has its name now")
