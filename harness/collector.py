"""Switching the cycle collector off where millions of small values are made that hold no cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_cycle_collector() -> Iterator[None]:
    """Without it inside, with it again afterwards if it was on: it would look at every value over and over, which costs
    more than linear time. For a process's one large task; others that run beside it get no collector either.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
