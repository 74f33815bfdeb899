"""Answers that come late make every watch's stamps upper bounds; and what verdicts make of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.check.evictions import eviction_rows
from harness.cluster.pulse import DRAIN_S, watch_answers
from harness.errors import Indeterminate, Refused, TryLater
from harness.history.query import gaps, unseen
from harness.history.read import History, read_history
from harness.history.record import Recorder
from harness.model import events
from harness.model.taints import Effect, Toleration
from harness.model.verdicts import PodVerdict
from harness.testing import FakeCluster
from tests.fakes.virtual_loop import VirtualClock, run
from tests.pure.records import FOREVER, MadePod, MadeRun, S, node_seen

FIVE = Toleration(key="spot", value="x", effect=Effect.NO_EXECUTE, seconds=5)
THIRTY = Toleration(key="spot", value="x", effect=Effect.NO_EXECUTE, seconds=30)


class Slow(FakeCluster):
    """Answers as late as `late_s` says for the second in which it was asked, or not at all."""

    def __init__(self, late_s: Callable[[float], float], error: Exception | None = None) -> None:
        super().__init__(VirtualClock())
        self.late_s, self.error = late_s, error

    async def clock_offset_ms(self) -> float | None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.late_s(loop.time() - 1000.0))
        if self.error is not None:
            raise self.error
        return 0.0


def history_of(folder: Path, late_s: Callable[[float], float], error: Exception | None = None) -> History:
    """Ten seconds of asking."""

    async def story() -> None:
        recorder = Recorder(folder / "history.jsonl", VirtualClock(), run_id="r")
        task = asyncio.create_task(watch_answers(Slow(late_s, error), recorder))
        await asyncio.sleep(10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        recorder.close()

    run(story())
    return read_history(folder / "history.jsonl")


def seconds(history: History) -> list[tuple[float, float]]:
    """Gaps of the pods' watch."""
    return [(round(gap.start_ns / 1e9, 6), round(gap.end_ns / 1e9, 6)) for gap in gaps(history, "pods")]


WAYS = {
    "at once": (lambda at: 0.0, []),
    "a little slow": (lambda at: 0.7, []),
    "a stall from 2.5 to 5.5 s": (lambda at: 5.5 - at if 2.5 < at < 5.5 else 0.0, [(2.0, 5.5 + DRAIN_S)]),
    "late by 1.5 s from 3 s on": (
        lambda at: 1.5 if at >= 3 else 0.0,
        [(2.0, end + DRAIN_S) for end in (4.5, 6.0, 7.5, 9.0)],
    ),
}


@pytest.mark.parametrize(("late_s", "expected"), WAYS.values(), ids=WAYS.keys())
def test_a_late_answer_is_a_gap_since_the_last_prompt_one(
    late_s: Callable[[float], float], expected: list[tuple[float, float]], tmp_path: Path
) -> None:
    assert seconds(history_of(tmp_path, late_s)) == expected


def test_what_came_late_came_all_the_same(tmp_path: Path) -> None:
    assert unseen(history_of(tmp_path, lambda at: 2.0), "pods") == []


@pytest.mark.parametrize("error", [Refused("403", status=403), TryLater("429", status=429)], ids=["403", "429"])
def test_a_refusal_is_an_answer(error: Exception, tmp_path: Path) -> None:
    def late_s(at: float) -> float:
        return 2.0 if 5 < at < 7 else 0.0

    assert seconds(history_of(tmp_path, late_s, error)) == [(5.0, 8.0 + DRAIN_S)]


def test_a_connection_that_is_refused_at_once_says_nothing_of_the_watches(tmp_path: Path) -> None:
    assert seconds(history_of(tmp_path, lambda at: 0.0, Indeterminate("connection refused"))) == []


# --- what is judged ---


def slow(start: float, end: float) -> tuple[float, events.Fact]:
    """Late answers, as `watch_answers` writes them."""
    return end, events.WatchGap(events.ANSWERS, round(start * S), "an answer took long", round(end * S))


def row_of(pod: MadePod, *extra: tuple[float, events.Fact]) -> tuple[PodVerdict, str]:
    """The verdict on one pod; the taint is acknowledged at 13 s."""
    (row,) = eviction_rows(MadeRun([pod], extra=list(extra)).record())
    return row.verdict, row.reason


def test_a_pod_that_seems_late_on_a_slow_way_is_not_called_late() -> None:
    """It was due at 18.0 s and deleted then, and the line came at 20: what the stamps say could be either."""
    pod = MadePod("p", (FIVE,), leaves_at=20.0, accepted_at=18.1)
    assert row_of(pod)[0] is PodVerdict.LATE
    assert row_of(pod, slow(17.5, 20.3))[0] is PodVerdict.UNKNOWN


def test_its_twin_that_is_late_beyond_the_slowness_stays_so() -> None:
    pod = MadePod("p", (FIVE,), leaves_at=23.0)
    assert row_of(pod, slow(20.5, 23.3))[0] is PodVerdict.LATE
    assert row_of(pod, slow(14.0, 17.0))[0] is PodVerdict.LATE


def test_slow_answers_excuse_no_other_pod() -> None:
    """A standstill of our own comes on top of what a pod may take; a slow way is no measurement of this machine."""
    assert row_of(MadePod("p", (FIVE,), leaves_at=19.5), slow(30.0, 32.5))[0] is PodVerdict.LATE


def healed_slowly(seen_s: float, answered_s: float, begun_s: float = 42.98) -> list[tuple[float, events.Fact]]:
    """A heal that took from `begun_s` to `answered_s`, its line seen at `seen_s`."""
    return [
        (begun_s, events.StepInvoked("heal-slow", "heal", "n1")),
        (seen_s, node_seen("MODIFIED", (), version="rv-slow")),
        (answered_s, events.StepDone("heal-slow", {"resourceVersion": "rv-slow"})),
    ]


def test_a_pod_that_was_due_while_our_heal_was_under_way_cannot_be_judged() -> None:
    """Due at 43.0 s: the heal was sent at 40, shown at 44 and answered at 46. It may have come before, and did."""
    pod = MadePod("p", (THIRTY,))
    assert row_of(pod, *healed_slowly(44.0, 46.0, begun_s=40.0))[0] is PodVerdict.UNKNOWN


def test_its_twin_that_was_due_before_it_was_sent_survived_wrongly() -> None:
    pod = MadePod("p", (replace(THIRTY, seconds=20),))
    assert row_of(pod, *healed_slowly(44.0, 46.0, begun_s=40.0))[0] is PodVerdict.SURVIVED_WRONGLY


def test_a_heal_that_was_seen_counts_then_and_not_when_it_was_answered() -> None:
    """Due at 43.0 s, sent at 40, shown at 40.05: off in time, however late the answer came."""
    row = row_of(MadePod("p", (THIRTY,)), *healed_slowly(40.05, 46.0, begun_s=40.0))
    assert row[0] is PodVerdict.SURVIVED, row[1]


def test_what_is_tolerated_for_ever_stays_proven_on_a_slow_way() -> None:
    assert row_of(MadePod("p", (FOREVER,)), slow(14.0, 60.0))[0] is PodVerdict.SURVIVED
