"""Many write scripts on one control plane at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from harness.clock import Clock
from harness.cluster.ports import Cluster, Components
from harness.model.scenario import Restart, Scenario
from harness.replay.reference import Reference
from harness.replay.replayer import REPLAY_LABEL, Replayed, Replayer

SIDE_BY_SIDE = 50


async def replay_side_by_side(
    cluster: Cluster,
    components: Components | None,
    scenarios: Sequence[Scenario],
    *,
    clock: Clock,
    side_by_side: int = SIDE_BY_SIDE,
    time_controller: bool = False,
) -> list[Replayed | Exception]:
    """Replay every scenario, up to `side_by_side` at once; those that restart a component run alone, after the others.
    An exception stands for the scenario that met it. `time_controller`: the reference times the controller too, which
    takes three of its requests a second.
    """
    prefix = f"replay-{clock.now().mono_ns // 1_000_000:x}"
    reference = Reference(cluster, clock, prefix=prefix, label=REPLAY_LABEL, controller=time_controller)
    async with reference.running():
        replayer = Replayer(cluster, components, clock, prefix=prefix, reference=reference)
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
