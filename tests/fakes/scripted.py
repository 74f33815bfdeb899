"""The fake cluster with a hand on every request: watches and the request for the time are counted too.

Each request takes `latency_s` of the loop's time, half of it before it is applied.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

from harness.cluster.ports import Json, Listing, WatchLine
from harness.errors import Indeterminate, Refused, TryLater
from harness.testing import FakeCluster
from tests.fakes.virtual_loop import VirtualClock


class Failure(StrEnum):
    """What can happen to a request, or to the run while it is under way."""

    REFUSED = "403"
    THROTTLED = "429, Retry-After 2 s"
    LOST_BEFORE = "no answer, not applied"
    LOST_AFTER = "no answer, applied"
    OS_ERROR = "OSError, not applied"
    OS_ERROR_AFTER = "OSError, applied"
    KEY_ERROR = "KeyError, not applied"
    KEY_ERROR_AFTER = "KeyError, applied"
    CANCELLED_ERROR = "CancelledError out of the blue, not applied"
    CANCELLED_ERROR_AFTER = "CancelledError out of the blue, applied"
    CANCEL = "the run is cancelled, before it is applied"
    CANCEL_AFTER = "the run is cancelled, after it is applied"
    INTERRUPT = "the run is interrupted"


ENDS_THE_RUN = (Failure.CANCEL, Failure.CANCEL_AFTER, Failure.INTERRUPT)
AFTER = frozenset(failure for failure in Failure if failure.value.endswith(", applied"))


Write = Callable[[FakeCluster], Awaitable[Any]]
"""Applies a request to a cluster; a ClusterError when it refuses."""
Failing = Callable[[int], Failure | None]


def once(at: int, failure: Failure) -> Failing:
    """One request fails."""
    return lambda number: failure if number == at else None


def error_of(failure: Failure) -> BaseException | None:
    """What is raised for it; None when nothing is."""
    match failure:
        case Failure.REFUSED:
            return Refused("403 Forbidden", status=403, reason="Forbidden")
        case Failure.THROTTLED:
            return TryLater("429", status=429, reason="TooManyRequests", retry_after_s=2.0)
        case Failure.LOST_BEFORE | Failure.LOST_AFTER:
            return Indeterminate("connection reset")
        case Failure.OS_ERROR | Failure.OS_ERROR_AFTER:
            return OSError(5, "Input/output error")
        case Failure.KEY_ERROR | Failure.KEY_ERROR_AFTER:
            return KeyError("metadata")
        case Failure.CANCELLED_ERROR | Failure.CANCELLED_ERROR_AFTER:
            return asyncio.CancelledError()
        case Failure.CANCEL | Failure.CANCEL_AFTER | Failure.INTERRUPT:
            return None


class ScriptedCluster(FakeCluster):
    """`failing(number)`: what happens to a request, counted from 0 since `count_from_here`. `strike(failure)` cancels
    or interrupts the run. `seen(number, applied)` is called right before and right after a request is applied.
    `under_way`: the writes that were sent and are not applied yet, and how to apply them later.
    """

    def __init__(self, *, latency_s: float = 0.003) -> None:
        super().__init__(VirtualClock())
        self.latency_s = latency_s
        self.requests: list[str] = []
        self.failing: Failing = lambda number: None
        self.strike: Callable[[Failure], object] = lambda failure: None
        self.seen: Callable[[int, bool], object] = lambda number, applied: None
        self.under_way: dict[int, Write] = {}
        self.in_flight = 0
        self.most_in_flight = 0

    def count_from_here(self) -> None:
        """The next request is number 0; of those that are under way nothing is told any more."""
        self.requests = []
        self.most_in_flight = 0

    @asynccontextmanager
    async def _request(self, words: str, write: Write | None = None) -> AsyncIterator[None]:
        counted, number = self.requests, len(self.requests)
        counted.append(words)
        if write is not None:
            self.under_way[number] = write
        failure = self.failing(number)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if failure in (Failure.CANCEL, Failure.INTERRUPT):
                self.strike(failure)
            await asyncio.sleep(self.latency_s / 2)
            if counted is self.requests:
                self.seen(number, False)
            error = None if failure is None else error_of(failure)
            if error is not None and failure not in AFTER:
                raise error
            self.under_way.pop(number, None)
            yield
            if counted is self.requests:
                self.seen(number, True)
            if failure is Failure.CANCEL_AFTER:
                self.strike(failure)
            await asyncio.sleep(self.latency_s / 2)
            if error is not None:
                raise error
        finally:
            self.under_way.pop(number, None)
            self.in_flight -= 1

    async def get(self, path: str, **query: str) -> Json:
        """See the port."""
        async with self._request(f"GET {path}"):
            return await super().get(path, **query)
        raise AssertionError("an error was swallowed")

    async def list(self, path: str, **query: str) -> Listing:
        """See the port."""
        async with self._request(f"LIST {path}"):
            return await super().list(path, **query)
        raise AssertionError("an error was swallowed")

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """See the port."""
        async with self._request(f"POST {path}", lambda late: FakeCluster.create(late, path, body)):
            return await super().create(path, body)
        raise AssertionError("an error was swallowed")

    async def merge_patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """See the port."""
        async with self._request(f"PATCH {path}", lambda late: FakeCluster.merge_patch(late, path, body)):
            return await super().merge_patch(path, body)
        raise AssertionError("an error was swallowed")

    async def delete(self, path: str, *, propagation: str = "Background", uid: str | None = None) -> None:
        """See the port."""
        async with self._request(f"DELETE {path}", lambda late: FakeCluster.delete(late, path, uid=uid)):
            await super().delete(path, propagation=propagation, uid=uid)

    async def watch(self, path: str, *, resource_version: str, **query: str) -> AsyncIterator[WatchLine]:
        """See the port."""
        async with self._request(f"WATCH {path}"):
            pass
        async for line in super().watch(path, resource_version=resource_version, **query):
            yield line

    async def clock_offset_ms(self) -> float | None:
        """See the port."""
        async with self._request("HEAD /version"):
            return await super().clock_offset_ms()
        raise AssertionError("an error was swallowed")
