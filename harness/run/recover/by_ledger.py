"""Recovering one run by its ledger: exactly what the ledger names, undone as the ledger says, with the rights that the
run had. No type is listed but nodes and pods, and no other file of the folder is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.ledger_read import LedgerRead, is_held
from harness.cluster.ledger_record import Record, RecordKind
from harness.cluster.survey import each
from harness.cluster.undo import own_claim
from harness.errors import UsageError
from harness.faults.registry import UNDO
from harness.run.recover.context import Recovered, RecoveryContext, RecoveryLog, alive_error
from harness.run.recover.ledger_nodes import LedgerNode, look_at_nodes, name_others, revert_node, run_of
from harness.run.recover.ledger_objects import ObjectRemoval, namespace_of
from harness.run.recover.marks import HealedMarks
from harness.run.recover.removing import tell_pods

SETTLE_S = 10.0
"""How long after the ledger's last line an object may still come whose create was under way when the run died."""


@dataclass(frozen=True, slots=True)
class RunLedger:
    """A run's ledger as it was read. `run`: the run's id, "" when no file says it. `written_ns`: wall time of the
    ledger's last line. `same_cluster`: the command line means the very cluster that the ledger says.
    """

    ledger: Path
    read: LedgerRead
    run: str
    written_ns: int
    same_cluster: bool


async def recover_ledger(context: RecoveryContext, source: RunLedger) -> Recovered:
    """Undo what the ledger says; each line is marked healed when that very thing was seen gone.

    UsageError when the run is still alive, or when nobody says which run it was.
    """
    nodes = await look_at_nodes(context, source.read.records)
    run = source.run or run_of(nodes)
    if not run:
        raise UsageError(f"{source.ledger}: neither it nor the nodes it names say which run it was")
    _refuse_living(context, source, nodes, run)
    objects = [(record, healed) for record, healed in source.read.records if record.kind is RecordKind.OBJECT]
    log = RecoveryLog(remaining=list(source.read.problems))
    due = [node for node in nodes if not node.healed or node.holds(run)]
    _announce(context, run, due, [record for record, healed in objects if not healed])
    same = source.same_cluster or any(node.holds(run) or (node.record.uid and node.is_same) for node in nodes)
    marks = HealedMarks(source.ledger, log)
    try:
        await each(due, lambda node: revert_node(context, log, marks, node, run=run, same=same))
        removing = ObjectRemoval(context, log, marks, run, _settle_ns(context, source), same)
        await each(reversed(objects), removing.one, at_once=None)
    finally:
        marks.close()
    await tell_pods(context, log, run, filter(None, (namespace_of(record) for record, _ in objects)))
    await name_others(context, log, nodes, run)
    return log.closed()


def _refuse_living(context: RecoveryContext, source: RunLedger, nodes: Iterable[LedgerNode], run: str) -> None:
    if context.force:
        return
    if is_held(source.ledger):
        raise alive_error(run, "it holds its ledger")
    for node in nodes:
        claim = own_claim(node.now, run, UNDO) if node.now is not None else None
        sign = context.sign_of_life(claim) if claim is not None else ""
        if sign:
            raise alive_error(run, f"{sign} (node {node.record.subject})")


def _announce(context: RecoveryContext, run: str, nodes: list[LedgerNode], objects: list[Record]) -> None:
    context.say(
        f"run {run} on {context.cluster.name}: {len(nodes)} nodes and {len(objects)} objects are not undone yet"
    )
    for node in nodes:
        words = node.claim.words() if node.claim is not None else node.record.what
        context.say(f"will undo on node {node.record.subject}: {words}")
    for record in reversed(objects):
        context.say(f"will delete {record.subject}")


def _settle_ns(context: RecoveryContext, source: RunLedger) -> int:
    now = context.patience.clock.now()
    left_s = min(SETTLE_S, SETTLE_S - (now.wall_ns - source.written_ns) / 1e9)
    return now.mono_ns + int(max(0.0, left_s) * 1e9)
