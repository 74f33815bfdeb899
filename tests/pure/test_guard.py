"""When live traffic trips the guard."""

from __future__ import annotations

import pytest

from harness.model import events
from harness.run.guards.bad_ratio import BadRatioGuard


def window(due: int, bad: int) -> events.LoadWindow:
    """A second with `bad` of `due` requests bad."""
    return events.LoadWindow(
        due=due, sent=due, done=due, bad=bad, p50_ms=1, p99_ms=2, in_flight=0, lateness_p99_ms=0, cpu=0.1
    )


CASES = {
    "all well": ([(100, 0)] * 40, None),
    "full outage from the start": ([(100, 100)] * 5, 1),
    "outage after half a minute of health": ([(100, 0)] * 30 + [(100, 100)] * 6, 34),
    "half bad": ([(100, 0)] * 30 + [(100, 50)] * 10, 37),
    "below the limit for ever": ([(100, 9)] * 60, None),
    "one bad second of thirty": ([(100, 0)] * 29 + [(100, 100)], None),
    "too few requests to tell": ([(2, 2)] * 10, None),
}


@pytest.mark.parametrize(("seconds", "trips_at"), CASES.values(), ids=CASES.keys())
def test_guard_of_ten_percent(seconds: list[tuple[int, int]], trips_at: int | None) -> None:
    guard = BadRatioGuard(0.1)
    tripped = next((i for i, (due, bad) in enumerate(seconds, start=1) if guard.feed(window(due, bad))), None)
    assert tripped == trips_at


@pytest.mark.parametrize(("seconds", "trips_at"), CASES.values(), ids=CASES.keys())
def test_other_facts_say_nothing_to_it(seconds: list[tuple[int, int]], trips_at: int | None) -> None:
    """That nothing is seen is no evidence: neither of health, nor of an outage."""
    guard, other = BadRatioGuard(0.1), events.WatchLost("pods", 0, "the connection broke")
    tripped = None
    for second, (due, bad) in enumerate(seconds, start=1):
        assert guard.feed(other) is None
        if tripped is None and guard.feed(window(due, bad)) is not None:
            tripped = second
    assert tripped == trips_at
