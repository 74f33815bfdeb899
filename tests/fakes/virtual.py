"""Virtual time: a clock that only a sleep moves on."""

from __future__ import annotations

import asyncio

from harness.clock import Instant


class VirtualTime:
    """A `harness.clock.Clock` and its `sleep`. Who sleeps is woken at once, later by what was slept."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def now(self) -> Instant:
        """See the port."""
        return Instant(self.now_ns, 1_700_000_000 * 10**9 + self.now_ns)

    async def sleep(self, seconds: float) -> None:
        """As `asyncio.sleep`."""
        await self.sleep_until(self.after_s(seconds))

    async def sleep_until(self, mono_ns: int) -> None:
        """See the port."""
        await asyncio.sleep(0)
        self.now_ns = max(self.now_ns, mono_ns)

    def after_s(self, seconds: float) -> int:
        """Monotonic nanoseconds, that far from now."""
        return self.now_ns + round(seconds * 1e9)
