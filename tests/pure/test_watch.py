"""List-then-watch: what is learnt, and what is admitted about gaps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness.clock import Instant, SystemClock
from harness.history.query import gaps
from harness.history.read import History, read_history
from harness.history.record import Recorder
from harness.run.ports import Json
from harness.run.watch import Watcher
from tests.fakes.cluster import FakeCluster

PODS = "/api/v1/pods"


class Rig:
    """A fake cluster, a watcher on its pods, and what the watcher told."""

    def __init__(self, folder: Path) -> None:
        self.cluster = FakeCluster()
        self.path = folder / "history.jsonl"
        self.recorder = Recorder(self.path, SystemClock(), run_id="r")
        self.told: list[tuple[str, str]] = []
        self._changed = asyncio.Event()
        self.watcher = Watcher(self.cluster, self.recorder, resource="pods", path=PODS, on_change=self._on_change)

    def _on_change(self, change: str, obj: Json, arrived: Instant) -> None:
        self.told.append((change, obj["metadata"]["name"]))
        self._changed.set()

    async def until(self, count: int) -> None:
        """Wait until that many changes were told."""
        async with asyncio.timeout(60):
            while len(self.told) < count:
                self._changed.clear()
                await self._changed.wait()

    def play(self, story: Callable[[], Awaitable[None]]) -> History:
        """Run the watcher beside `story`."""

        async def both() -> None:
            task = asyncio.create_task(self.watcher.run())
            await self.watcher.listed.wait()
            await story()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(both())
        self.recorder.close()
        return read_history(self.path)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_changes_are_told_in_order(rig: Rig) -> None:
    rig.cluster.put(f"{PODS}/a", {})

    async def story() -> None:
        await rig.until(1)
        rig.cluster.put(f"{PODS}/b", {})
        rig.cluster.put(f"{PODS}/a", {**rig.cluster.objects[f"{PODS}/a"], "x": 1})
        rig.cluster.drop(f"{PODS}/b")
        await rig.cluster.wake()
        await rig.until(4)

    history = rig.play(story)
    assert rig.told == [("LISTED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert gaps(history, "pods") == []


def test_a_broken_watch_is_a_gap_and_what_vanished_in_it_is_told(rig: Rig) -> None:
    for name in "abc":
        rig.cluster.put(f"{PODS}/{name}", {})

    async def story() -> None:
        await rig.until(3)
        rig.cluster.broken_watches = 1
        await rig.cluster.wake()
        rig.cluster.drop(f"{PODS}/a")
        rig.cluster.put(f"{PODS}/d", {})
        await rig.until(5)

    history = rig.play(story)
    assert sorted(rig.told[3:]) == [("LISTED", "d"), ("VANISHED", "a")]
    assert len(gaps(history, "pods")) == 1


def test_an_expired_version_is_a_gap_and_a_new_list(rig: Rig) -> None:
    rig.cluster.put(f"{PODS}/a", {})

    async def story() -> None:
        await rig.until(1)
        rig.cluster.put("/api/v1/nodes/n", {})
        rig.cluster.oldest = 2
        rig.cluster.put(f"{PODS}/b", {})
        rig.cluster.broken_watches = 1
        await rig.cluster.wake()
        await rig.until(2)

    history = rig.play(story)
    assert "b" in [name for _, name in rig.told]
    assert len(gaps(history, "pods")) >= 1
