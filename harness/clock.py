"""Time. The only module that reads clocks.

Durations come from ``CLOCK_MONOTONIC``, which on Linux is one clock for all processes of a machine (so rows written
by the
load process and facts written by the harness can be joined); wall time is for people and for comparing with other
machines.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment, read from both clocks together.

    `mono_ns`: nanoseconds of CLOCK_MONOTONIC, comparable within one boot of one machine. `wall_ns`: nanoseconds
    since the Unix
    epoch, only for people and foreign stamps.
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
    """What the rest asks for the time."""

    def now(self) -> Instant:
        """The present moment."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        """Both clocks, read back to back (under a microsecond apart)."""
        return Instant(mono_ns=time.monotonic_ns(), wall_ns=time.time_ns())
