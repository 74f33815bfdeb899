"""Noticing that this very process did not run: stopped, swapped out, a paused machine, a busy event loop.

What the watches showed meanwhile waits in socket buffers and is stamped when it is read, which is too late.
"""

from __future__ import annotations

from harness.clock import sleep
from harness.history.record import Recorder
from harness.model import events

TICK_S = 0.05
LATE_S = 0.1
"""A tick that is later than this is a standstill; below it, stamps are wrong by less than any verdict allows for."""
MIN_DRAIN_S = 0.25
DRAIN_SHARE = 0.25
"""Lines that waited are read after the standstill, a piece at a time between ticks. A process that keeps up with its
watches needs far less than a quarter of the time to read what came in it; one that does not is late again, and every
late tick is a gap of its own."""


async def watch_standstill(recorder: Recorder) -> None:
    """Tick until cancelled; each late tick is a WatchGap of all watches, from the tick before it until what had come
    meanwhile must have been read.

    The recorder's clock has to go on while the process is stopped, as CLOCK_MONOTONIC does.
    """
    last_ns = recorder.now_ns()
    while True:
        await sleep(recorder.clock, TICK_S)
        now_ns = recorder.now_ns()
        stood_s = (now_ns - last_ns) / 1e9
        if stood_s > TICK_S + LATE_S:
            drained_ns = now_ns + round(max(MIN_DRAIN_S, DRAIN_SHARE * stood_s) * 1e9)
            why = f"this process stood still for {stood_s:.2f} s"
            recorder.record(events.WatchGap(events.ALL_WATCHES, last_ns, why, drained_ns), source="watch")
        last_ns = now_ns
