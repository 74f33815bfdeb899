"""What runs left on a cluster, as the cluster itself says: claims on nodes, labels on objects. Reads only.

Nothing here fails: what could not be looked at is said (`unknown`), and the rest is looked at all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from harness.cluster.ledger_record import HOLDER_ANNOTATION, RUN_LABEL
from harness.cluster.patience import Patience
from harness.cluster.ports import Cluster, Json
from harness.cluster.resources import Resource, Resources
from harness.cluster.undo import Holder, NodeUndo, UndoKinds, claim_of
from harness.errors import ClusterError

NODES = "/api/v1/nodes"
LOOK_S = 10.0
"""How long one read is tried again: a throttled API server answers within that, a broken webhook never."""
_AT_ONCE = 8

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class ClaimedNode:
    """A node with our annotation. `claim` None: it cannot be read, `problem` says why."""

    name: str
    uid: str
    claim: NodeUndo | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """An object that carries our label. `name`: with its namespace, for people. `owners`: UIDs. `deleting_since`:
    RFC 3339, "" when it is not being deleted; `finalizers` then hold it. `holder`: the run's process, if it says so.
    """

    kind: str
    namespace: str
    name: str
    run: str
    path: str
    uid: str
    owners: tuple[str, ...] = ()
    deleting_since: str = ""
    holder: Holder | None = None
    finalizers: tuple[str, ...] = ()

    @property
    def held(self) -> str:
        """Why it is still there, in words; "" when nobody deleted it."""
        if not self.deleting_since:
            return ""
        by = f"held by the finalizers {', '.join(self.finalizers)}" if self.finalizers else "not gone yet"
        return f"being deleted since {self.deleting_since}, {by}"


class _Owner(msgspec.Struct):
    uid: str


class _Meta(msgspec.Struct):
    name: str
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    ownerReferences: list[_Owner] | None = None  # noqa: N815 -- the API's own name
    deletionTimestamp: str | None = None  # noqa: N815 -- the API's own name
    finalizers: list[str] | None = None


class _Object(msgspec.Struct):
    metadata: _Meta


def thing_of(item: Json, *, kind: str, path: str) -> Thing | None:
    """An object of the API as a Thing, None when it carries no run label; ClusterError when it is no object at all."""
    try:
        meta = msgspec.convert(item, type=_Object).metadata
    except (msgspec.ValidationError, RecursionError) as error:
        raise ClusterError(f"GET {path}: an object that cannot be read ({error})") from error
    run = (meta.labels or {}).get(RUN_LABEL, "")
    if not run:
        return None
    return Thing(
        kind=kind,
        namespace=meta.namespace,
        name=f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name,
        run=run,
        path=path,
        uid=meta.uid,
        owners=tuple(owner.uid for owner in meta.ownerReferences or ()),
        deleting_since=meta.deletionTimestamp or "",
        holder=_holder((meta.annotations or {}).get(HOLDER_ANNOTATION, "")),
        finalizers=tuple(meta.finalizers or ()),
    )


def _holder(text: str) -> Holder | None:
    try:
        return Holder.parse(msgspec.json.decode(text)) if text else None
    except (ValueError, RecursionError):
        return None  # written by somebody else: it proves nothing


async def look(patience: Patience, ask: Callable[[], Awaitable[A]]) -> A:
    """What `ask` answers, tried again for `LOOK_S`; then the ClusterError."""
    deadline_ns = patience.clock.now().mono_ns + int(LOOK_S * 1e9)
    return await patience.until(min(deadline_ns, patience.deadline_ns)).keep_trying(ask)


async def claimed_nodes(cluster: Cluster, patience: Patience, kinds: UndoKinds) -> tuple[list[ClaimedNode], list[str]]:
    """Every node with our annotation, readable or not; and what could not be looked at."""
    try:
        listed = await look(patience, lambda: cluster.list(NODES))
    except ClusterError as error:
        return [], [f"nodes: {error}"]
    found = []
    for node in listed.items:
        meta = node["metadata"]
        try:
            claim, problem = claim_of(node, kinds), ""
        except ClusterError as error:
            claim, problem = None, str(error)
        if claim is not None or problem:
            found.append(ClaimedNode(meta["name"], meta.get("uid", ""), claim, problem))
    return found, []


@dataclass(frozen=True, slots=True)
class Labelled:
    """Every object with our label that could be seen, and what could not be looked at."""

    things: tuple[Thing, ...]
    unknown: tuple[str, ...]

    @property
    def roots(self) -> list[Thing]:
        """Those that go with nothing else: without an owner, or whose owners were not seen (they are gone, or never
        carried our label).
        """
        there = {thing.uid for thing in self.things}
        return [thing for thing in self.things if not there.intersection(thing.owners)]

    @property
    def left(self) -> list[Thing]:
        """The roots, and what is being deleted and still there."""
        roots = {thing.path for thing in self.roots}
        return [thing for thing in self.things if thing.path in roots or thing.deleting_since]


async def labelled_objects(cluster: Cluster, patience: Patience) -> Labelled:
    """Look through every type that the server serves, each version of it until one can be listed."""
    resources = Resources(cluster)
    candidates, unknown = await _types(resources, patience)

    async def look_at(versions: Sequence[Resource]) -> list[Thing] | str:
        why = ""
        for resource in versions:
            try:
                return await _labelled_of(cluster, resource, patience)
            except ClusterError as error:
                why = why or f"{resource.plural} ({resource.api_version}): {error}"
        return why

    things: dict[str, Thing] = {}
    for answer in await each(candidates, look_at):
        if isinstance(answer, str):
            unknown.append(answer)
        else:
            # An object that two groups serve (Events) is one: known by its UID.
            things.update({thing.uid or thing.path: thing for thing in answer})
    return Labelled(tuple(things.values()), tuple(unknown))


async def _types(resources: Resources, patience: Patience) -> tuple[list[list[Resource]], list[str]]:
    """Every type that can be listed and deleted, as its served versions, the preferred one first."""
    unknown: list[str] = []
    try:
        groups = await look(patience, resources.versions)
    except ClusterError as error:
        unknown.append(f"the API groups: {error}")
        groups = [["v1"]]

    async def discover(version: str) -> tuple[Resource, ...] | str:
        try:
            return await look(patience, lambda: resources.of_version(version))
        except ClusterError as error:
            return f"the types of {version}: {error}"

    found: dict[tuple[str, str], list[Resource]] = {}
    for answer in await each([version for group in groups for version in group], discover):
        if isinstance(answer, str):
            unknown.append(answer)
            continue
        for resource in answer:
            if {"list", "delete"} <= resource.verbs:
                found.setdefault((resource.group, resource.plural), []).append(resource)
    return list(found.values()), unknown


async def _labelled_of(cluster: Cluster, resource: Resource, patience: Patience) -> list[Thing]:
    collection = resource.collection()
    listing = await look(patience, lambda: cluster.list(collection, labelSelector=RUN_LABEL))
    found = []
    for item in listing.items:
        meta = item["metadata"]
        path = f"{resource.collection(meta.get('namespace'))}/{meta.get('name')}"
        thing = thing_of(item, kind=resource.kind, path=path)
        if thing is not None:
            found.append(thing)
    return found


async def each(items: Iterable[A], do: Callable[[A], Awaitable[B]], *, at_once: int | None = _AT_ONCE) -> list[B]:
    """`do` for every item, `at_once` of them together (None: all); the answers in the order of the items."""
    room = asyncio.Semaphore(at_once) if at_once else contextlib.nullcontext()

    async def one(item: A) -> B:
        async with room:
            return await do(item)

    return list(await asyncio.gather(*(one(item) for item in items)))
