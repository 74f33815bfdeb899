"""How a run is asked to end: by a value that is handed in. The engine touches no signal handler."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from harness.errors import ExitCode, TaintlabError

T = TypeVar("T")


class NotStarted(TaintlabError):
    """The run was asked to end before it touched anything."""

    exit_code = ExitCode.INTERRUPTED


class Listener(Protocol):
    """`harness.run.interpret.Interpreter.interrupt`."""

    def __call__(self, message: str, *, insist: bool = False) -> None:
        """Heal and end."""
        ...


class StopSignal:
    """Asks one run to heal and end. All of it belongs to the run's event loop; from elsewhere, ask by
    ``loop.call_soon_threadsafe``.
    """

    def __init__(self) -> None:
        """Nobody asked yet."""
        self._asked: list[tuple[str, bool]] = []
        self._first = asyncio.Event()
        self._listener: Listener | None = None
        self._over = False

    def ask(self, why: str, *, insist: bool = False) -> bool:
        """Heal and end the run. Asked again with `insist` while it does so: what the cluster does not answer is given
        up, and is then a leftover. False when there is nothing to stop any more: everything is healed or told.
        """
        if self._over:
            return False
        self._asked.append((why, insist))
        self._first.set()
        if self._listener is not None:
            self._listener(why, insist=insist)
        return True

    async def unless_asked(self, work: Awaitable[T]) -> T:
        """What `work`, which changes nothing, comes to; NotStarted, and `work` cancelled, as soon as somebody asks."""
        task, asked = asyncio.ensure_future(work), asyncio.ensure_future(self._first.wait())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
            if self._asked:
                raise NotStarted(f"ended {self._asked[0][0]} before the run began: nothing was touched")
            return task.result()
        finally:
            asked.cancel()
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    @contextmanager
    def heard_by(self, listener: Listener) -> Iterator[None]:
        """Hand everything that is asked, also what was asked already, to `listener`; after it nothing can be asked."""
        self._listener = listener
        try:
            for why, insist in self._asked:
                listener(why, insist=insist)
            yield
        finally:
            self._listener, self._over = None, True
