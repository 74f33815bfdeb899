"""How many steps are under way at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness.clock import Clock, sleep

AT_ONCE = 32
"""Steps under way: enough to inject 1,000 nodes in the time of some 30, and few enough for any API server."""
QUICK_S = 0.5
"""A step that takes longer waits for something (a drain, a throttled write): it gives its place to the next one, so
that it holds up nobody."""


class Places:
    """Places for steps, in the order in which they are asked for."""

    def __init__(self, clock: Clock, *, at_once: int = AT_ONCE, quick_s: float = QUICK_S) -> None:
        """All are free."""
        self._clock = clock
        self._quick_s = quick_s
        self._free = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A place, for `quick_s` at the most: whoever takes longer goes on without."""
        await self._free.acquire()
        kept = True

        def leave() -> None:
            nonlocal kept
            if kept:
                kept = False
                self._free.release()

        async def leave_later() -> None:
            await sleep(self._clock, self._quick_s)
            leave()

        timer = asyncio.create_task(leave_later())
        try:
            yield
        finally:
            timer.cancel()
            leave()
