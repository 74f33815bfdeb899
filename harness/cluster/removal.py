"""Removing objects, and seeing them gone: deleted is not gone, accepted is not done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from harness.cluster.ledger_record import RUN_LABEL
from harness.cluster.node_writes import node_path
from harness.cluster.patience import Patience
from harness.cluster.ports import Cluster, Json
from harness.errors import ClusterError, Conflict, NotFound

CREATE_SETTLES_S = 60.0
"""Seconds from sending a create until it can no longer land: the API server's default --request-timeout."""
GONE_WITHIN_S = 60.0
"""Seconds that what was deleted may take to be gone (pods: beyond a grace period of 30 s, that much more)."""
_POLL_FIRST_S, _POLL_S = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class Removal:
    """`gone`: seen to be gone. `why`: what holds it, or why it is not known; when gone, how, if not by our delete.
    `uid`: of the object that was ours.
    """

    gone: bool
    why: str = ""
    uid: str = ""


async def remove_object(
    cluster: Cluster,
    path: str,
    *,
    run: str,
    patience: Patience,
    gone_within_s: float,
    uid: str = "",
    lands_by_ns: int = 0,
) -> Removal:
    """Delete the object at `path` that run `run` created, and wait until GET says 404 for its UID. Never raises a
    ClusterError: what went wrong is in `Removal.why`.

    Without `uid` (the answer to its create was lost) it is ours if it carries the run's label; while it is not there,
    it is waited for until `lands_by_ns` (monotonic). Requests are tried again as `patience` has it; the object may take
    `gone_within_s` from the accepted delete to be gone.
    """
    there: Json | None = None
    poll_s, gone_by_ns = _POLL_FIRST_S, 0
    try:
        while True:
            there = await patience.keep_trying(lambda: _get(cluster, path))
            if there is None:
                waited = uid or patience.clock.now().mono_ns >= lands_by_ns
                if waited:
                    return Removal(True, uid=uid)
                if not await patience.until(lands_by_ns).pause(_POLL_S):
                    return Removal(False, "not known: its create was not answered and may still land")
                continue
            meta = there["metadata"]
            if uid and meta["uid"] != uid:
                return Removal(True, "another object has its name now", uid)
            if not uid and (meta.get("labels") or {}).get(RUN_LABEL) != run:
                return Removal(True, "an object of somebody else's has its name")
            uid = meta["uid"]
            if not meta.get("deletionTimestamp"):
                await _delete(cluster, path, uid, patience)
                continue
            gone_by_ns = gone_by_ns or patience.clock.now().mono_ns + int(gone_within_s * 1e9)
            if not await patience.until(gone_by_ns).pause(poll_s):
                return Removal(False, what_holds(there), uid)
            poll_s = min(poll_s * 2, _POLL_S)
    except ClusterError as error:
        return Removal(False, f"{what_holds(there)}; {error}" if there else f"not known: {error}", uid)


async def _get(cluster: Cluster, path: str) -> Json | None:
    try:
        return await cluster.get(path)
    except NotFound:
        return None


async def _delete(cluster: Cluster, path: str, uid: str, patience: Patience) -> None:
    """Delete that very object, and look: an object without finalizers is gone or terminating afterwards."""

    async def delete() -> None:
        try:
            await cluster.delete(path, uid=uid)
        except NotFound:
            return
        except Conflict:
            there = await _get(cluster, path)
            if there is not None and there["metadata"]["uid"] == uid:
                raise
        there = await _get(cluster, path)
        if there is not None and there["metadata"]["uid"] == uid and not there["metadata"].get("deletionTimestamp"):
            raise ClusterError(f"DELETE {path}: accepted, but it is not being deleted")

    await patience.keep_trying(delete)


def what_holds(obj: Json) -> str:
    """Why an object is still there, as it says itself."""
    meta = obj["metadata"]
    since = meta.get("deletionTimestamp")
    parts = [f"still terminating since {since}" if since else "not being deleted"]
    if meta.get("finalizers"):
        parts.append(f"held by finalizers {', '.join(map(str, meta['finalizers']))}")
    return "; ".join(parts)


def pod_path(pod: Json) -> str:
    """The API path of a pod object."""
    meta = pod["metadata"]
    return f"/api/v1/namespaces/{quote(meta['namespace'], safe='')}/pods/{quote(meta['name'], safe='')}"


async def labelled_in(cluster: Cluster, run: str, namespaces: Iterable[str], *, plural: str = "pods") -> list[Json]:
    """The pods (or another type of core/v1) that carry the run's label, asked for by list: positive evidence, no
    watch's picture.
    """
    found: list[Json] = []
    for namespace in sorted(set(namespaces)):
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/{plural}"
        found += (await cluster.list(path, labelSelector=f"{RUN_LABEL}={run}")).items
    return found


async def pods_left(
    cluster: Cluster, run: str, namespaces: Iterable[str], *, patience: Patience, gone_by_ns: int
) -> list[Json]:
    """Wait until no pod of the run is left; those that are when `gone_by_ns` (monotonic) has passed. ClusterError when
    they cannot be listed.
    """
    where = list(namespaces)
    waiting, poll_s = patience.until(gone_by_ns), _POLL_FIRST_S
    while True:
        pods = await patience.keep_trying(lambda: labelled_in(cluster, run, where))
        if not pods or not await waiting.pause(poll_s):
            return pods
        poll_s = min(poll_s * 2, _POLL_S)


async def why_left(cluster: Cluster, pod: Json) -> str:
    """What holds a pod: its finalizers, its grace, its node. One look at the node, best effort."""
    why = what_holds(pod)
    name = (pod.get("spec") or {}).get("nodeName")
    if not name:
        return why
    try:
        node: Json | None = await _get(cluster, node_path(name))
    except ClusterError:
        return f"{why}; of its node {name} nothing is known"
    if node is None:
        return f"{why}; its node {name} is gone"
    conditions: list[dict[str, Any]] = (node.get("status") or {}).get("conditions") or []
    ready = next((c.get("status") for c in conditions if c.get("type") == "Ready"), "True")
    return why if ready == "True" else f"{why}; its node {name} is not reachable (Ready is {ready})"
