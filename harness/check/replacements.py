"""Which pod took the place of which: matched by owner and order, never by name. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from harness.history.stories import PodStory
from harness.model.verdicts import EvictionRow

_NEARLY_NS = 50_000_000
"""A replacement may be seen this long before the deletion that it follows: two watches, or a stamp that is rounded."""


def with_replacements(
    rows: list[EvictionRow], stories: Mapping[str, PodStory], zero_ns: int, horizon_ns: int
) -> list[EvictionRow]:
    """Give each pod that left the next pod that its owner made (matched by UID and order, never by name); in the order
    in which they left, those that stayed last.
    """
    newcomers = _newcomers(stories.values(), zero_ns - int(1e9), horizon_ns)
    out = []
    for row in sorted(rows, key=lambda r: (r.observed_s is None, r.observed_s or 0.0)):
        story = None
        if row.observed_s is not None and row.uid in stories:
            since_ns = zero_ns + int(row.observed_s * 1e9) - _NEARLY_NS
            story = _next_of(newcomers.get(stories[row.uid].owner_uid), row.uid, since_ns)
        out.append(row if story is None else _replaced(row, story, zero_ns))
    return out


def _newcomers(stories: Iterable[PodStory], after_ns: int, until_ns: int) -> dict[str, deque[PodStory]]:
    """The pods that each owner made then, by the owner's UID, in the order first seen."""
    out: dict[str, deque[PodStory]] = {}
    for story in sorted(stories, key=lambda story: story.seen_ns):
        if story.owner_uid and after_ns < story.seen_ns <= until_ns:
            out.setdefault(story.owner_uid, deque()).append(story)
    return out


def _next_of(newcomers: deque[PodStory] | None, uid: str, since_ns: int) -> PodStory | None:
    """Take the first newcomer since `since_ns` that is not the pod `uid` itself; those before are of no use to later
    rows either, as rows come in the order in which pods left.
    """
    while newcomers and newcomers[0].seen_ns < since_ns:
        newcomers.popleft()
    at = 1 if newcomers and newcomers[0].uid == uid else 0
    if newcomers is None or len(newcomers) <= at:
        return None
    story = newcomers[at]
    del newcomers[at]
    return story


def _replaced(row: EvictionRow, story: PodStory, zero_ns: int) -> EvictionRow:
    scheduled, ready = story.scheduled_ns, story.first_ready_ns
    return replace(
        row,
        replacement=story.key,
        replacement_scheduled_s=None if scheduled is None else round((scheduled - zero_ns) / 1e9, 4),
        replacement_ready_s=None if ready is None else round((ready - zero_ns) / 1e9, 4),
    )
