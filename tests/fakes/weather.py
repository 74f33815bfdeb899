"""The fake cluster in bad weather: what goes wrong at which request is scripted."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

from harness.clock import Clock
from harness.cluster.ports import Json, Listing
from harness.cluster.undo import CLAIM_ANNOTATION
from harness.errors import Indeterminate, Refused, TryLater
from harness.testing import FakeCluster, merged


class Trouble(StrEnum):
    """What can happen to one request."""

    REFUSED = "refused (403)"
    THROTTLED = "throttled (429, Retry-After 2 s)"
    EXPIRED = "401 after a refresh"
    LOST_BEFORE = "no answer, not applied"
    LOST_AFTER = "no answer, applied"
    SERVER_ERROR = "500"
    HELD = "no answer, applied later"
    CANCELLED_BEFORE = "cancelled before it is applied"
    CANCELLED_AFTER = "cancelled after it is applied"
    RIVAL = "somebody else writes in between"
    GONE = "the object is deleted"
    REPLACED = "another object has the name"
    STRIPPED = "our annotation is taken off"
    FOREIGN_VALUE = "somebody else changes the value of our taint"
    UNTAINTED = "somebody else takes our taint off"


Plan = Callable[[int, str, str], Trouble | None]
"""What happens to request `number` (from 0), `verb`, `path`."""


class Weather(FakeCluster):
    """`plan` says what goes wrong; `node` is the path that rivals write to. `cancel` cancels whoever runs the story."""

    def __init__(self, clock: Clock, plan: Plan, *, node: str = "") -> None:
        super().__init__(clock)
        self.plan = plan
        self.node = node
        self.requests: list[tuple[str, str]] = []
        self.cancel: Callable[[], object] = lambda: None
        self.held: list[tuple[str, Mapping[str, Any], int]] = []
        self.late: list[str] = []
        self.before_request: Callable[[int], None] = lambda number: None
        self.applied: Callable[[str, str], None] = lambda verb, path: None

    def land(self, *, older_than_s: float = 0.0) -> None:
        """Held writes (sent that long ago) arrive now; `late` says what became of each."""
        before_ns = self._clock.now().mono_ns - round(older_than_s * 1e9)
        due = [held for held in self.held if held[2] <= before_ns]
        self.held = [held for held in self.held if held not in due]
        for path, body, _ in due:
            there = self.objects.get(path)
            wanted = (body.get("metadata") or {}).get("resourceVersion")
            if there is None:
                if wanted is None and "kind" in body:
                    self.put(path, body)
                    self.applied("POST", path)
                    self.late.append("landed")
                else:
                    self.late.append("404")
            elif "kind" in body or wanted != there["metadata"]["resourceVersion"]:
                self.late.append("409")
            else:
                self.put(path, merged(there, body))
                self.late.append("landed")

    @asynccontextmanager
    async def _weather(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> AsyncIterator[None]:
        number = len(self.requests)
        self.requests.append((verb, path))
        self.before_request(number)
        trouble = self.plan(number, verb, path)
        if trouble is Trouble.CANCELLED_BEFORE:
            self.cancel()
        await asyncio.sleep(0)
        where = f"{verb} {path}"
        match trouble:
            case Trouble.REFUSED:
                raise Refused(f"{where}: 403 Forbidden", status=403, reason="Forbidden")
            case Trouble.THROTTLED:
                raise TryLater(f"{where}: 429", status=429, reason="TooManyRequests", retry_after_s=2.0)
            case Trouble.EXPIRED:
                raise TryLater(f"{where}: 401", status=401, reason="Unauthorized")
            case Trouble.LOST_BEFORE:
                raise Indeterminate(f"{where}: connection reset")
            case Trouble.SERVER_ERROR:
                raise Indeterminate(f"{where}: 500", status=500, reason="InternalError")
            case Trouble.HELD:
                if body is not None:
                    at = path if verb == "PATCH" else f"{path}/{body['metadata']['name']}"
                    self.held.append((at, copy.deepcopy(dict(body)), self._clock.now().mono_ns))
                raise Indeterminate(f"{where}: timed out")
            case None | Trouble.LOST_AFTER | Trouble.CANCELLED_AFTER | Trouble.CANCELLED_BEFORE:
                pass
            case _:
                self._rival(trouble)
        yield
        if verb != "GET":
            self.applied(verb, path)
        if trouble is Trouble.CANCELLED_AFTER:
            self.cancel()
        await asyncio.sleep(0)
        if trouble is Trouble.LOST_AFTER:
            raise Indeterminate(f"{where}: the answer broke off")

    def _rival(self, trouble: Trouble) -> None:
        there = self.objects.get(self.node)
        if there is None:
            return
        node = copy.deepcopy(there)
        match trouble:
            case Trouble.GONE:
                self.drop(self.node)
                return
            case Trouble.REPLACED:
                self.drop(self.node)
                self.put(self.node, {"spec": {"unschedulable": True}})  # cordoned by whoever made it
                return
            case Trouble.RIVAL:
                labels = node["metadata"].setdefault("labels", {})
                labels["beats"] = str(int(labels.get("beats", "0")) + 1)
            case Trouble.STRIPPED:
                (node["metadata"].get("annotations") or {}).pop(CLAIM_ANNOTATION, None)
            case Trouble.FOREIGN_VALUE:
                for taint in node["spec"].get("taints") or ():
                    if taint["key"] == "spot":
                        taint["value"] = "theirs"
            case Trouble.UNTAINTED:
                node["spec"]["taints"] = [t for t in node["spec"].get("taints") or () if t["key"] != "spot"]
            case _:
                raise AssertionError(trouble)
        if node != there:
            self.put(self.node, node)

    async def get(self, path: str, **query: str) -> Json:
        """See the port."""
        async with self._weather("GET", path):
            return await super().get(path, **query)
        raise AssertionError("the weather swallowed an error")

    async def list(self, path: str, **query: str) -> Listing:
        """See the port."""
        async with self._weather("GET", path):
            return await super().list(path, **query)
        raise AssertionError("the weather swallowed an error")

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """See the port."""
        async with self._weather("POST", path, body):
            return await super().create(path, body)
        raise AssertionError("the weather swallowed an error")

    async def merge_patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """See the port."""
        async with self._weather("PATCH", path, body):
            return await _calm(self).merge_patch(path, body)
        raise AssertionError("the weather swallowed an error")

    async def delete(self, path: str, *, propagation: str = "Background", uid: str | None = None) -> None:
        """See the port."""
        async with self._weather("DELETE", path):
            await _calm(self).delete(path, uid=uid)


def _calm(cluster: Weather) -> FakeCluster:
    """The same objects as a plain fake: the read inside a write is no request of its own."""
    calm = object.__new__(FakeCluster)
    calm.__dict__ = cluster.__dict__
    return calm
