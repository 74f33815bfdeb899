"""What ends a run early: each guard reads facts, and says when it is enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from harness.history.record import Recorder
from harness.model import events
from harness.model.experiment import Experiment
from harness.run.context import RunState
from harness.run.guards.bad_ratio import BadRatioGuard
from harness.run.stop import Ending, StopRequest, ending_of


class Guard(Protocol):
    """One reason to abort. `name` stands in GuardTripped."""

    name: str

    def feed(self, fact: events.Fact) -> str | None:
        """One more fact of the run, in order; the reason to stop, or None. Facts of other kinds say nothing to it, and
        that none come is no evidence of anything.
        """
        ...


def guards_of(experiment: Experiment) -> tuple[Guard, ...]:
    """The guards that an experiment asks for."""
    limit = experiment.guard.bad_ratio
    return () if limit is None else (BadRatioGuard(limit),)


class Guards:
    """The guards of one run: armed from the end of warmup on, until one has tripped."""

    def __init__(self, guards: Sequence[Guard], recorder: Recorder, stop: StopRequest) -> None:
        """Not armed yet: a guard learns nothing from warmup."""
        self._guards = tuple(guards)
        self._recorder = recorder
        self._stop = stop
        self.armed = False

    def feed(self, fact: events.Fact) -> None:
        """Pass a fact on; the first reason is recorded as GuardTripped, and aborts the run. A guard that fails guards
        nothing: that ends the run as well.
        """
        if not self.armed or self._stop.is_set:
            return
        for guard in self._guards:
            try:
                reason = guard.feed(fact)
            except Exception as error:
                self._stop.ask(ending_of(error))
                return
            if reason is not None:
                self._recorder.record(events.GuardTripped(guard.name, reason), source="guard")
                self._stop.ask(Ending(RunState.ABORTED, reason))
                return

    def dismiss(self) -> None:
        """They have no say any more: the run is being ended."""
        self._guards = ()
