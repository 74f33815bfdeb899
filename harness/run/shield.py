"""Work that must come to its end, whoever asks to stop meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> tuple[T, int]:
    """Await `work` in a task of its own until it is done; (its result, how many cancellations came meanwhile).

    A cancellation of the caller is counted and not passed on. What `work` raises is raised.
    """
    task = asyncio.ensure_future(work)
    cancellations = 0
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            cancellations += 1
        except BaseException:
            break  # what the work itself raised: told by result()
    return task.result(), cancellations
