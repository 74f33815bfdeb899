"""Reverting what runs left by what the cluster itself says: the claims on nodes and the labels on objects.

Nothing here fails as a whole: each node, object and type is tried on its own, and whatever is still there, or could
not be looked at, is told by name.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.cluster.survey import ClaimedNode, Labelled, claimed_nodes, each, labelled_objects
from harness.cluster.undo import NodeUndo
from harness.faults.registry import UNDO
from harness.run.recover.context import Recovered, RecoveryContext, RecoveryLog, alive_error
from harness.run.recover.removing import remove_things, tell_pods, undo_node


async def recover_claims(context: RecoveryContext, *, run: str | None) -> Recovered:
    """Undo what the claims on the nodes and the labels on objects say of run `run`, or of every run (None).

    UsageError when `run` is still alive; of several runs, a living one is left alone and named.
    """
    log = RecoveryLog()
    nodes, unknown = await claimed_nodes(context.cluster, context.patience, UNDO)
    log.remaining += [f"not known: {text}" for text in unknown]
    alive = _alive(context, nodes)
    if run is not None and run in alive:
        raise alive_error(run, alive[run])
    await _undo_claims(context, log, nodes, run=run, alive=alive)
    seen = await labelled_objects(context.cluster, context.patience)
    log.remaining += [f"not known: {text}" for text in seen.unknown]
    for thing in () if context.force else seen.things:
        sign = context.sign_of_life(NodeUndo(thing.run, "", holder=thing.holder))
        if sign:
            alive.setdefault(thing.run, sign)
    if run is not None and run in alive:
        raise alive_error(run, alive[run])
    await _undo_labels(context, log, seen, run=run, alive=alive)
    return log.closed()


def _alive(context: RecoveryContext, nodes: Iterable[ClaimedNode]) -> dict[str, str]:
    """The runs that are alive, with why; none when they are to be recovered anyway."""
    if context.force:
        return {}
    signs = {node.claim.run: context.sign_of_life(node.claim) for node in nodes if node.claim is not None}
    found = {node.claim.run for node in nodes if node.claim is not None and context.sign_of_life(node.claim)}
    return {run: signs[run] or "another of its claims is fresh" for run in found}


async def _undo_claims(
    context: RecoveryContext, log: RecoveryLog, nodes: Iterable[ClaimedNode], *, run: str | None, alive: dict[str, str]
) -> None:
    due: list[tuple[str, str, NodeUndo]] = []
    for node in nodes:
        if node.claim is None:
            log.remaining.append(f"node {node.name}: {node.problem}")
        elif run not in (None, node.claim.run):
            continue
        elif node.claim.run in alive:
            log.remaining.append(f"node {node.name}: {_left_to(node.claim.run, alive)}")
        else:
            due.append((node.name, node.uid, node.claim))
            context.say(f"will undo on node {node.name}: {node.claim.words()} (run {node.claim.run})")

    async def one(item: tuple[str, str, NodeUndo]) -> None:
        name, uid, claim = item
        await undo_node(context, log, name, claim, run=claim.run, uid=uid, copy_only=False)

    await each(due, one)


def _left_to(run: str, alive: dict[str, str]) -> str:
    return f"run {run} is still alive: {alive[run]}; left to it (--force overrides)"


async def _undo_labels(
    context: RecoveryContext, log: RecoveryLog, seen: Labelled, *, run: str | None, alive: dict[str, str]
) -> None:
    """Delete what has no owner, then what its owner's deletion did not take with it; pods are waited for last."""
    wanted = [thing for thing in seen.things if run in (None, thing.run)]
    roots = {thing.path for thing in seen.roots}
    for thing in wanted:
        if thing.run in alive and thing.path in roots:
            log.remaining.append(f"{thing.kind} {thing.name}: {_left_to(thing.run, alive)}")
    due = [thing for thing in wanted if thing.run not in alive]
    first = [thing for thing in due if thing.path in roots]
    for thing in first:
        context.say(f"will delete {thing.kind} {thing.name} (run {thing.run})")
    await remove_things(context, log, first)
    await remove_things(context, log, [thing for thing in due if thing.path not in roots and thing.kind != "Pod"])
    for one in sorted({thing.run for thing in due}):
        await tell_pods(context, log, one, [thing.namespace for thing in due if thing.run == one and thing.namespace])
