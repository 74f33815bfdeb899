"""Objects of a run: deleted by path and UID, and gone only when the API says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.errors import ClusterError, Conflict, NotFound
from harness.faults.patience import Patience
from harness.run.ledger import RUN_LABEL
from harness.run.ports import Cluster, Json
from harness.run.survey import Thing, each, look, thing_of

PODS = "/api/v1/pods"
GONE_S = 60.0
"""How long a deleted object is waited for; pods that may take longer to stop are waited for longer."""
_USUAL_GRACE_S = 30
_FIRST_POLL_S, _LONGEST_POLL_S = 0.1, 2.0
_PART = r"[A-Za-z0-9][-A-Za-z0-9._:]*"
_OBJECT = re.compile(rf"/(?:api/v1|apis/{_PART}/{_PART})(?:/namespaces/{_PART})?/{_PART}/{_PART}")


def is_object_path(path: str) -> bool:
    """Whether `path` is that of one object, and no subresource: ledgers may come from strangers."""
    return _OBJECT.fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class Removed:
    """`gone`: the API says that there is no such object any more. `deleted`: it was there, and we deleted it.
    `why`: what is to be said: what holds it; or who has its name now.
    """

    gone: bool
    deleted: bool = False
    why: str = ""


async def remove(cluster: Cluster, path: str, *, run: str, uid: str, patience: Patience, settle_ns: int = 0) -> Removed:
    """Delete the object at `path` of run `run` and wait until it is gone, at most `GONE_S`. ClusterError when the
    cluster does not answer, or refuses.

    Only an object with that run's label is deleted, and only the one with `uid` ("": not known). Until `settle_ns`
    (monotonic) one that is not there may still come: its create was under way when the run ended.
    """
    patience = patience.until(_within(patience, GONE_S))
    while True:
        there = await _get(cluster, path, patience)
        if there is not None or patience.clock.now().mono_ns >= settle_ns or not await patience.pause(1.0):
            break
    thing = None if there is None else _meant(there, path=path, uid=uid)
    if there is None or thing is None:
        other = "" if there is None else "another object has its name now"
        return Removed(gone=True, why=other)
    if thing.run != run:
        if uid:
            return Removed(gone=False, why=f"its label {RUN_LABEL} is not there any more: whose it is now is not known")
        return Removed(gone=True, why="somebody else's object has its name")
    deleted = not thing.deleting_since
    if deleted:
        await patience.keep_trying(lambda: _delete(cluster, path, uid=thing.uid))
    return replace(await wait_gone(cluster, thing, patience), deleted=deleted)


def _within(patience: Patience, seconds: float) -> int:
    return min(patience.deadline_ns, patience.clock.now().mono_ns + int(seconds * 1e9))


def _meant(there: Json, *, path: str, uid: str) -> Thing | None:
    """The object, if it is the one with `uid`; ClusterError when it cannot be read."""
    meta = there.get("metadata")
    found = meta.get("uid", "") if isinstance(meta, dict) else ""
    if uid and found != uid:
        return None
    thing = thing_of(there, kind=str(there.get("kind", "object")), path=path)
    return thing or Thing("object", path.rsplit("/", 1)[1], "", path, found)


async def _get(cluster: Cluster, path: str, patience: Patience) -> Json | None:
    try:
        return await look(patience, lambda: cluster.get(path))
    except NotFound:
        return None


async def _delete(cluster: Cluster, path: str, *, uid: str) -> None:
    try:
        await cluster.delete(path, uid=uid or None)
    except (NotFound, Conflict):
        return  # gone, or another one by now: what is there is looked at next


async def wait_gone(cluster: Cluster, thing: Thing, patience: Patience) -> Removed:
    """Ask for an object until it is gone or the time of `patience` is over; then what holds it."""
    pause_s = _FIRST_POLL_S
    while True:
        there = await _get(cluster, thing.path, patience)
        now = None if there is None else _meant(there, path=thing.path, uid=thing.uid)
        if now is None:
            return Removed(gone=True)
        if not await patience.pause(pause_s):
            return Removed(gone=False, why=now.held or "still there although it was deleted")
        pause_s = min(pause_s * 2, _LONGEST_POLL_S)


async def wait_pods_gone(cluster: Cluster, runs: Iterable[str], patience: Patience) -> list[Thing]:
    """List pods by label until none of the runs' is left; those that stayed, after `GONE_S` (and what the longest
    termination grace period is beyond 30 s). ClusterError when pods cannot be listed.
    """
    wanted, began_ns, pause_s = frozenset(runs), patience.clock.now().mono_ns, _FIRST_POLL_S
    while True:
        listing = await look(patience, lambda: cluster.list(PODS, labelSelector=RUN_LABEL))
        items = [(item, _pod(item)) for item in listing.items]
        left = [(item, thing) for item, thing in items if thing is not None and thing.run in wanted]
        if not left:
            return []
        longest_s = max((_grace_s(item) for item, _ in left), default=0)
        end_ns = began_ns + int((GONE_S + max(0, longest_s - _USUAL_GRACE_S)) * 1e9)
        if not await patience.until(min(end_ns, patience.deadline_ns)).pause(pause_s):
            return [thing for _, thing in left]
        pause_s = min(pause_s * 2, _LONGEST_POLL_S)


def _pod(item: Json) -> Thing | None:
    meta = item["metadata"]
    return thing_of(item, kind="Pod", path=f"/api/v1/namespaces/{meta.get('namespace')}/pods/{meta.get('name')}")


def _grace_s(pod: Json) -> int:
    spec = pod.get("spec")
    value = spec.get("terminationGracePeriodSeconds") if isinstance(spec, dict) else None
    return value if isinstance(value, int) else _USUAL_GRACE_S


async def remove_things(
    cluster: Cluster, things: Iterable[Thing], patience: Patience
) -> list[tuple[Thing, Removed | ClusterError]]:
    """Delete each of `things` and wait for all of them together; each on its own, none stops another."""

    async def one(thing: Thing) -> tuple[Thing, Removed | ClusterError]:
        try:
            return thing, await remove(cluster, thing.path, run=thing.run, uid=thing.uid, patience=patience)
        except ClusterError as error:
            return thing, error

    return await each(list(things), one, at_once=None)
