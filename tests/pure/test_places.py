"""Places for steps: a bound for those that are quick, and none is held up by those that are not."""

from __future__ import annotations

import asyncio

import pytest

from harness.clock import sleep
from harness.run.places import Places
from tests.fakes.virtual_loop import VirtualClock, run


def begins(
    lengths_s: list[float], *, at_once: int, quick_s: float, cancel: dict[int, float] | None = None
) -> list[float]:
    """When each of these, asked for in this order at 0 s, begins; `cancel`: when it is cancelled. -1: never."""

    async def story() -> list[float]:
        clock = VirtualClock()
        places = Places(clock, at_once=at_once, quick_s=quick_s)
        start_ns, found = clock.now().mono_ns, [-1.0] * len(lengths_s)

        async def one(number: int, length_s: float) -> None:
            async with places.one():
                found[number] = (clock.now().mono_ns - start_ns) / 1e9
                await sleep(clock, length_s)

        tasks = [asyncio.create_task(one(number, length_s)) for number, length_s in enumerate(lengths_s)]
        for number, at_s in (cancel or {}).items():
            asyncio.get_running_loop().call_later(at_s, tasks[number].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        return found

    return run(story())


CASES: dict[str, tuple[list[float], dict[int, float], list[float]]] = {
    "quick ones follow one another": ([1, 1, 1, 1], {}, [0, 0, 1, 1]),
    "in the order in which they asked": ([1, 2, 1, 1], {}, [0, 0, 1, 2]),
    "a long one gives its place": ([100, 100, 1, 1], {}, [0, 0, 3, 3]),
    "and not a second time when it ends": ([4, 100, 2, 2, 2, 2], {}, [0, 0, 3, 3, 5, 5]),
    "one that is cancelled gives it at once": ([100, 100, 1], {0: 0.5}, [0, 0, 0.5]),
    "one that is cancelled while it waits takes none": ([1, 1, 1, 1], {2: 0.5}, [0, 0, -1, 1]),
}


@pytest.mark.parametrize(("lengths_s", "cancel", "expected"), CASES.values(), ids=CASES.keys())
def test_two_at_once_quick_within_three_seconds(
    lengths_s: list[float], cancel: dict[int, float], expected: list[float]
) -> None:
    assert begins(lengths_s, at_once=2, quick_s=3.0, cancel=cancel) == expected
