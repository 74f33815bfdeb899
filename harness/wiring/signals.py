"""The signals that people and machines end programs with, for entry points that are a process of their own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from harness.engine import StopSignal

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextmanager
def stopped_by_signals(stop: StopSignal) -> Iterator[None]:
    """Within it, on the running loop of the main thread, each of `ENDING_SIGNALS` asks `stop`; SIGINT insists when it
    comes again. One that finds nothing to stop any more does what it did before. All handlers are put back at the end.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            if handler is not None:  # None: installed by something that is not Python, and cannot be put back
                signal.signal(number, handler)

    def arrived(number: signal.Signals) -> None:
        if not stop.ask(f"by {number.name}", insist=number is signal.SIGINT):
            restore()
            os.kill(os.getpid(), number)

    for number in ENDING_SIGNALS:
        loop.add_signal_handler(number, arrived, number)
    try:
        yield
    finally:
        restore()
