"""The phases of a run. In the fault phase each timed step is a task of its own."""

from __future__ import annotations

import asyncio

from harness.clock import sleep
from harness.errors import ClusterError
from harness.model.experiment import PhaseName
from harness.model.plan import Step
from harness.model.words import Action
from harness.run.context import RunContext
from harness.run.guards import Guards
from harness.run.places import Places
from harness.run.schedule import Timeline
from harness.run.steps import do_step
from harness.run.stop import StopRequest, ending_of, first_of

STEPS_END_S = 5.0
"""How long steps that are under way may go on when the run is to stop: an answer that still comes is worth more than
not knowing. Then they are cancelled."""


class Phases:
    """Takes a run through its phases."""

    def __init__(self, context: RunContext, stop: StopRequest, guards: Guards) -> None:
        """Nothing has begun."""
        self._context = context
        self._stop = stop
        self._guards = guards
        self.injected_ns: int | None = None
        """When the first injection was acknowledged (of the run's clock)."""

    async def run(self, step: Step) -> None:
        """One phase from its first to its last moment. Stopped as soon as somebody asks to end, a step that failed
        too.
        """
        assert step.phase is not None
        context, phase = self._context, step.phase
        length_s = context.experiment.phases.of(phase)
        if phase is PhaseName.FAULT:
            await self._look_before_fault()
        context.progress.phase(phase.value, length_s=length_s)
        start_ns = context.clock.now().mono_ns
        await do_step(context, step, _nothing)
        self._guards.armed = phase is not PhaseName.WARMUP
        if phase is PhaseName.FAULT:
            await _TimedSteps(self, self._context, self._stop, start_ns).run()
        await self._stop.or_stop(context.clock.sleep_until(start_ns + round(length_s * 1e9)))
        self._stop.check()

    async def _look_before_fault(self) -> None:
        context = self._context
        snapshot = context.observer.snapshot(kubernetes_version=context.kubernetes_version)
        gone = sorted(set(context.targets) - {node["metadata"]["name"] for node in snapshot.nodes})
        if gone:
            raise ClusterError(f"gone before the fault: node {', '.join(gone)}")
        await asyncio.to_thread(context.before_fault, snapshot)

    async def fault_step(self, step: Step) -> None:
        """Do or undo one fault; whatever goes wrong is raised."""
        assert step.fault is not None
        drivers, fault, progress = self._context.drivers, step.fault, self._context.progress
        if step.action is Action.HEAL:
            await do_step(self._context, step, lambda: drivers.heal(fault, step.subject))
            progress.say(f"healed {step.subject}")
        else:
            await do_step(self._context, step, lambda: drivers.inject(fault, step.subject))
            if self.injected_ns is None:
                self.injected_ns = self._context.recorder.now_ns()
            progress.say(f"injected {step.id.split(':', 1)[1]}")


class _TimedSteps:
    """The INJECT and HEAL steps of a fault phase: begun when they are due, whatever else is under way."""

    def __init__(self, phases: Phases, context: RunContext, stop: StopRequest, start_ns: int) -> None:
        self._phases = phases
        self._clock = context.clock
        self._stop = stop
        self._start_ns = start_ns
        self._waiting = Timeline.of(context.steps)
        self._places = Places(context.clock)
        self._ended: set[str] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Return when each step has ended, or, a while after somebody asked to stop, been cancelled. A step that fails
        asks to stop; no more begin then.
        """
        async with asyncio.TaskGroup() as group:
            tasks: set[asyncio.Task[None]] = set()
            while self._waiting.waiting and not self._stop.is_set:
                self._changed.clear()
                at_ns = self._clock.now().mono_ns - self._start_ns
                due = self._waiting.due(at_ns, self._ended)
                self._waiting = self._waiting.without(due)
                tasks |= {group.create_task(self._one(step)) for step in due}
                if not due:
                    await self._until_something_changes(at_ns)
            await self._all_ended(tasks)

    async def _until_something_changes(self, at_ns: int) -> None:
        next_ns = self._waiting.next_ns(at_ns)
        work = [self._changed.wait(), self._stop.wait()]
        if next_ns is not None:
            work.append(self._clock.sleep_until(self._start_ns + next_ns))
        await first_of(*work)

    async def _all_ended(self, tasks: set[asyncio.Task[None]]) -> None:
        """Wait for all; when somebody asks to stop, for as long as that is worth it."""
        if not tasks:
            return
        await first_of(_done(tasks), self._stop.wait())
        await first_of(_done(tasks), sleep(self._clock, STEPS_END_S))
        for task in tasks:
            task.cancel()

    async def _one(self, step: Step) -> None:
        """One step when there is a place for it; its error becomes the run's."""
        try:
            async with self._places.one():
                if not self._stop.is_set:
                    await self._phases.fault_step(step)
        except Exception as error:
            self._stop.ask(ending_of(error))
        except BaseException as error:  # cancelled: by us (then somebody has asked before), or out of the blue
            self._stop.ask(ending_of(error))
            raise
        finally:
            self._ended.add(step.id)
            self._changed.set()


async def _nothing() -> None:
    """A phase begins by being written down."""


async def _done(tasks: set[asyncio.Task[None]]) -> None:
    """Return when all have ended; cancelling this cancels none of them."""
    await asyncio.wait(tasks)
