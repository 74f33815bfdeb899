"""Which steps are due, given the time and what is done. Pure.

`harness.plan.schedule` makes the steps. Those before and after the fault phase follow one another; INJECT and HEAL
steps have a time of their own in it, and none waits for another but a HEAL for the INJECT that it undoes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.model.plan import Step
from harness.model.words import Action

_TIMED = (Action.INJECT, Action.HEAL)
_OF_THE_END = (Action.STOP_LOAD, Action.REMOVE)


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that follow one another, up to the end of the last phase; what ends a run is `harness.run.finish`'s."""
    return tuple(step for step in steps if step.action not in _TIMED + _OF_THE_END)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Timed steps that have not begun, in time order; `injects`: for a HEAL's id, the id of the INJECT it undoes."""

    waiting: tuple[Step, ...]
    injects: Mapping[str, str]

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Timeline:
        """Every timed step of a run. Steps of the same second stay in the order of `steps`."""
        timed = sorted((step for step in steps if step.action in _TIMED), key=_at_ns)
        injects = {_label(step): step.id for step in timed if step.action is Action.INJECT}
        undone = {step.id: injects[_label(step)] for step in timed if step.action is Action.HEAL}
        return cls(tuple(timed), undone)

    def due(self, at_ns: int, ended: Container[str]) -> tuple[Step, ...]:
        """The steps to begin at `at_ns` (since the start of the fault phase), in order. `ended`: ids of the steps that
        ended, well or not.
        """
        come = self.waiting[: bisect_right(self.waiting, at_ns, key=_at_ns)]
        return tuple(step for step in come if step.id not in self.injects or self.injects[step.id] in ended)

    def without(self, begun: Iterable[Step]) -> Timeline:
        """What still waits when these have begun."""
        ids = {step.id for step in begun}
        return Timeline(tuple(step for step in self.waiting if step.id not in ids), self.injects)

    def next_ns(self, at_ns: int) -> int | None:
        """When, after `at_ns`, the next step's time comes; None when only ends of steps are waited for."""
        later = bisect_right(self.waiting, at_ns, key=_at_ns)
        return _at_ns(self.waiting[later]) if later < len(self.waiting) else None


def _at_ns(step: Step) -> int:
    assert step.at_s is not None, f"{step.id} is a timed step"
    return round(step.at_s * 1e9)


def _label(step: Step) -> str:
    """What an INJECT and its HEAL have in common: their ids are ``inject-LABEL`` and ``heal-LABEL``."""
    return step.id.removeprefix(f"{step.action}-")
