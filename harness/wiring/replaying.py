"""Replaying write scripts on a real control plane, many side by side."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from harness import lab as labs
from harness.clock import SystemClock
from harness.lab.values import LabSpec
from harness.model.scenario import Restart, Scenario
from harness.replay.reference import Reference
from harness.replay.replayer import REPLAY_LABEL, Replayed, Replayer
from harness.wiring.sessions import ClusterRef, ClusterSession, open_session

#: What a lab of our own needs so that pods have exactly the tolerations of their script.
REPLAY_FLAGS = ("kube-apiserver=--disable-admission-plugins=DefaultTolerationSeconds",)
_SIDE_BY_SIDE = 50


def replay_all(
    scenarios: Sequence[Scenario],
    where: ClusterRef,
    *,
    report: Callable[[str], None],
    side_by_side: int = _SIDE_BY_SIDE,
) -> list[Replayed | Exception]:
    """Replay every scenario; on a lab of our own, taken down afterwards, when no cluster is named.

    Up to `side_by_side` at once; those that restart a component run alone, after the others. An exception stands for
    the scenario
    that met it.
    """
    with ExitStack() as stack:
        if where.lab is None and where.context is None:
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
    side_by_side: int = _SIDE_BY_SIDE,
    time_controller: bool = False,
) -> list[Replayed | Exception]:
    """As `replay_all`, on an open place. `time_controller`: the reference times the controller too, which takes three
    of its requests a second.
    """
    clock = SystemClock()
    prefix = f"replay-{clock.now().mono_ns // 1_000_000:x}"
    reference = Reference(place.cluster, clock, prefix=prefix, label=REPLAY_LABEL, controller=time_controller)
    async with reference.running():
        replayer = Replayer(place.cluster, place.components, clock, prefix=prefix, reference=reference)
        return await _with(replayer, scenarios, side_by_side)


async def _with(replayer: Replayer, scenarios: Sequence[Scenario], side_by_side: int) -> list[Replayed | Exception]:
    room = asyncio.Semaphore(side_by_side)
    results: list[Replayed | Exception] = [RuntimeError("not replayed")] * len(scenarios)

    async def one(index: int) -> None:
        async with room:
            try:
                results[index] = await replayer.replay(scenarios[index], number=index)
            except Exception as error:
                results[index] = error

    alone = [i for i, s in enumerate(scenarios) if any(isinstance(write, Restart) for write in s.writes)]
    await asyncio.gather(*(one(i) for i in range(len(scenarios)) if i not in alone))
    for index in alone:
        await one(index)
    return results
