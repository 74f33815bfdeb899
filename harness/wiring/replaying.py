"""Replaying write scripts on a real control plane, many side by side."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from harness import lab as labs
from harness.clock import SystemClock
from harness.cluster.reference import ClusterRef
from harness.lab.values import LabSpec
from harness.model.scenario import Scenario
from harness.replay.replayer import Replayed
from harness.replay.side_by_side import SIDE_BY_SIDE, replay_side_by_side
from harness.wiring.sessions import ClusterSession, open_session

#: What a lab of our own needs so that pods have exactly the tolerations of their script.
REPLAY_FLAGS = ("kube-apiserver=--disable-admission-plugins=DefaultTolerationSeconds",)


def replay_all(
    scenarios: Sequence[Scenario],
    where: ClusterRef,
    *,
    report: Callable[[str], None],
    side_by_side: int = SIDE_BY_SIDE,
) -> list[Replayed | Exception]:
    """Replay every scenario, see `replay_side_by_side`; on a lab of our own, taken down afterwards, when no cluster is
    named.
    """
    with ExitStack() as stack:
        if not where.is_named:
            name = f"replay-{os.getpid()}"
            flags = tuple(map(labs.parse_flag, REPLAY_FLAGS))
            spec = LabSpec(name=name, topology=labs.plain_topology(1), flags=flags, with_prometheus=False)
            labs.up(spec, owner=labs.this_process(), report=report)
            stack.callback(labs.down_named, name)
            where = replace(where, lab=name)
        return asyncio.run(_replay_all(scenarios, where, side_by_side))


async def _replay_all(
    scenarios: Sequence[Scenario], where: ClusterRef, side_by_side: int
) -> list[Replayed | Exception]:
    async with open_session(where, clock=SystemClock(), for_writing=True) as place:
        return await replay_on(place, scenarios, side_by_side=side_by_side)


async def replay_on(
    place: ClusterSession,
    scenarios: Sequence[Scenario],
    *,
    side_by_side: int = SIDE_BY_SIDE,
    time_controller: bool = False,
) -> list[Replayed | Exception]:
    """As `replay_side_by_side`, on an open session."""
    return await replay_side_by_side(
        place.cluster,
        place.components,
        scenarios,
        clock=SystemClock(),
        side_by_side=side_by_side,
        time_controller=time_controller,
    )
