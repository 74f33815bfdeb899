"""Taking off what is ours: from a run folder, or from the cluster alone when the folder is gone."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass

from harness.clock import SystemClock
from harness.errors import ClusterError
from harness.faults.claim import Claim, claim_of
from harness.faults.nodes import heal_node
from harness.faults.patience import Patience
from harness.history.folder import RunFolder
from harness.run.ledger import RUN_LABEL, Ledger, outstanding
from harness.run.ports import Cluster
from harness.run.resources import Resources
from harness.run.workload import delete_ours

_HEAL_WITHIN_NS = 30 * 10**9


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing of ours on the cluster. `run`: whose it is; `what`: for people; `path`: the object's API path."""

    kind: str
    name: str
    run: str
    what: str
    path: str

    def to_json(self) -> dict[str, str]:
        """As `taintlab status --json` prints it."""
        return asdict(self)


async def leftovers(cluster: Cluster, *, run: str | None = None) -> list[Leftover]:
    """Everything on the cluster that carries our claim or label, of run `run` or of any. Reads only."""
    found = []
    for node in (await cluster.list("/api/v1/nodes")).items:
        name = node["metadata"]["name"]
        try:
            claim = claim_of(node)
        except ClusterError as error:
            found.append(Leftover("Node", name, "unknown", str(error), f"/api/v1/nodes/{name}"))
            continue
        if claim is not None and run in (None, claim.run):
            found.append(Leftover("Node", name, claim.run, _describe(claim), f"/api/v1/nodes/{name}"))
    for path, item in await Resources(cluster).labelled():
        owner = item["metadata"]["labels"][RUN_LABEL]
        if run in (None, owner):
            name = item["metadata"]["name"]
            found.append(Leftover(item["kind"], name, owner, f"{item['kind']} {name}", path))
    return found


def _describe(claim: Claim) -> str:
    parts = [f"taint {undo.ours}" for undo in claim.taints]
    if claim.unschedulable_before is not None:
        parts.append("cordon")
    return ", ".join(parts) + f" (due off by {claim.deadline})"


@dataclass(frozen=True, slots=True)
class Recovered:
    """`undone`: what was taken off. `left_alone`: what somebody else changed since. `remaining`: what is still
    there, with why.
    """

    undone: tuple[str, ...]
    left_alone: tuple[str, ...]
    remaining: tuple[str, ...]


async def recover(cluster: Cluster, *, folder: RunFolder | None, run: str | None) -> Recovered:
    """Undo everything of run `run` (None: of every run) that is on the cluster; the ledger in `folder` is brought up
    to date.

    Works from the claims on the nodes and the labels on objects: the folder is not needed. Each thing is tried even
    when others fail.
    """
    undone: list[str] = []
    left_alone: list[str] = []
    remaining: list[str] = []
    clock = SystemClock()
    patience = Patience(clock, asyncio.sleep, clock.now().mono_ns + _HEAL_WITHIN_NS)
    for item in await leftovers(cluster, run=run):
        try:
            if item.kind == "Node":
                healed = await heal_node(cluster, item.name, None, run=item.run, patience=patience, fence_first=True)
                left_alone += [f"node {item.name}: {text}" for text in healed.left_alone]
            else:
                await delete_ours(cluster, item.path, run_id=run)
        except ClusterError as error:
            remaining.append(f"{item.kind} {item.name}: {error}")
        else:
            undone.append(f"{item.kind} {item.name}: {item.what}")
    if folder is not None and not remaining:
        ledger = Ledger(folder.ledger)
        for record in outstanding(folder.ledger):
            ledger.healed(record.id)
        ledger.close()
    return Recovered(tuple(undone), tuple(left_alone), tuple(remaining))
