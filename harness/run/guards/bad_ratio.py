"""When to stop early, from live client-side counts alone (never waiting for a metrics server)."""

from __future__ import annotations

from collections import deque

from harness.model import events

_SHORT_S, _LONG_S = 5, 30
_MIN_REQUESTS, _MIN_BAD = 50, 10


class BadRatioGuard:
    """Trips when the bad ratio is above the limit over both the last 5 s and the last 30 s, with at least 50 requests
    and 10 bad ones in the 5 s: a full outage trips in about 3 s, noise does not (simulated for 20 to 500 requests a
    second). Reads LoadWindow, one a second.
    """

    name = "bad-ratio"

    def __init__(self, limit: float) -> None:
        """`limit`: the bad ratio in (0, 1]."""
        self._limit = limit
        self._windows: deque[events.LoadWindow] = deque(maxlen=_LONG_S)

    def feed(self, fact: events.Fact) -> str | None:
        """One more fact; the reason to stop, or None."""
        if not isinstance(fact, events.LoadWindow):
            return None
        self._windows.append(fact)
        short = list(self._windows)[-_SHORT_S:]
        due, bad = sum(t.due for t in short), sum(t.bad for t in short)
        if due < _MIN_REQUESTS or bad < _MIN_BAD or bad <= self._limit * due:
            return None
        long_due, long_bad = sum(t.due for t in self._windows), sum(t.bad for t in self._windows)
        if long_bad <= self._limit * long_due:
            return None
        return (
            f"{bad} of {due} requests of the last {len(short)} s are bad ({bad / due:.0%}), "
            f"the guard allows {self._limit:.0%}"
        )
