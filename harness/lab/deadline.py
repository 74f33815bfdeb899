"""A moment on the monotonic clock by which something must have happened."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """`seconds` from now. Waits take one of these, so that nested waits share one limit."""

    def __init__(self, seconds: float, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """`monotonic_s`: the clock, in seconds."""
        self._monotonic_s = monotonic_s
        self._start_s = monotonic_s()
        self._seconds = seconds

    @property
    def left_s(self) -> float:
        """Seconds until it passes, never below 0."""
        return max(0.0, self._start_s + self._seconds - self._monotonic_s())

    @property
    def spent_s(self) -> float:
        """Seconds since it was set."""
        return self._monotonic_s() - self._start_s

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.left_s == 0.0
