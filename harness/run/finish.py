"""The end of a run, whatever ended it: every part is done, and none waits on another's luck.

The order is fixed: faults are undone first, then the load is stopped, signals are read, the cluster is looked at once
more, the workload is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from harness.errors import TaintlabError
from harness.model import events
from harness.model.experiment import PhaseName
from harness.model.plan import Step
from harness.model.words import Action, RunState
from harness.run.context import RunContext
from harness.run.guards import Guards
from harness.run.load import LoadRun
from harness.run.phases import Phases
from harness.run.steps import do_step
from harness.run.stop import Ending, Stopped, StopRequest
from harness.signals.sample import expectation_query, golden_queries, sample

HEAL_AT_LEAST_S = 60.0
_TAKES_OFF = ("heal", "removal")


class Finish:
    """Ends one run."""

    def __init__(
        self, context: RunContext, *, stop: StopRequest, guards: Guards, phases: Phases, load: LoadRun
    ) -> None:
        """Nothing is done yet."""
        self._context = context
        self._stop = stop
        self._guards = guards
        self._phases = phases
        self._load = load
        self._give_up = asyncio.Event()
        self.defect: BaseException | None = None
        """The first thing that nobody foresaw."""

    def give_up(self) -> None:
        """Do not wait for the cluster any more: what it does not answer now is a leftover."""
        self._give_up.set()

    async def run(self, ending: Ending) -> list[str]:
        """Heal, look once more, wind up, remove; each on its own, none can keep the others from happening. What
        remains on the cluster or is not known, one line each. Never raises.
        """
        context = self._context
        heal = context.drivers.heal_all
        left = await self._part("heal", lambda: heal(self._heal_deadline_ns(), self._give_up))
        if ending.state is RunState.ABORTED:
            await self._part("recovery phase", self._recover_after_abort)
        steps = {step.action: step for step in context.steps}
        stop_load = steps[Action.STOP_LOAD]
        await self._part("stop load", lambda: do_step(context, stop_load, self._load.stop))
        if context.metrics is not None and context.namespaces:
            await self._part("signals", self._sample)
        await self._part("closing list", self._look_once_more)
        if Action.REMOVE in steps:
            left += await self._part("removal", lambda: self._remove(steps[Action.REMOVE]))
        await self._part("observer", context.observer.stop)
        for line in left:
            subject, _, message = line.partition(": ")
            context.recorder.record(events.Leftover(subject, message), source="run")
        context.recorder.record(events.RunEnded(ending.state, ending.message), source="run")
        return left

    async def _part(self, what: str, work: Callable[[], Awaitable[Any]]) -> list[str]:
        """Do one part of the end. What it raises is told; for a part that removes things from the cluster it means that
        what is left is not known.
        """
        try:
            found = await work()
        except (Exception, asyncio.CancelledError) as error:  # nothing that fails here may keep the rest from happening
            if not isinstance(error, TaintlabError | OSError | asyncio.CancelledError):
                self.defect = self.defect or error
            text = f"{what}: {type(error).__name__}: {error}"
            self._context.progress.say(text)
            self._context.recorder.record(events.RecorderFailed(what, text), source="run")
            return [f"{text}; what is left is not known"] if what in _TAKES_OFF else []
        return list(found) if isinstance(found, list) else []

    def _heal_deadline_ns(self) -> int:
        """Until when healing is tried again (CLOCK_MONOTONIC): the claims' deadline, and a minute at the least."""
        return max(self._context.deadline_ns, self._context.clock.now().mono_ns + int(HEAL_AT_LEAST_S * 1e9))

    async def _recover_after_abort(self) -> None:
        """The fault is off: keep the load on for the recovery phase, so that the report shows whether the service came
        back.
        """
        step = next((s for s in self._context.steps if s.phase is PhaseName.RECOVERY), None)
        if step is None or self._phases.injected_ns is None:
            return
        self._stop.clear()
        self._guards.dismiss()
        try:
            await self._phases.run(step)
        except Stopped:
            return  # asked again to end: so be it

    async def _look_once_more(self) -> None:
        await self._context.observer.close_list(self._context.targets, self._context.namespaces)

    async def _remove(self, step: Step) -> list[str]:
        remaining = list[str]()

        async def remove() -> None:
            remove = self._context.workload.remove
            remaining.extend(await remove(deadline_ns=self._heal_deadline_ns(), give_up=self._give_up))

        await do_step(self._context, step, remove)
        return remaining

    async def _sample(self) -> None:
        context = self._context
        assert context.metrics is not None
        namespaces = sorted(context.namespaces)
        queries = golden_queries(namespaces) + tuple(map(expectation_query, context.experiment.expect.metrics))
        end_ns = context.recorder.now_ns()
        await sample(context.metrics, context.recorder, queries, start_ns=0, end_ns=end_ns, namespaces=namespaces)
