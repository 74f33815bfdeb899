"""Ending a run early: who asks, and how those that wait hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.errors import TaintlabError
from harness.run.context import RunState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ending:
    """How and why the steps of a run ended. `defect`: what nobody foresaw."""

    state: RunState
    message: str = ""
    defect: BaseException | None = None


class Stopped(Exception):
    """Ends the steps early; raised where one waits."""

    def __init__(self, ending: Ending) -> None:
        """`ending` is not COMPLETED."""
        super().__init__(ending.message)
        self.ending = ending


def ending_of(error: BaseException) -> Ending:
    """What a step's error makes of the run."""
    if isinstance(error, Stopped):
        return error.ending
    if isinstance(error, asyncio.CancelledError):
        return Ending(RunState.INTERRUPTED, "cancelled")
    if isinstance(error, TaintlabError | OSError):
        return Ending(RunState.FAILED, str(error))
    return Ending(RunState.FAILED, f"unforeseen {type(error).__name__}: {error}", error)


class StopRequest:
    """Set by whoever wants the run to end: a person, a guard, a step that failed, the load. The first reason stays."""

    def __init__(self) -> None:
        """Nobody asks yet."""
        self._asked = asyncio.Event()
        self._ending = Ending(RunState.COMPLETED)

    @property
    def is_set(self) -> bool:
        """Somebody asked."""
        return self._asked.is_set()

    def ask(self, ending: Ending) -> None:
        """Ask to end; safe to call from a callback of the loop."""
        if not self._asked.is_set():
            self._ending = ending
            self._asked.set()

    def clear(self) -> None:
        """Go on: what was asked is being done."""
        self._asked.clear()

    def check(self) -> None:
        """Stopped when somebody asked."""
        if self._asked.is_set():
            raise Stopped(self._ending)

    async def wait(self) -> None:
        """Return when somebody asks."""
        await self._asked.wait()

    async def or_stop(self, work: Awaitable[T]) -> T:
        """Await `work`; Stopped (and `work` is cancelled) as soon as somebody asks to end."""
        task = asyncio.ensure_future(work)
        await first_of(task, self.wait())
        if task.done() and not (task.cancelled() and self.is_set):
            return task.result()
        raise Stopped(self._ending)


async def first_of(*work: Awaitable[Any]) -> None:
    """Return when one of these is done; the others are cancelled, and have ended when it returns."""
    tasks = {asyncio.ensure_future(each) for each in work}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
