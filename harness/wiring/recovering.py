"""Taking off what a run left: by its ledger, or by the claims and labels on the cluster when there is no ledger.

Nothing here fails as a whole: each node, object and type is tried on its own, and whatever is still there, or could
not be looked at, is told by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from harness.cluster.node_writes import heal_node
from harness.cluster.patience import Patience
from harness.cluster.ports import Cluster, Json
from harness.cluster.removal import GONE_WITHIN_S, Removal, labelled_in, pods_left, remove_object, why_left
from harness.cluster.survey import ClaimedNode, Labelled, Thing, claimed_nodes, each, labelled_objects, look
from harness.cluster.undo import Holder, NodeUndo
from harness.errors import ClusterError, UsageError
from harness.faults.registry import UNDO
from harness.wiring.alive import sign_of_life
from reports.words import one_line

HEAL_S = 60.0
"""How long one node is tried; a throttled or restarting API server is back within that."""
_USUAL_GRACE_S = 30


@dataclass(frozen=True, slots=True)
class Site:
    """Where and how something is recovered. `here`: this process, to tell whether a run of this machine is alive.
    `say`: one line for people, before anything is done. `force`: also what belongs to a run that is still alive.
    """

    cluster: Cluster
    patience: Patience
    here: Holder
    say: Callable[[str], None]
    force: bool = False

    def tries(self, seconds: float = HEAL_S) -> Patience:
        """Patience for one thing, from now on."""
        now_ns = self.patience.clock.now().mono_ns
        return self.patience.until(min(self.patience.deadline_ns, now_ns + int(seconds * 1e9)))

    def sign_of_life(self, claim: NodeUndo) -> str:
        """Why the claim's run counts as alive; "" when it does not."""
        return sign_of_life(claim, here=self.here, wall_ns=self.patience.clock.now().wall_ns)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of it, one clean line each. `undone`: what was taken off. `left_alone`: what somebody else changed
    since. `remaining`: what is still there or not known, with why. `notes`: what else is to be said. `refused`: why
    nothing was undone; `remaining` then is what would have been.
    """

    undone: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str = ""


@dataclass(slots=True)
class Book:
    """Collects the lines of a `Recovered`; text of strangers (names, values, API messages) is cleaned here."""

    undone: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    remaining: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def closed(self) -> Recovered:
        """Everything said, each thing once."""
        return Recovered(_said(self.undone), _said(self.left_alone), _said(self.remaining), _said(self.notes))


def _said(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one_line(text, 500) for text in lines))


def alive_error(run: str, why: str) -> UsageError:
    """The refusal to touch a living run."""
    text = f"run {run} is still alive: {why}; wait for its end, or stop it (it heals itself); --force overrides"
    return UsageError(one_line(text))


async def undo_node(
    site: Site, book: Book, name: str, claim: NodeUndo, *, run: str, uid: str, copy_only: bool
) -> str | None:
    """Heal one node and say so in `book`; how it was healed ("": the usual way), None when it is not.

    `copy_only`: undo what `claim` says and nothing that the node's annotation adds. The run's process is gone: a write
    of it may still be under way, so the node is fenced first.
    """
    try:
        healed = await heal_node(
            site.cluster,
            name,
            claim,
            run=run,
            patience=site.tries(),
            kinds=UNDO,
            uid=uid,
            fence_first=True,
            copy_only=copy_only,
        )
    except ClusterError as error:
        book.remaining.append(f"node {name}: {claim.words()}: {error}")
        return None
    book.left_alone += [f"node {name}: {text}" for text in healed.left_alone]
    what = claim.words()
    if healed.missing:
        what += f" (not there any more: {', '.join(healed.missing)})"
    book.undone.append(f"node {name}: {healed.gone or what}")
    return healed.gone


async def recover_claims(site: Site, *, run: str | None) -> Recovered:
    """Undo what the claims on the nodes and the labels on objects say of run `run`, or of every run (None).

    UsageError when `run` is still alive; of several runs, a living one is left alone and named.
    """
    book = Book()
    nodes, unknown = await claimed_nodes(site.cluster, site.patience, UNDO)
    book.remaining += [f"not known: {text}" for text in unknown]
    alive = _alive(site, nodes)
    if run is not None and run in alive:
        raise alive_error(run, alive[run])
    await _undo_claims(site, book, nodes, run=run, alive=alive)
    seen = await labelled_objects(site.cluster, site.patience)
    book.remaining += [f"not known: {text}" for text in seen.unknown]
    for thing in () if site.force else seen.things:
        sign = site.sign_of_life(NodeUndo(thing.run, "", holder=thing.holder))
        if sign:
            alive.setdefault(thing.run, sign)
    if run is not None and run in alive:
        raise alive_error(run, alive[run])
    await _undo_labels(site, book, seen, run=run, alive=alive)
    return book.closed()


def _alive(site: Site, nodes: Iterable[ClaimedNode]) -> dict[str, str]:
    """The runs that are alive, with why; none when they are to be recovered anyway."""
    if site.force:
        return {}
    signs = {node.claim.run: site.sign_of_life(node.claim) for node in nodes if node.claim is not None}
    found = {node.claim.run for node in nodes if node.claim is not None and site.sign_of_life(node.claim)}
    return {run: signs[run] or "another of its claims is fresh" for run in found}


async def _undo_claims(
    site: Site, book: Book, nodes: Iterable[ClaimedNode], *, run: str | None, alive: dict[str, str]
) -> None:
    due: list[tuple[str, str, NodeUndo]] = []
    for node in nodes:
        if node.claim is None:
            book.remaining.append(f"node {node.name}: {node.problem}")
        elif run not in (None, node.claim.run):
            continue
        elif node.claim.run in alive:
            book.remaining.append(f"node {node.name}: {_left_to(node.claim.run, alive)}")
        else:
            due.append((node.name, node.uid, node.claim))
            site.say(f"will undo on node {node.name}: {node.claim.words()} (run {node.claim.run})")

    async def one(item: tuple[str, str, NodeUndo]) -> None:
        name, uid, claim = item
        await undo_node(site, book, name, claim, run=claim.run, uid=uid, copy_only=False)

    await each(due, one)


def _left_to(run: str, alive: dict[str, str]) -> str:
    return f"run {run} is still alive: {alive[run]}; left to it (--force overrides)"


async def _undo_labels(site: Site, book: Book, seen: Labelled, *, run: str | None, alive: dict[str, str]) -> None:
    """Delete what has no owner, then what its owner's deletion did not take with it; pods are waited for last."""
    wanted = [thing for thing in seen.things if run in (None, thing.run)]
    roots = {thing.path for thing in seen.roots}
    for thing in wanted:
        if thing.run in alive and thing.path in roots:
            book.remaining.append(f"{thing.kind} {thing.name}: {_left_to(thing.run, alive)}")
    due = [thing for thing in wanted if thing.run not in alive]
    first = [thing for thing in due if thing.path in roots]
    for thing in first:
        site.say(f"will delete {thing.kind} {thing.name} (run {thing.run})")
    await remove_things(site, book, first)
    await remove_things(site, book, [thing for thing in due if thing.path not in roots and thing.kind != "Pod"])
    for one in sorted({thing.run for thing in due}):
        await tell_pods(site, book, one, [thing.namespace for thing in due if thing.run == one and thing.namespace])


async def remove_things(site: Site, book: Book, things: Iterable[Thing]) -> None:
    """Delete each of `things`, wait for all of them together, and say what came of each: none stops another."""

    async def one(thing: Thing) -> None:
        tell_removed(book, thing, await remove(site, thing.path, run=thing.run, uid=thing.uid))

    await each(things, one, at_once=None)


async def remove(site: Site, path: str, *, run: str, uid: str, lands_by_ns: int = 0) -> Removal:
    """`remove_object` with the times of a recovery. The caller has seen that the object carries the run's label."""
    return await remove_object(
        site.cluster,
        path,
        run=run,
        patience=site.tries(HEAL_S + GONE_WITHIN_S),
        gone_within_s=GONE_WITHIN_S,
        uid=uid,
        lands_by_ns=lands_by_ns,
    )


def tell_removed(book: Book, thing: Thing, removal: Removal) -> None:
    """What came of deleting one thing, in words."""
    if removal.gone:
        book.undone.append(f"{thing.kind} {thing.name}: {removal.why or 'gone'}")
    else:
        book.remaining.append(f"{thing.kind} {thing.name}: {removal.why}")


async def tell_pods(site: Site, book: Book, run: str, namespaces: Iterable[str]) -> None:
    """Wait until no pod of the run is left: deleted with their owners, they go when nothing holds them. Pods with a
    grace period above 30 s get that much more time.
    """
    where = sorted(set(namespaces))
    try:
        pods = await look(site.patience, lambda: labelled_in(site.cluster, run, where))
        grace_s = max((_grace_s(pod) for pod in pods), default=0)
        waited = any(line.startswith("Pod ") for line in book.remaining)  # as long as this, for the pods by their paths
        more_s = 0.0 if waited else GONE_WITHIN_S
        gone_by_ns = site.tries(more_s + max(0, grace_s - _USUAL_GRACE_S)).deadline_ns
        patience = site.patience.until(gone_by_ns)
        left = await pods_left(site.cluster, run, where, patience=patience, gone_by_ns=gone_by_ns)
    except ClusterError as error:
        book.remaining.append(f"not known: whether pods of run {run} are left in {', '.join(where)}: {error}")
        return
    for pod in left:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        book.remaining.append(f"Pod {name}: {await why_left(site.cluster, pod)}")


def _grace_s(pod: Json) -> int:
    spec = pod.get("spec")
    value = spec.get("terminationGracePeriodSeconds") if isinstance(spec, dict) else None
    return value if isinstance(value, int) else _USUAL_GRACE_S
