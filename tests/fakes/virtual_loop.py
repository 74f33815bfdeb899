"""An event loop on which time passes at once: hours of waiting take no time, and every stamp is exact.

What is given to a thread is done at once, and takes no time. Nothing on it may wait for the outside world (sockets,
processes): where nothing is due and nothing can happen any more, `run` fails instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from harness.clock import Instant

T = TypeVar("T")
WALL_S = 1_700_000_000


class _Selector(selectors.DefaultSelector):
    """Never waits: it moves the loop's time on."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits, and nothing is due")
            self.loop.now_s += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`now_s` is its time; adding to it from within is a standstill of the whole process."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Here and now."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class VirtualClock:
    """The run's clock on the running `VirtualLoop`."""

    def now(self) -> Instant:
        """The loop's time; the wall clock goes with it."""
        mono_ns = round(asyncio.get_running_loop().time() * 1e9)
        return Instant(mono_ns=mono_ns, wall_ns=WALL_S * 10**9 + mono_ns)

    async def sleep_until(self, mono_ns: int) -> None:
        """See the port."""
        await asyncio.sleep(max(0, mono_ns - self.now().mono_ns) / 1e9)
        while self.now().mono_ns < mono_ns:  # noqa: ASYNC110 -- it is time itself that is waited for
            await asyncio.sleep(1e-9)


def stand_still(seconds: float) -> None:
    """What SIGSTOP, a paused machine or a hanging disk do: time goes on, and nothing runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.now_s += seconds


def run(work: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, on a virtual loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
