"""The traffic of a run: started, written down second by second, stopped."""

from __future__ import annotations

import asyncio

from harness.clock import timeout
from harness.cluster.ports import LoadDriver, Tick
from harness.model import events
from harness.run.context import RunContext, RunState
from harness.run.guards import Guards
from harness.run.stop import Ending, StopRequest, ending_of

LOAD_STOP_S = 90.0
"""Longer than the load process gives its own requests to end."""


class LoadRun:
    """Follows the load process of one run."""

    def __init__(self, context: RunContext, stop: StopRequest, guards: Guards) -> None:
        """Nothing is sent until `start`."""
        self._context = context
        self._stop = stop
        self._guards = guards
        self._following: asyncio.Task[None] | None = None
        self._ending = False

    async def start(self) -> None:
        """Start the load process and follow it; LoadFailed when it does not come up."""
        load = self._context.load
        assert load is not None
        await load.start()
        self._following = asyncio.create_task(self._follow(load))

    async def stop(self) -> None:
        """Stop it and write LoadEnded; nothing when it was not started. TimeoutError after LOAD_STOP_S."""
        load = self._context.load
        if load is None or self._following is None:
            return
        self._ending = True
        try:
            async with timeout(self._context.clock, LOAD_STOP_S):
                traffic = await load.stop()
            fact = events.LoadEnded(traffic.ok, traffic.summary, traffic.message)
            self._context.recorder.record(fact, source="load")
        finally:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def _follow(self, load: LoadDriver) -> None:
        """Until it ends. Traffic that nobody sees guards nothing: whatever ends it before its time ends the run."""
        try:
            async for tick in load.ticks():
                self._tick(tick)
        except (Exception, asyncio.CancelledError) as error:
            if not self._ending:
                ending = ending_of(error)
                message = f"the load cannot be followed: {ending.message}"
                self._stop.ask(Ending(RunState.FAILED, message, ending.defect))
            raise
        if not self._ending:
            self._stop.ask(Ending(RunState.FAILED, "the load process ended before it was told to"))

    def _tick(self, tick: Tick) -> None:
        window = events.LoadWindow(
            due=tick.due,
            sent=tick.sent,
            done=tick.done,
            bad=tick.bad,
            p50_ms=tick.p50_ms,
            p99_ms=tick.p99_ms,
            in_flight=tick.in_flight,
            lateness_p99_ms=tick.lateness_p99_ms,
            cpu=tick.cpu,
        )
        self._context.recorder.record(window, source="load")
        self._context.progress.tick(tick)
        self._guards.feed(window)
