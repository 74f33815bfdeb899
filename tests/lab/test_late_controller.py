"""The reference beside a replay excuses a busy machine and nobody else: a controller that is late by itself is noticed.

Upstream's taint eviction controller is switched off, and `tests.lab.wrong_controller` evicts in its place.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from harness import lab as labs
from harness.clock import SystemClock
from harness.cluster.reference import ClusterRef
from harness.replay.replayer import Replayed
from harness.wiring.replaying import REPLAY_FLAGS, replay_on
from harness.wiring.sessions import open_session
from tests.conformance.judging import differences
from tests.conformance.rows import Row, rows
from tests.lab.too_busy import note, tell_if_busy
from tests.lab.wrong_controller import evicting_on
from tests.lab.wrong_controller_rules import Defect
from tests.slowness import TRIES, Found, figures

CHOSEN = ("no-toleration", "finite-toleration-both-bounds", "zero-and-negative-seconds", "shortest-of-two")
ROWS = [row for row in rows() if row.id in CHOSEN]
FLAGS = (*REPLAY_FLAGS, "kube-controller-manager=--controllers=*,-taint-eviction-controller")


def replayed(lab: labs.Lab, chosen: list[Row]) -> list[Replayed | Exception]:
    async def story() -> list[Replayed | Exception]:
        async with open_session(ClusterRef(lab=lab.name), clock=SystemClock(), for_writing=True) as place:
            return await replay_on(place, [row.scenario for row in chosen])

    return asyncio.run(story())


@pytest.fixture(scope="module")
def found() -> dict[Defect, dict[str, Found]]:
    """What each controller's replays come to, by row."""
    name = f"late-{os.getpid()}"
    flags = tuple(map(labs.parse_flag, FLAGS))
    spec = labs.LabSpec(name=name, topology=labs.plain_topology(1), flags=flags, with_prometheus=False)
    out: dict[Defect, dict[str, Found]] = {}
    try:
        lab = labs.up(spec, owner=labs.this_process(), report=print)
        for defect in (Defect.NONE, Defect.TWO_SECONDS_LATE):
            out[defect] = {}
            with evicting_on(lab, {}, otherwise=defect):
                left = ROWS
                for _ in range(TRIES):
                    results = replayed(lab, left)
                    note(f"a controller that {defect}: {figures(results)}")
                    for row, result in zip(left, results, strict=True):
                        if isinstance(result, Exception):
                            raise result
                        out[defect][row.id] = differences(row, result)
                    left = [row for row in left if out[defect][row.id].too_busy]
                    if not left:
                        break
    finally:
        labs.down_named(name)
    return out


@pytest.mark.parametrize("row", CHOSEN)
def test_control_our_own_controller_is_on_time(row: str, found: dict[Defect, dict[str, Found]]) -> None:
    seen = found[Defect.NONE][row]
    assert seen.wrong == ()
    tell_if_busy((*seen.late, *seen.too_busy))  # it is Python, and as slow as that


@pytest.mark.parametrize("row", CHOSEN)
def test_two_seconds_late_are_noticed(row: str, found: dict[Defect, dict[str, Found]]) -> None:
    seen = found[Defect.TWO_SECONDS_LATE][row]
    assert seen != Found()
    tell_if_busy(() if seen.disagreements else seen.too_busy)
