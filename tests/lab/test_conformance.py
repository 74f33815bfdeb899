"""The conformance table on the real controllers, with both bounds.

Rows that need the same control plane are replayed on one lab of their own. Its controller manager has raised client
limits, so that rows side by side do not wait for each other; except for the rows about these limits, which have the
lab's defaults and come one after the other, each to a full bucket.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from harness import lab as labs
from harness.clock import SystemClock
from harness.model.scenario import Restart
from harness.run.replay import PodEnd, Replayed
from harness.wiring.place import Place, Where, open_place
from harness.wiring.replaying import REPLAY_FLAGS, replay_on
from tests.conformance.rows import Expected, Row, rows

EARLY_S = 0.05
SIDE_BY_SIDE = 10
STARTING_AT_ONCE = 2
"""Labs: a start keeps a core busy for seconds."""
RAISED = ("kube-controller-manager=--kube-api-qps=1000", "kube-controller-manager=--kube-api-burst=2000")
REFILL_S = 2.0
"""An empty bucket is full again: 30 tokens at 20 a second, 60 at 40."""
LATE_S = 0.1
"""A write answered so much later than its row says made another script of it: the row is replayed again."""
TRIES = 3

ROWS = rows()


@dataclass(frozen=True)
class ControlPlane:
    """What a lab must be like for a row. `throttled`: the row is about the client limits. `restarted`: of those, rows
    that restart a component, which get a lab of their own to save time.
    """

    flags: tuple[str, ...]
    throttled: bool
    restarted: bool

    @property
    def name(self) -> str:
        """The lab's."""
        text = "/".join((*self.flags, str(self.throttled), str(self.restarted)))
        return "conformance-" + hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def spec(self) -> labs.LabSpec:
        """One node (nobody's: rows bring their own), no Prometheus."""
        flags = (*REPLAY_FLAGS, *(() if self.throttled else RAISED), *self.flags)
        parsed = tuple(map(labs.parse_flag, flags))
        return labs.LabSpec(name=self.name, topology=labs.plain_topology(1), flags=parsed, with_prometheus=False)


def control_plane(row: Row) -> ControlPlane:
    """Where `row` is replayed."""
    throttled = row.table == "throttle"
    return ControlPlane(row.flags, throttled=throttled, restarted=throttled and restarts(row))


async def replay_rows(place: Place, found: list[Row], *, throttled: bool) -> list[Replayed | Exception]:
    """In the order of `found`."""
    if not throttled:
        return await replay_on(place, [row.scenario for row in found], side_by_side=SIDE_BY_SIDE)
    results: list[Replayed | Exception] = []
    for row in found:
        await asyncio.sleep(REFILL_S)
        results += await replay_on(place, [row.scenario])
    return results


async def outcomes_on(plane: ControlPlane, open_rows: list[Row]) -> dict[str, Replayed | Exception]:
    """Of these rows, by id; the lab is up."""
    results: dict[str, Replayed | Exception] = {}
    async with open_place(Where(lab=plane.name), clock=SystemClock(), for_writing=True) as place:
        for _ in range(TRIES):
            found = await replay_rows(place, open_rows, throttled=plane.throttled)
            results |= {row.id: result for row, result in zip(open_rows, found, strict=True)}
            open_rows = [row for row in open_rows if was_late(results[row.id])]
            if not open_rows:
                break
    return results


def was_late(result: Replayed | Exception) -> bool:
    """Whether the writes went out as the row says."""
    return isinstance(result, Replayed) and result.late_s > LATE_S


def restarts(row: Row) -> bool:
    """Whether the row restarts a component."""
    return any(isinstance(write, Restart) for write in row.scenario.writes)


@pytest.fixture(scope="module")
def replayed() -> dict[str, Replayed | Exception]:
    """The outcome of every row, by id. Labs start before anything is timed, and rows that restart a component (a second
    of both cores) come when the others are done.
    """
    planes = list(dict.fromkeys(map(control_plane, ROWS)))
    found: dict[str, Replayed | Exception] = {}
    with ExitStack() as stack, ThreadPoolExecutor(len(planes)) as threads:
        for plane in planes:
            stack.callback(labs.down_named, plane.name)
        with ThreadPoolExecutor(STARTING_AT_ONCE) as starting:
            list(starting.map(lambda plane: labs.up(plane.spec, owner=labs.this_process(), report=print), planes))
        for restarting in (False, True):
            groups = [[r for r in ROWS if control_plane(r) == p and restarts(r) is restarting] for p in planes]
            for some in threads.map(lambda plane, rows: asyncio.run(outcomes_on(plane, rows)), planes, groups):
                found |= some
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_row(row: Row, replayed: dict[str, Replayed | Exception]) -> None:
    result = replayed[row.id]
    if isinstance(result, Exception):
        raise result
    assert not was_late(result), f"{TRIES} replays in vain: a write was {result.late_s:.3f} s late"
    assert differences(row, result) == []


def differences(row: Row, result: Replayed) -> list[str]:
    """What the real controllers did differently from what the row expects."""
    out = []
    for name, expected in row.pods.items():
        end = result.pods[name]
        if end.outcome != expected.outcome or not inside(end, expected):
            out.append(f"{name}: {end.outcome} at {end.at_s}, expected {expected}")
    if row.refused is not None and result.refused != row.refused:
        out.append(f"refused writes {result.refused}, expected {row.refused}")
    last_s = max((end.at_s for end in result.pods.values() if end.at_s is not None), default=0.0)
    if row.last_after_s is not None and last_s < row.last_after_s:
        out.append(f"all over after {last_s} s, not before {row.last_after_s} s were expected")
    return out


def inside(end: PodEnd, expected: Expected) -> bool:
    """Whether the deletion was seen in time, where a time is expected."""
    if expected.earliest_s is None or expected.latest_s is None:
        return True
    return end.at_s is not None and expected.earliest_s - EARLY_S <= end.at_s <= expected.latest_s


def as_expected(row: Row) -> Replayed:
    """A replay in which every deletion comes in the middle of what the row expects."""
    ends = {
        name: PodEnd(e.outcome, None if e.earliest_s is None else (e.earliest_s + (e.latest_s or 0.0)) / 2)
        for name, e in row.pods.items()
    }
    return Replayed(ends, row.refused or (), 0.0)


def test_the_comparison_can_fail() -> None:
    row = next(row for row in ROWS if row.id == "no-toleration")
    right = as_expected(row)
    assert differences(row, right) == []
    name, end = next((name, end) for name, end in right.pods.items() if end.at_s is not None)
    assert end.at_s is not None
    for wrong in (PodEnd("evicted", end.at_s - 1), PodEnd("evicted", end.at_s + 2), PodEnd("survives")):
        assert differences(row, replace(right, pods={**right.pods, name: wrong}))
    refusing = next(row for row in ROWS if row.refused)
    assert differences(refusing, replace(as_expected(refusing), refused=()))
    slow = next(row for row in ROWS if row.last_after_s is not None)
    soon = {name: replace(end, at_s=min(end.at_s or 0.0, 0.1)) for name, end in as_expected(slow).pods.items()}
    assert any("all over" in line for line in differences(slow, Replayed(soon, (), 0.0)))
