"""Was Prometheus looking? What its own scrapes say of a phase.

A range query answers with the last value of up to five minutes where nothing was scraped, so that samples alone
never show that Prometheus, or a target, was dead (seen: killed for 15 s, and 13 samples of those 13 s).

Targets come and go with their pods, which is what experiments are about: before a target's first scrape and after its
last one it need not be scraped, as long as another one is. The same goes for failed scrapes (``up`` = 0) just after a
target came, or just before it went for good. Everything else is a hole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from harness.check.record import RunRecord
from harness.history.stories import Window
from harness.model import events

HOLE_INTERVALS = 3
"""A hole is longer than so many scrape intervals (the median spacing of a target's scrapes)."""

MIN_SCRAPES = 3
"""Fewer scrapes of a phase say nothing of it: the samples are then mostly those of before."""


@dataclass(frozen=True, slots=True)
class _Target:
    """One scraped target; seconds of the run, ascending."""

    name: str
    points: tuple[tuple[float, float], ...]
    interval_s: float

    @property
    def first_s(self) -> float:
        """Its first scrape."""
        return self.points[0][0]

    @property
    def last_s(self) -> float:
        """Its last one."""
        return self.points[-1][0]

    @property
    def patience_s(self) -> float:
        """The longest time between two scrapes that is no hole."""
        return HOLE_INTERVALS * self.interval_s


class Scrapes:
    """What a run knows of the scrapes of Prometheus."""

    def __init__(self, record: RunRecord) -> None:
        """Nothing is asked yet."""
        self._told = [fact for _, fact in record.index.facts(events.Scraped)]
        self._targets = [target for target in map(_target, self._told) if target is not None]
        self._holes = list(_holes_of_targets(self._targets))

    def unwatched(self, window: Window) -> str:
        """Why what Prometheus says of `window` cannot be relied on, from when to when; "" when it can be."""
        if not self._told:
            return "it is not known when Prometheus scraped"
        if not self._targets:
            why = next((fact.why for fact in self._told if fact.why), "fewer than two scrapes of any target")
            return f"it is not known when Prometheus scraped: {why}"
        start_s, end_s = window.start_ns / 1e9, window.end_ns / 1e9
        holes = [*_between(self._targets, start_s, end_s), *self._holes]
        in_phase = [hole for hole in holes if hole.from_s < end_s and hole.to_s > start_s]
        if in_phase:
            return str(min(in_phase, key=lambda hole: hole.from_s))
        most = max(sum(start_s <= at_s < end_s for at_s, _ in target.points) for target in self._targets)
        if most < MIN_SCRAPES:
            shortest_s = min(target.interval_s for target in self._targets)
            return f"Prometheus scrapes each {shortest_s:.3g} s, {most} times in this phase: {MIN_SCRAPES} are needed"
        return ""


@dataclass(frozen=True, slots=True)
class _Hole:
    from_s: float
    to_s: float
    what: str

    def __str__(self) -> str:
        return f"{self.what} from {self.from_s:.1f} s to {self.to_s:.1f} s of the run"


def _target(fact: events.Scraped) -> _Target | None:
    """None with fewer than two scrapes: its interval is not known."""
    points = tuple(sorted((float(at_s), float(value)) for at_s, value in fact.points))
    if len(points) < 2:
        return None
    spacing = median(after - before for (before, _), (after, _) in pairwise(points))
    return _Target(_name(fact.labels), points, spacing)


def _name(labels: Mapping[str, str]) -> str:
    return labels.get("pod") or labels.get("instance") or labels.get("job") or "a target"


def _between(targets: Sequence[_Target], start_s: float, end_s: float) -> Iterator[_Hole]:
    """Where no target at all was scraped."""
    nobody = "Prometheus scraped nothing"
    reach_s, patience_s = start_s, 0.0
    for target in sorted(targets, key=lambda t: t.first_s):
        if target.first_s - reach_s > max(patience_s, target.patience_s):
            yield _Hole(reach_s, min(target.first_s, end_s), nobody)
        if target.last_s > reach_s:
            reach_s, patience_s = target.last_s, target.patience_s
    if end_s - reach_s > patience_s:
        yield _Hole(reach_s, end_s, nobody)


def _holes_of_targets(targets: Sequence[_Target]) -> Iterator[_Hole]:
    """Where one target was not scraped, or its scrapes failed, whatever the phase."""
    first_s = min((target.first_s for target in targets), default=0.0)
    last_s = max((target.last_s for target in targets), default=0.0)
    for target in targets:
        yield from _within(target)
        yield from _down(target, is_new=target.first_s - first_s > target.patience_s, has_gone=last_s - target.last_s)


def _within(target: _Target) -> Iterator[_Hole]:
    """Where a target was scraped before and after, and not between."""
    for (before_s, _), (after_s, _) in pairwise(target.points):
        if after_s - before_s > target.patience_s:
            yield _Hole(before_s, after_s, f"Prometheus did not scrape {target.name}")


def _down(target: _Target, *, is_new: bool, has_gone: float) -> Iterator[_Hole]:
    """Where scrapes of a target failed. `has_gone`: seconds for which others were scraped after its last scrape."""
    points = list(target.points)
    if is_new:
        while points and not points[0][1]:
            points.pop(0)
    if has_gone > target.patience_s:
        while points and not points[-1][1]:
            points.pop()
    down = [at_s for at_s, value in points if not value]
    if down:
        yield _Hole(down[0], down[-1] + target.interval_s, f"scrapes of {target.name} failed (up = 0)")
