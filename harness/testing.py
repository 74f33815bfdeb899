"""For tests of what stands on the cluster port: a small fake of *our own* port, in memory. It imitates no controller,
no kubelet and no admission, and is never used by a run.

It does what a run relies on: resource versions that grow with each write, uids, patches by RFC 7386 that are refused
with 409 when the object changed, deletes that wait for finalizers, lists with selectors, watches (of whole collections:
they know no selectors). Objects are put in with their API path:
``FakeCluster().put("/api/v1/nodes/n1", {"spec": {}})``. tests/lab/test_cluster_port.py holds it to a real API server:
what is asserted there is asserted for both.
"""

from __future__ import annotations

import asyncio
import copy
import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from harness.clock import Clock, SystemClock
from harness.cluster.ports import Json, Listing, WatchLine
from harness.errors import Conflict, Indeterminate, NotFound, Refused

_SET = re.compile(r"(?P<key>\S+)\s+(?P<word>in|notin)\s+\((?P<values>[^)]*)\)")
_FIELDS = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "spec.nodeName": ("spec", "nodeName"),
    "status.phase": ("status", "phase"),
}


def merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7386."""
    out = dict(copy.deepcopy(dict(target)))
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, Mapping):
            there = out.get(key)
            out[key] = merged(there if isinstance(there, Mapping) else {}, value)
        else:
            out[key] = copy.deepcopy(value)
    return out


def _is_in(at: str, collection: str) -> bool:
    """Whether an object's path is in a collection: that of a namespace, or of the whole cluster."""
    parent = at.rsplit("/", 1)[0]
    return collection in (parent, re.sub(r"/namespaces/[^/]+(?=/[^/]+$)", "", parent))


class FakeCluster:
    """Objects by path, one resourceVersion counter, a log of changes that watches read.

    `before_patch` runs before each patch is looked at (a rival's write). `oldest` is the oldest version a watch may
    start from; raise it to make watches answer 410. `lose_answers`, `broken_watches`: how many more times.
    """

    name = "fake"

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._version = 0
        self._log: list[tuple[int, str, str, Json]] = []
        self._grown = asyncio.Condition()
        self.objects: dict[str, Json] = {}
        self.oldest = 0
        self.before_patch: Callable[[str], None] = lambda path: None
        self.lose_answers = 0
        self.broken_watches = 0

    def put(self, path: str, obj: Mapping[str, Any]) -> Json:
        """Store an object as some other actor would; a new one gets a uid."""
        self._version += 1
        stored = copy.deepcopy(dict(obj))
        meta = stored["metadata"] = dict(stored.get("metadata") or {})
        meta.setdefault("name", path.rsplit("/", 1)[1])
        meta.setdefault("uid", f"uid-{path}-{self._version}")
        meta["resourceVersion"] = str(self._version)
        kind = "MODIFIED" if path in self.objects else "ADDED"
        self.objects[path] = stored
        self._log.append((self._version, kind, path, copy.deepcopy(stored)))
        return copy.deepcopy(stored)

    def drop(self, path: str) -> None:
        """Remove an object as some other actor would."""
        self._version += 1
        gone = self.objects.pop(path)
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._log.append((self._version, "DELETED", path, gone))

    async def wake(self) -> None:
        """Let watches see what `put` and `drop` did."""
        async with self._grown:
            self._grown.notify_all()

    async def get(self, path: str, **query: str) -> Json:
        """See the port."""
        return self._there(path)

    def _there(self, path: str) -> Json:
        if path not in self.objects:
            raise NotFound(f"GET {path}: 404", status=404, reason="NotFound")
        return copy.deepcopy(self.objects[path])

    async def list(self, path: str, **query: str) -> Listing:
        """See the port."""
        items = [copy.deepcopy(obj) for at, obj in self.objects.items() if _is_in(at, path) and selected(obj, query)]
        return Listing(items, str(self._version), self._clock.now())

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """See the port."""
        at = f"{path}/{body['metadata']['name']}"
        if at in self.objects:
            raise Refused(f"POST {at}: 409", status=409, reason="AlreadyExists")
        stored = self.put(at, body)
        await self.wake()
        return stored

    async def merge_patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """See the port."""
        path = path.removesuffix("/status")
        self.before_patch(path)
        there = self._there(path)
        wanted = (body.get("metadata") or {}).get("resourceVersion")
        if wanted is not None and wanted != there["metadata"]["resourceVersion"]:
            raise Conflict(f"PATCH {path}: 409", status=409, reason="Conflict")
        after = merged(there, body)
        after["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
        # A patch that changes nothing is no write: the version stays.
        stored = there if after == there else self.put(path, after)
        meta = stored["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            self.drop(path)
        await self.wake()
        if self.lose_answers:
            self.lose_answers -= 1
            raise Indeterminate(f"PATCH {path}: connection reset")
        return stored

    async def delete(self, path: str, *, propagation: str = "Background", uid: str | None = None) -> None:
        """See the port."""
        there = self._there(path)
        if uid is not None and there["metadata"]["uid"] != uid:
            raise Conflict(f"DELETE {path}: 409", status=409, reason="Conflict")
        if there["metadata"].get("finalizers"):
            there["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
            self.put(path, there)
        else:
            self.drop(path)
        await self.wake()

    async def watch(self, path: str, *, resource_version: str, **query: str) -> AsyncIterator[WatchLine]:
        """See the port."""
        seen = int(resource_version)
        if seen < self.oldest:
            raise Refused(f"GET {path}: 410", status=410, reason="Expired")
        position = bisect_right(self._log, seen, key=lambda change: change[0])
        while True:
            if self.broken_watches:
                self.broken_watches -= 1
                raise Indeterminate(f"the watch of {path} broke")
            while position < len(self._log):
                _, kind, at, obj = self._log[position]
                position += 1
                if _is_in(at, path):
                    yield WatchLine(kind, copy.deepcopy(obj), self._clock.now())
            async with self._grown:
                await self._grown.wait()

    async def clock_offset_ms(self) -> float | None:
        """See the port."""
        return 0.0

    def credentials_expire_at_s(self) -> float | None:
        """See the port."""
        return None

    async def close(self) -> None:
        """See the port."""


def selected(obj: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """Whether an object answers a query's labelSelector and fieldSelector; ValueError for what is not supported."""
    labels = obj["metadata"].get("labels") or {}
    terms = re.split(r",(?![^(]*\))", query.get("labelSelector", ""))
    if not all(_label(term.strip(), labels) for term in terms if term.strip()):
        return False
    return all(_field(term, obj) for term in query.get("fieldSelector", "").split(",") if term)


def _label(term: str, labels: Mapping[str, str]) -> bool:
    found = _SET.fullmatch(term)
    if found:
        there = labels.get(found["key"]) in {value.strip() for value in found["values"].split(",")}
        return there == (found["word"] == "in")
    key, sign, value = re.fullmatch(r"(!?[^!=]+)(?:(!=|==?)(.*))?", term).groups()  # type: ignore[union-attr]
    if sign is None:
        return key.lstrip("!") not in labels if key.startswith("!") else key in labels
    return (labels.get(key) == value) == (sign != "!=")


def _field(term: str, obj: Mapping[str, Any]) -> bool:
    path, sign, value = re.fullmatch(r"([^!=]+)(!=|==?)(.*)", term).groups()  # type: ignore[union-attr]
    one, two = _FIELDS[path]
    return bool((obj.get(one) or {}).get(two, "") == value) == (sign != "!=")
