"""When live traffic trips the guard."""

from __future__ import annotations

import pytest

from harness.model import events
from harness.run.context import RunState
from harness.run.guards import Guards
from harness.run.guards.bad_ratio import BadRatioGuard
from harness.run.stop import Stopped, StopRequest
from tests.pure.healing import Facts


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


class AtOnce:
    """Trips at the first fact; `error`: fails instead."""

    name = "at-once"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.fed: list[events.Fact] = []

    def feed(self, fact: events.Fact) -> str | None:
        """See the protocol."""
        self.fed.append(fact)
        if self.error is not None:
            raise self.error
        return "a fact came"


def stopped_by(stop: StopRequest) -> tuple[RunState, str]:
    """How the run is asked to end."""
    with pytest.raises(Stopped) as raised:
        stop.check()
    return raised.value.ending.state, raised.value.ending.message


def test_guards_are_fed_when_armed_until_one_trips() -> None:
    first, second, facts, stop = AtOnce(), AtOnce(), Facts(), StopRequest()
    guards = Guards((first, second), facts, stop)  # type: ignore[arg-type]  # Facts records, and no more
    guards.feed(window(1, 0))
    assert (first.fed, stop.is_set) == ([], False)
    guards.armed = True
    guards.feed(window(2, 0))
    guards.feed(window(3, 0))
    assert (first.fed, second.fed) == ([window(2, 0)], [])
    assert facts.facts == [events.GuardTripped("at-once", "a fact came")]
    assert stopped_by(stop) == (RunState.ABORTED, "a fact came")


def test_a_guard_that_fails_guards_nothing_and_ends_the_run() -> None:
    stop = StopRequest()
    guards = Guards((AtOnce(KeyError("due")),), Facts(), stop)  # type: ignore[arg-type]
    guards.armed = True
    guards.feed(window(1, 0))
    assert stopped_by(stop) == (RunState.FAILED, "unforeseen KeyError: 'due'")


def test_dismissed_guards_have_no_say() -> None:
    guard, stop = AtOnce(), StopRequest()
    guards = Guards((guard,), Facts(), stop)  # type: ignore[arg-type]
    guards.armed = True
    guards.dismiss()
    guards.feed(window(1, 0))
    assert (guard.fed, stop.is_set) == ([], False)
