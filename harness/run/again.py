"""Asking again: for what is refused only for now, and for what was not answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from harness.clock import Clock
from harness.errors import Indeterminate, TryLater

T = TypeVar("T")
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How to wait: the clock, and what sleeps by it."""

    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def again(self, ask: Callable[[], Awaitable[T]], *, for_s: float) -> T:
        """What `ask` answers; asked again after TryLater and Indeterminate for `for_s` seconds, then that error is
        raised. The server's Retry-After is kept within that time. Other errors are raised at once.
        """
        end_ns = self.clock.now().mono_ns + int(for_s * 1e9)
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await ask()
            except (TryLater, Indeterminate) as error:
                left_s = (end_ns - self.clock.now().mono_ns) / 1e9
                if left_s <= 0:
                    raise
                asked_s = getattr(error, "retry_after_s", None) or 0.0
            await self.sleep(min(max(pause_s, asked_s), left_s))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
