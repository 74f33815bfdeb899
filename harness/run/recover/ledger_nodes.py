"""The nodes that a ledger names: as they are now, and reverted as the ledger says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.cluster.ledger_record import Record, RecordKind
from harness.cluster.node_writes import node_path
from harness.cluster.ports import Json
from harness.cluster.survey import claimed_nodes, each, look
from harness.cluster.undo import NodeUndo, claim_of, own_claim, parse_claim
from harness.errors import ClusterError, NotFound
from harness.faults.registry import UNDO
from harness.run.recover.context import RecoveryContext, RecoveryLog
from harness.run.recover.marks import HealedMarks, elsewhere
from harness.run.recover.removing import undo_node

_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class LedgerNode:
    """A node of the ledger. `claim`: its undo as the ledger has it (None: it has none). `now`: the node, None when
    there is none or `unseen` says why it could not be looked at. `problem`: why its record cannot be read.
    """

    record: Record
    healed: bool
    claim: NodeUndo | None = None
    now: Json | None = None
    unseen: str = ""
    problem: str = ""

    @property
    def is_same(self) -> bool:
        """Whether the node that was changed is there."""
        return self.now is not None and self.record.uid in ("", self.now["metadata"].get("uid"))

    def holds(self, run: str) -> bool:
        """Whether the node carries a claim of the run."""
        return self.now is not None and bool(run) and own_claim(self.now, run, UNDO) is not None


async def look_at_nodes(context: RecoveryContext, records: Iterable[tuple[Record, bool]]) -> list[LedgerNode]:
    """The ledger's nodes as they are, latest first."""

    async def one(item: tuple[Record, bool]) -> LedgerNode:
        record, healed = item
        node = LedgerNode(record, healed)
        if not _NODE_NAME.fullmatch(record.subject):
            return replace(node, problem=f"{record.subject!r} cannot name a node")
        try:
            claim = parse_claim(record.undo, node=record.subject, kinds=UNDO) if record.undo else None
        except ClusterError as error:
            return replace(node, problem=f"its undo in the ledger cannot be read: {error}")
        try:
            now = await look(context.patience, lambda: context.cluster.get(node_path(record.subject)))
        except NotFound:
            return replace(node, claim=claim)
        except ClusterError as error:
            return replace(node, claim=claim, unseen=str(error))
        return replace(node, claim=claim, now=now)

    found = [item for item in records if item[0].kind is RecordKind.NODE]
    return await each(reversed(found), one)


def run_of(nodes: Iterable[LedgerNode]) -> str:
    """The run that the claims name: those of the ledger, else those on its nodes; "" when they do not agree."""
    nodes = list(nodes)
    for claims in ([node.claim for node in nodes], [_claim_on(node) for node in nodes]):
        runs = {claim.run for claim in claims if claim is not None}
        if runs:
            return runs.pop() if len(runs) == 1 else ""
    return ""


def _claim_on(node: LedgerNode) -> NodeUndo | None:
    try:
        return None if node.now is None else claim_of(node.now, UNDO)
    except ClusterError:
        return None


async def revert_node(
    context: RecoveryContext, log: RecoveryLog, marks: HealedMarks, node: LedgerNode, *, run: str, same: bool
) -> None:
    """Revert one node and mark it in the ledger when it was seen healed. `same`: this is the run's cluster."""
    name, claim = node.record.subject, node.claim
    if not node.problem and claim is not None and claim.run != run:
        node = replace(node, problem=f"its undo in the ledger is of another run ({claim.run})")
    if node.problem:
        log.remaining.append(f"node {name}: {node.problem}")
        return
    if not same and not node.is_same:
        why = f"not known: {node.unseen}" if node.unseen else elsewhere(context)
        log.remaining.append(f"node {name}: {node.record.what}: {why}")
        return
    if claim is None and node.now is not None:
        claim = own_claim(node.now, run, UNDO)
    if claim is None and (node.unseen or (node.now is not None and _shows(node.now, node.record.what))):
        why = f"not known: {node.unseen}" if node.unseen else "the ledger holds no undo and the node no claim"
        log.remaining.append(f"node {name}: {node.record.what}: {why}")
        return
    claim = claim or NodeUndo(run, "")
    how = await undo_node(context, log, name, claim, run=run, uid=node.record.uid, copy_only=True)
    if how is not None:
        marks.healed(node.record, how)


def _shows(node: Json, what: str) -> bool:
    """Whether a node looks as a record without an undo (taintlab 0.1.0) describes its change."""
    taints = [f"{t.get('key')}{'=' + t['value'] if t.get('value') else ''}:{t.get('effect')}" for t in _taints(node)]
    return what in taints or (what == "cordon" and bool(node.get("spec", {}).get("unschedulable")))


def _taints(node: Json) -> list[Json]:
    return [taint for taint in node.get("spec", {}).get("taints") or () if isinstance(taint, dict)]


async def name_others(context: RecoveryContext, log: RecoveryLog, nodes: list[LedgerNode], run: str) -> None:
    """Nodes that carry a claim of this run and that the ledger does not name: never touched, but said."""
    claimed, unknown = await claimed_nodes(context.cluster, context.patience, UNDO)
    log.notes += [f"other nodes could not be looked at: {text}" for text in unknown]
    named = {node.record.subject for node in nodes}
    for node in claimed:
        if node.claim is not None and node.claim.run == run and node.name not in named:
            log.remaining.append(
                f"node {node.name}: carries a claim of run {run} ({node.claim.words()}) but is not in this ledger: not "
                f"touched; if it is to be believed, --run {run} undoes it"
            )
