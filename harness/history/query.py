"""One question of a history at a time, for those who ask only one; `harness.history.index` answers many. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from harness.history.index import HistoryIndex
from harness.history.read import History
from harness.history.stories import PodStory, StepRecord, Window, covering, merged
from harness.model import events
from harness.model.experiment import PhaseName

__all__ = [
    "PodStory",
    "StepRecord",
    "Window",
    "covering",
    "facts",
    "first_injection",
    "gaps",
    "merged",
    "open_losses",
    "phase_windows",
    "pod_stories",
    "step_records",
    "unseen",
]

F = TypeVar("F")


def facts(history: History, kind: type[F]) -> Iterator[tuple[events.Entry, F]]:
    """Every entry whose fact is of `kind`, in order."""
    for entry in history.entries:
        if isinstance(entry.fact, kind):
            yield entry, entry.fact


def step_records(history: History) -> list[StepRecord]:
    """`HistoryIndex.steps`."""
    return list(HistoryIndex(history).steps)


def phase_windows(history: History) -> dict[PhaseName, Window]:
    """`HistoryIndex.phases`."""
    return dict(HistoryIndex(history).phases)


def first_injection(history: History) -> StepRecord | None:
    """`HistoryIndex.injection`."""
    return HistoryIndex(history).injection


def pod_stories(history: History) -> dict[str, PodStory]:
    """`HistoryIndex.pods`."""
    return dict(HistoryIndex(history).pods)


def gaps(history: History, resource: str) -> list[Window]:
    """`HistoryIndex.gaps`."""
    return list(HistoryIndex(history).gaps(resource))


def unseen(history: History, resource: str) -> list[Window]:
    """`HistoryIndex.unseen`."""
    return list(HistoryIndex(history).unseen(resource))


def open_losses(history: History, resource: str) -> list[events.WatchLost]:
    """The losses of `resource` in `HistoryIndex.lost`."""
    return list(HistoryIndex(history).lost.get(resource, ()))
