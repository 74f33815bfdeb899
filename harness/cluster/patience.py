"""Trying again, until a deadline or until told to give up. Who waits does so by the clock that it was given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from harness.clock import Clock
from harness.errors import ClusterError, Conflict, Refused, TryLater

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
LONGEST_ASKED_S = 30.0
"""A Retry-After beyond this is not waited for: a taint must not stay because a proxy said "in an hour"."""

_T = TypeVar("_T")


def may_pass(error: ClusterError) -> bool:
    """Whether the same request may succeed later: throttled, a conflict, no answer, or one that is none of the API's.
    A plain refusal (403, 404, 422) stays one.
    """
    return isinstance(error, Conflict | TryLater) or not isinstance(error, Refused)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to keep trying. `deadline_ns`: monotonic, of `clock`. `give_up`: set by somebody who wants an end."""

    clock: Clock
    deadline_ns: int
    give_up: asyncio.Event | None = None

    @property
    def is_over(self) -> bool:
        """Nothing is to be waited for any more."""
        given_up = self.give_up is not None and self.give_up.is_set()
        return given_up or self.clock.now().mono_ns >= self.deadline_ns

    def until(self, deadline_ns: int) -> Patience:
        """The same, with another deadline."""
        return Patience(self.clock, deadline_ns, self.give_up)

    async def pause(self, seconds: float) -> bool:
        """Wait, at most until the deadline. False: there is no more time, or somebody gave up."""
        if self.is_over:
            return False
        until_ns = self.clock.now().mono_ns + round(seconds * 1e9)
        await self._sleep_until(min(until_ns, self.deadline_ns))
        return self.give_up is None or not self.give_up.is_set()

    async def keep_trying(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        """`attempt()` until it returns: at least once, then with pauses of 0.1 s doubling to 5 s (longer if the server
        asks). When there is no more time the last error is raised; one that cannot pass is raised at once.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await attempt()
            except ClusterError as error:
                asked_s = (error.retry_after_s or 0.0) if isinstance(error, TryLater) else 0.0
                if not may_pass(error) or not await self.pause(max(pause_s, min(asked_s, LONGEST_ASKED_S))):
                    raise
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _sleep_until(self, mono_ns: int) -> None:
        if self.give_up is None:
            await self.clock.sleep_until(mono_ns)
            return
        tasks = {asyncio.ensure_future(self.clock.sleep_until(mono_ns)), asyncio.ensure_future(self.give_up.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def to_the_end(work: Awaitable[_T]) -> _T:
    """Await `work` and do not stop for a cancellation of this task: for healing, which has a deadline of its own and
    is ended by its `give_up`. Errors of `work` are raised.
    """
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
        except Exception:
            break  # raised by result() below
    return task.result()
