"""Waiting by the clock port: never early, and a time that is up cancels."""

from __future__ import annotations

import asyncio

import pytest

from harness.clock import SystemClock, sleep, timeout
from tests.fakes.virtual_loop import VirtualClock, run


def test_the_machine_s_clock_is_never_early() -> None:
    clock = SystemClock()

    async def story() -> list[int]:
        early = []
        for ns in (0, 1, 999, 12_345, 1_000_001, 3_333_333):
            due = clock.now().mono_ns + ns
            await clock.sleep_until(due)
            early.append(max(0, due - clock.now().mono_ns))
        return early

    assert asyncio.run(story()) == [0] * 6


def test_virtual_seconds_are_exact() -> None:
    async def story() -> tuple[int, int]:
        clock = VirtualClock()
        start = clock.now().mono_ns
        await asyncio.gather(*(sleep(clock, seconds) for seconds in (0.1, 7.3, 3600.000000001)))
        return clock.now().mono_ns - start, start

    assert run(story())[0] == 3_600_000_000_001


def test_others_run_while_a_past_moment_is_waited_for() -> None:
    async def story() -> list[str]:
        said: list[str] = []

        async def speak() -> None:
            said.append("other")

        other = asyncio.create_task(speak())
        await VirtualClock().sleep_until(0)
        said.append("me")
        await other
        return said

    assert run(story()) == ["other", "me"]


def test_a_timeout_cancels_what_takes_longer() -> None:
    async def story() -> float:
        clock, ended = VirtualClock(), []
        start = clock.now().mono_ns

        async def work() -> None:
            try:
                await sleep(clock, 100)
            finally:
                ended.append(True)

        with pytest.raises(TimeoutError):
            async with timeout(clock, 2.5):
                await work()
        assert ended == [True]
        return (clock.now().mono_ns - start) / 1e9

    assert run(story()) == 2.5


def test_a_timeout_lets_be_what_ends_in_time_or_fails_by_itself() -> None:
    async def story() -> str:
        clock = VirtualClock()
        async with timeout(clock, 2.5):
            await sleep(clock, 2.4)
        with pytest.raises(KeyError):
            async with timeout(clock, 2.5):
                raise KeyError("mine")
        await sleep(clock, 10)
        return "nothing rings later"

    assert run(story())


def test_a_cancellation_from_outside_is_none_of_the_timeout_s() -> None:
    async def story() -> bool:
        clock = VirtualClock()

        async def work() -> None:
            async with timeout(clock, 2.5):
                await sleep(clock, 100)

        task = asyncio.create_task(work())
        await sleep(clock, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert run(story())
