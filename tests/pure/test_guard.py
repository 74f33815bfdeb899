"""When live traffic trips the guard."""

from __future__ import annotations

import pytest

from harness.cluster.ports import Tick
from harness.run.guards.bad_ratio import BadRatioGuard


def tick(due: int, bad: int) -> Tick:
    """A second with `bad` of `due` requests bad."""
    return Tick(due=due, sent=due, done=due, bad=bad, p50_ms=1, p99_ms=2, in_flight=0, lateness_p99_ms=0, cpu=0.1)


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
    tripped = next((i for i, (due, bad) in enumerate(seconds, start=1) if guard.feed(tick(due, bad))), None)
    assert tripped == trips_at
