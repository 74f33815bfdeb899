"""Reverting one thing at a time, and saying what came of it."""

from __future__ import annotations

from collections.abc import Iterable

from harness.cluster.node_writes import heal_node
from harness.cluster.ports import Json
from harness.cluster.removal import GONE_WITHIN_S, Removal, labelled_in, pods_left, remove_object, why_left
from harness.cluster.survey import Thing, each, look
from harness.cluster.undo import NodeUndo
from harness.errors import ClusterError
from harness.faults.registry import UNDO
from harness.run.recover.context import HEAL_S, RecoveryContext, RecoveryLog

_USUAL_GRACE_S = 30


async def undo_node(
    context: RecoveryContext, log: RecoveryLog, name: str, claim: NodeUndo, *, run: str, uid: str, copy_only: bool
) -> str | None:
    """Heal one node and say so in `log`; how it was healed ("": the usual way), None when it is not.

    `copy_only`: undo what `claim` says and nothing that the node's annotation adds. The run's process is gone: a write
    of it may still be under way, so the node is fenced first.
    """
    try:
        healed = await heal_node(
            context.cluster,
            name,
            claim,
            run=run,
            patience=context.tries(),
            kinds=UNDO,
            uid=uid,
            fence_first=True,
            copy_only=copy_only,
        )
    except ClusterError as error:
        log.remaining.append(f"node {name}: {claim.words()}: {error}")
        return None
    log.left_alone += [f"node {name}: {text}" for text in healed.left_alone]
    what = claim.words()
    if healed.missing:
        what += f" (not there any more: {', '.join(healed.missing)})"
    log.undone.append(f"node {name}: {healed.gone or what}")
    return healed.gone


async def remove_things(context: RecoveryContext, log: RecoveryLog, things: Iterable[Thing]) -> None:
    """Delete each of `things`, wait for all of them together, and say what came of each: none stops another."""

    async def one(thing: Thing) -> None:
        tell_removed(log, thing, await remove(context, thing.path, run=thing.run, uid=thing.uid))

    await each(things, one, at_once=None)


async def remove(context: RecoveryContext, path: str, *, run: str, uid: str, lands_by_ns: int = 0) -> Removal:
    """`remove_object` with the times of a recovery. The caller has seen that the object carries the run's label."""
    return await remove_object(
        context.cluster,
        path,
        run=run,
        patience=context.tries(HEAL_S + GONE_WITHIN_S),
        gone_within_s=GONE_WITHIN_S,
        uid=uid,
        lands_by_ns=lands_by_ns,
    )


def tell_removed(log: RecoveryLog, thing: Thing, removal: Removal) -> None:
    """What came of deleting one thing, in words."""
    if removal.gone:
        log.undone.append(f"{thing.kind} {thing.name}: {removal.why or 'gone'}")
    else:
        log.remaining.append(f"{thing.kind} {thing.name}: {removal.why}")


async def tell_pods(context: RecoveryContext, log: RecoveryLog, run: str, namespaces: Iterable[str]) -> None:
    """Wait until no pod of the run is left: deleted with their owners, they go when nothing holds them. Pods with a
    grace period above 30 s get that much more time.
    """
    where = sorted(set(namespaces))
    try:
        pods = await look(context.patience, lambda: labelled_in(context.cluster, run, where))
        grace_s = max((_grace_s(pod) for pod in pods), default=0)
        waited = any(line.startswith("Pod ") for line in log.remaining)  # as long as this, for the pods by their paths
        more_s = 0.0 if waited else GONE_WITHIN_S
        gone_by_ns = context.tries(more_s + max(0, grace_s - _USUAL_GRACE_S)).deadline_ns
        patience = context.patience.until(gone_by_ns)
        left = await pods_left(context.cluster, run, where, patience=patience, gone_by_ns=gone_by_ns)
    except ClusterError as error:
        log.remaining.append(f"not known: whether pods of run {run} are left in {', '.join(where)}: {error}")
        return
    for pod in left:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        log.remaining.append(f"Pod {name}: {await why_left(context.cluster, pod)}")


def _grace_s(pod: Json) -> int:
    spec = pod.get("spec")
    value = spec.get("terminationGracePeriodSeconds") if isinstance(spec, dict) else None
    return value if isinstance(value, int) else _USUAL_GRACE_S
