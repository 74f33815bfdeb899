"""Time, as a port: what a run reads, and waits for. What stands outside a run has its own use of the machine's clocks:
the lab coming up, the load process, the deadline of an HTTP session.

Durations come from ``CLOCK_MONOTONIC``, which on Linux is one clock for all processes of a machine (so rows written by
the load process and facts written by the harness can be joined); wall time is for people and for comparing with other
machines. Who waits asks the clock that it was given, so that a test runs in exact virtual seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment, read from both clocks together.

    `mono_ns`: nanoseconds of CLOCK_MONOTONIC, comparable within one boot of one machine. `wall_ns`: nanoseconds since
    the Unix epoch, only for people and foreign stamps.
    """

    mono_ns: int
    wall_ns: int

    @property
    def wall(self) -> str:
        """RFC 3339 in UTC with microseconds, e.g. ``2026-01-02T03:04:05.678901Z``."""
        return wall_text(self.wall_ns)


def wall_text(wall_ns: int) -> str:
    """`wall_ns` (since the epoch) as RFC 3339 UTC with microseconds."""
    return datetime.fromtimestamp(wall_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Clock(Protocol):
    """What the rest asks for the time, and to wait for a time."""

    def now(self) -> Instant:
        """The present moment."""
        ...

    async def sleep_until(self, mono_ns: int) -> None:
        """Return when `now().mono_ns` is `mono_ns` or more. Others run meanwhile, also when that time is past."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        """Both clocks, read back to back (under a microsecond apart)."""
        return Instant(mono_ns=time.monotonic_ns(), wall_ns=time.time_ns())

    async def sleep_until(self, mono_ns: int) -> None:
        """See the port."""
        await asyncio.sleep(max(0, mono_ns - time.monotonic_ns()) / 1e9)
        # The event loop counts in floats and may be early by a few of them.
        while (left_ns := mono_ns - time.monotonic_ns()) > 0:  # noqa: ASYNC110 -- it is time itself that is waited for
            await asyncio.sleep(left_ns / 1e9)


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait that long by `clock`; others run meanwhile, also for 0."""
    await clock.sleep_until(clock.now().mono_ns + round(seconds * 1e9))


@asynccontextmanager
async def timeout(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """As asyncio.timeout, by `clock`: what is awaited within is cancelled after `seconds`, and TimeoutError raised."""
    async with asyncio.timeout(None) as scope:

        async def ring() -> None:
            await sleep(clock, seconds)
            scope.reschedule(asyncio.get_running_loop().time())

        alarm = asyncio.create_task(ring())
        try:
            yield
        finally:
            alarm.cancel()
