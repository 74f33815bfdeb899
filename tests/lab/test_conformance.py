"""The conformance table on the real controllers, with both bounds.

Rows that need the same control plane are replayed on one lab of their own. Its controller manager has raised client
limits, so that rows side by side do not wait for each other; except for the rows about these limits, which have the
lab's defaults and come one after the other, each to a full bucket.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from harness import lab as labs
from harness.clock import SystemClock
from harness.cluster.reference import ClusterRef
from harness.replay.replayer import Replayed
from harness.wiring.replaying import REPLAY_FLAGS, replay_on
from harness.wiring.sessions import ClusterSession, open_session
from tests.conformance.judging import RULES, always_late, differences, was_late
from tests.conformance.rows import Row, rows
from tests.lab.too_busy import note, tell_if_busy
from tests.slowness import TRIES, figures, restarts

SIDE_BY_SIDE = 10
LABS_AT_ONCE = 2
RAISED = ("kube-controller-manager=--kube-api-qps=1000", "kube-controller-manager=--kube-api-burst=2000")
REFILL_S = 2.0
"""An empty bucket is full again: 30 tokens at 20 a second, 60 at 40."""

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
    return ControlPlane(row.flags, throttled=throttled, restarted=throttled and restarts(row.scenario))


async def replay_rows(place: ClusterSession, found: list[Row], *, throttled: bool) -> list[Replayed | Exception]:
    """In the order of `found`. Where the controller's client limits matter the reference does not use them."""
    if not throttled:
        timed = any(restarts(row.scenario) for row in found)
        scenarios = [row.scenario for row in found]
        return await replay_on(place, scenarios, side_by_side=SIDE_BY_SIDE, time_controller=timed)
    results: list[Replayed | Exception] = []
    for row in found:
        await asyncio.sleep(REFILL_S)
        results += await replay_on(place, [row.scenario])
    return results


async def outcomes_on(plane: ControlPlane, open_rows: list[Row]) -> dict[str, Replayed | Exception]:
    """Of these rows, by id; the lab is up. Rows that were late or too busy to tell, or could not be replayed, are
    replayed again.
    """
    results: dict[str, Replayed | Exception] = {}
    async with open_session(ClusterRef(lab=plane.name), clock=SystemClock(), for_writing=True) as place:
        for left in reversed(range(TRIES)):
            found = await replay_rows(place, open_rows, throttled=plane.throttled)
            results |= {row.id: result for row, result in zip(open_rows, found, strict=True)}
            open_rows = [row for row in open_rows if again(row, results[row.id])]
            if not open_rows:
                break
            if left:
                note(f"replayed again: {', '.join(row.id for row in open_rows)}")
    return results


def again(row: Row, result: Replayed | Exception) -> bool:
    """Whether another replay may show something else."""
    return isinstance(result, Exception) or differences(row, result).again


def outcomes_on_a_lab_of_their_own(plane: ControlPlane, some: list[Row]) -> dict[str, Replayed | Exception]:
    """Of these rows, by id; the lab is started before and taken down after."""
    try:
        labs.up(plane.spec, owner=labs.this_process(), report=print)
        return asyncio.run(outcomes_on(plane, some))
    finally:
        labs.down_named(plane.name)


@pytest.fixture(scope="module")
def replayed() -> dict[str, Replayed | Exception]:
    """The outcome of every row, by id. Two labs at a time: a control plane costs a tenth of a core even when it idles.
    Rows that restart a component (a second of both cores) come when the others are done.
    """
    planes = list(dict.fromkeys(map(control_plane, ROWS)))
    found: dict[str, Replayed | Exception] = {}
    with ThreadPoolExecutor(LABS_AT_ONCE) as threads:
        for restarting in (False, True):
            groups = {
                p: [r for r in ROWS if control_plane(r) == p and restarts(r.scenario) is restarting] for p in planes
            }
            groups = {plane: some for plane, some in groups.items() if some}
            for some in threads.map(outcomes_on_a_lab_of_their_own, groups.keys(), groups.values()):
                found |= some
    late = sum(isinstance(result, Replayed) and was_late(result) for result in found.values())
    note(f"conformance: {figures(list(found.values()))}")
    note(f"conformance: {late} of {len(found)} scripts judged as they went, since a write was late")
    return found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_row(row: Row, replayed: dict[str, Replayed | Exception]) -> None:
    result = replayed[row.id]
    if isinstance(result, Exception):
        raise result
    found = differences(row, result)
    assert found.disagreements == ()
    tell_if_busy(found.too_busy)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rule", RULES)
def test_no_rule_is_always_late(rule: str, replayed: dict[str, Replayed | Exception]) -> None:
    """A busy machine makes some pods late; a controller that is late by rule makes all of them late."""
    found = always_late(rule, [(row, r) for row in ROWS if isinstance(r := replayed[row.id], Replayed)])
    assert found.disagreements == ()
    tell_if_busy(found.too_busy)
