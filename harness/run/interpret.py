"""Interpreting the plan: its steps in their order and at their times, and then the end, whatever happened."""

from __future__ import annotations

import asyncio

from harness.cluster.patience import to_the_end
from harness.model.plan import Step
from harness.model.words import Action, RunState
from harness.run.context import RunContext, RunOutcome
from harness.run.finish import Finish
from harness.run.guards import Guards, guards_of
from harness.run.heartbeat import keep_alive
from harness.run.load import LoadRun
from harness.run.phases import Phases
from harness.run.progress import Evictions
from harness.run.schedule import in_order
from harness.run.steps import do_step
from harness.run.stop import Ending, StopRequest, ending_of

READY_TIMEOUT_S = 120.0


class Interpreter:
    """Runs one plan once."""

    def __init__(self, context: RunContext) -> None:
        """Nothing happens until `run`."""
        self._context = context
        self._stop = StopRequest()
        guards = Guards(guards_of(context.experiment), context.recorder, self._stop)
        self._load = LoadRun(context, self._stop, guards)
        self._phases = Phases(context, self._stop, guards)
        self._finish = Finish(context, stop=self._stop, guards=guards, phases=self._phases, load=self._load)
        self._finishing = False
        self._asked = False
        evictions = Evictions(context, lambda: self._phases.injected_ns)
        context.observer.on_pod(evictions.tell)
        context.observer.on_pod(lambda seen, _: guards.feed(seen))

    def interrupt(self, message: str, *, insist: bool = False) -> None:
        """Ask the run to heal and end; safe to call from a callback of the loop. Asked again, with `insist`, while it
        does so: what the cluster does not answer is given up, and is then a leftover.
        """
        if self._finishing and self._asked and insist:
            self._finish.give_up()
        self._asked = True
        self._stop.ask(Ending(RunState.INTERRUPTED, message))

    async def run(self) -> RunOutcome:
        """Do every step; always heals, whatever was raised, and whoever cancels. Never raises for what happens during
        the run: it is in the outcome and the history.
        """
        beside = asyncio.create_task(keep_alive(self._context, self._stop))
        ending = await self._steps()
        self._finishing = True
        if ending.state is not RunState.COMPLETED:
            verb = "failed" if ending.state is RunState.FAILED else f"was {ending.state}"
            self._context.progress.say(f"the run {verb}: {ending.message}")
        leftovers = await to_the_end(self._finish.run(ending))
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)
        return RunOutcome(ending.state, ending.message, tuple(leftovers), ending.defect or self._finish.defect)

    async def _steps(self) -> Ending:
        """The steps up to the end of the last phase. Whatever is raised, a cancellation too, is how they ended."""
        try:
            for step in in_order(self._context.steps):
                await self._do(step)
        except BaseException as error:
            return ending_of(error)
        return Ending(RunState.COMPLETED)

    async def _do(self, step: Step) -> None:
        context = self._context
        self._stop.check()
        match step.action:
            case Action.APPLY:
                context.progress.say(f"applying {len(context.experiment.workload)} objects")
                await do_step(context, step, context.workload.apply)
            case Action.WAIT_READY:
                await do_step(context, step, self._wait_ready)
            case Action.START_LOAD:
                await do_step(context, step, self._load.start)
            case Action.PHASE:
                await self._phases.run(step)
            case Action.INJECT | Action.HEAL | Action.STOP_LOAD | Action.REMOVE:
                raise AssertionError(f"{step.id} is none of the steps that follow one another")

    async def _wait_ready(self) -> None:
        context = self._context
        await self._stop.or_stop(context.workload.wait_ready(context.observer, timeout_s=READY_TIMEOUT_S))
