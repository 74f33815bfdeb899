"""The upper bound of a verdict comes from the run itself; what is early or stays is wrong on any machine."""

from __future__ import annotations

import pytest

from harness.check.evictions import eviction_rows, judge_evictions
from harness.check.latency import CAP_S, latency_of_run
from harness.model import events
from harness.model.taints import Effect, Toleration
from harness.model.verdicts import EvictionRow, PodVerdict, Verdict
from harness.plan.allowance import QUIET_S, RATIO, What
from harness.semantics.eviction.settings import BUSY, Latency, Settings
from tests.pure.records import FOREVER, MadePod, MadeRun, S

FIVE = Toleration(key="spot", value="x", effect=Effect.NO_EXECUTE, seconds=5)
FORTY = Toleration(key="spot", value="x", effect=Effect.NO_EXECUTE, seconds=40)


def slow(seconds: float, what: str = "write-to-watch") -> tuple[float, events.Fact]:
    return 20.0, events.LatencyMeasured(what, seconds)


def stood_still(seconds: float) -> tuple[float, events.Fact]:
    return 50.0, events.WatchGap(events.ALL_WATCHES, int((50.0 - seconds) * S), "event loop", 50 * S)


def made(pod: MadePod, *measured: tuple[float, events.Fact]) -> MadeRun:
    return MadeRun([pod], extra=list(measured), settings=Settings(latency=BUSY))


def row_of(run: MadeRun) -> EvictionRow:
    (row,) = eviction_rows(run.record())
    return row


ON_TIME, LATE, UNKNOWN = PodVerdict.ON_TIME, PodVerdict.LATE, PodVerdict.UNKNOWN
STAYED, EARLY, GONE = PodVerdict.SURVIVED_WRONGLY, PodVerdict.EARLY, PodVerdict.EVICTED_WRONGLY

CASES = {
    "within the second that is always allowed": (MadePod("p", leaves_at=13.9), (), ON_TIME),
    "beyond it, nothing measured": (MadePod("p", leaves_at=14.5), (), LATE),
    "beyond it, a quiet machine": (MadePod("p", leaves_at=14.5), (slow(0.01),), LATE),
    "as late as the machine explains": (MadePod("p", leaves_at=14.5), (slow(0.6),), ON_TIME),
    "later than it explains": (MadePod("p", leaves_at=15.5), (slow(0.6),), LATE),
    "deletions were slow": (MadePod("p", leaves_at=14.5), (slow(0.6, "delete-to-watch"),), ON_TIME),
    "the harness stood still": (MadePod("p", leaves_at=14.5), (stood_still(0.6),), ON_TIME),
    "the worst counts": (MadePod("p", leaves_at=14.5), (slow(0.6), slow(0.01)), ON_TIME),
    "another measurement says nothing": (MadePod("p", leaves_at=14.5), (slow(0.6, "controller"),), LATE),
    "too busy, within the second": (MadePod("p", leaves_at=13.9), (slow(2.0),), ON_TIME),
    "too busy, within the cap": (MadePod("p", leaves_at=14.5), (slow(2.0),), UNKNOWN),
    "too busy, beyond the cap": (MadePod("p", leaves_at=25.0), (slow(2.0),), UNKNOWN),
    "too busy, stays for longer than anything took": (MadePod("p"), (slow(2.0),), STAYED),
    "too busy, watched for too short a time": (MadePod("p"), (slow(60.0),), UNKNOWN),
    "too busy, early": (MadePod("p", (FIVE,), leaves_at=15.0), (slow(2.0),), EARLY),
    "too busy, should stay": (MadePod("p", (FOREVER,), leaves_at=20.0), (slow(2.0),), GONE),
    "too busy, stays as it should": (MadePod("p", (FOREVER,)), (slow(2.0),), PodVerdict.SURVIVED),
    "as busy as is allowed, early": (MadePod("p", (FIVE,), leaves_at=17.8), (slow(1.3),), EARLY),
    "as busy as is allowed, stays": (MadePod("p"), (slow(1.3),), STAYED),
    "as busy as is allowed, should stay": (MadePod("p", (FORTY,), leaves_at=20.0), (slow(1.3),), GONE),
}


@pytest.mark.parametrize(("pod", "measured", "expected"), CASES.values(), ids=CASES.keys())
def test_pod_verdict(pod: MadePod, measured: tuple[tuple[float, events.Fact], ...], expected: PodVerdict) -> None:
    row = row_of(made(pod, *measured))
    assert row.verdict is expected, row.reason


def test_a_run_on_a_machine_that_is_too_busy_is_inconclusive_and_says_so() -> None:
    record = made(MadePod("p", leaves_at=14.5), slow(2.0)).record()
    result = judge_evictions(eviction_rows(record), record)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "too busy to tell (write-to-watch took up to 2.00 s)" in result.reason


def test_what_the_machine_is_allowed_is_said_where_it_decided() -> None:
    late = row_of(made(MadePod("p", leaves_at=14.5), slow(0.6)))
    punctual = row_of(made(MadePod("p", leaves_at=13.5), slow(0.6)))
    assert "0.87 s of that allowed to this machine: write-to-watch took up to 0.60 s" in late.reason
    assert "allowed" not in punctual.reason


def test_the_cap_is_never_passed() -> None:
    for tenths in range(100):
        run = made(MadePod("p"), slow(tenths / 10))
        found = latency_of_run(run.record().index, BUSY)
        assert found.latency.delete_s <= CAP_S
        assert found.too_busy is (BUSY.delete_s + RATIO * max(0, tenths / 10 - QUIET_S[What.WRITE_TO_WATCH]) > CAP_S)


def test_lower_bounds_do_not_move() -> None:
    for seconds in (0.0, 0.5, 1.3, 5.0):
        found = latency_of_run(made(MadePod("p"), slow(seconds)).record().index, BUSY)
        assert (found.latency.early_s, found.latency.restart_min_s) == (BUSY.early_s, BUSY.restart_min_s)
    quiet = latency_of_run(made(MadePod("p")).record().index, Latency())
    assert (quiet.latency, quiet.because, quiet.too_busy) == (Latency(), "", False)
