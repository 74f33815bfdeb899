"""What goes on beside the steps of a run: its sign of life, and its own health."""

from __future__ import annotations

import asyncio

from harness.clock import sleep
from harness.run.context import RunContext, RunState
from harness.run.stop import Ending, StopRequest

HEARTBEAT_S = 30.0
"""How often the undo records on nodes are renewed. `recover` takes one for alive that is younger than three of
these."""
_LOOK_S = 1.0


async def keep_alive(context: RunContext, stop: StopRequest) -> None:
    """Until cancelled: renew the undo records, and stop a run that cannot write down what it sees."""
    renewed_ns = context.recorder.now_ns()
    while True:
        await sleep(context.clock, _LOOK_S)
        failure = context.recorder.failure
        if failure is not None:
            message = f"the history cannot be written: {failure.strerror or failure}"
            stop.ask(Ending(RunState.FAILED, message))
        if context.recorder.now_ns() - renewed_ns >= HEARTBEAT_S * 1e9:
            renewed_ns = context.recorder.now_ns()
            await _renew(context)


async def _renew(context: RunContext) -> None:
    """Another beat follows; an undo record that is gone is a fact of its own."""
    task = asyncio.ensure_future(context.drivers.renew(context.clock.now().wall))
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
    why = "cancelled" if task.cancelled() else task.exception()
    if why is not None:
        context.progress.say(f"the claims could not be renewed: {why}")
