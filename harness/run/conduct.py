"""Interpreting the plan: one step after the other, every deed in the history before and after, healing whatever
happens.

The order of endings is fixed: faults are undone first, then the load is stopped, signals are read, the workload is
removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from harness.clock import Instant
from harness.errors import Indeterminate, Refused, TaintlabError
from harness.history.record import Recorder
from harness.model import events
from harness.model.experiment import Experiment, PhaseName
from harness.model.plan import Action, Step
from harness.model.world import World
from harness.run.deeds import Deeds
from harness.run.guard import BadRatioGuard
from harness.run.observe import Observer
from harness.run.ports import LoadDriver, Metrics, Progress, Tick
from harness.run.sample import expectation_query, golden_queries, sample
from harness.run.workload import Workload

READY_TIMEOUT_S = 120.0
HEAL_WITHIN_S = 120.0
REMOVE_WITHIN_S = 120.0


class RunState(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    ABORTED = "aborted"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`leftovers`: what of ours is still on the cluster, one line each."""

    state: RunState
    message: str
    leftovers: tuple[str, ...]


class _Stop(Exception):
    """Ends the phases early."""

    def __init__(self, state: RunState, message: str) -> None:
        super().__init__(message)
        self.state = state


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything a run acts with. `before_fault` is called with the world just before the first injection."""

    experiment: Experiment
    steps: tuple[Step, ...]
    targets: tuple[str, ...]
    recorder: Recorder
    observer: Observer
    deeds: Deeds
    workload: Workload
    load: LoadDriver | None
    metrics: Metrics | None
    progress: Progress
    kubernetes_version: str
    namespaces: frozenset[str]
    before_fault: Callable[[World], None]


class Conductor:
    """Runs one plan once."""

    def __init__(self, stage: Stage) -> None:
        """Nothing happens until `run`."""
        self._stage = stage
        self._stopped = asyncio.Event()
        self._reason: tuple[RunState, str] = (RunState.COMPLETED, "")
        self._load_task: asyncio.Task[None] | None = None
        self._load_stopping = False
        self._fault_start_ns = 0
        self._injected_ns: int | None = None
        self._told: set[str] = set()
        limit = stage.experiment.guard.bad_ratio
        self._guard = BadRatioGuard(limit) if limit is not None else None
        self._guarding = False
        stage.observer.on_pod(self._tell_eviction)

    def interrupt(self, message: str) -> None:
        """Ask the run to heal and end; safe to call from a signal handler of the loop, more than once."""
        self._stop(RunState.INTERRUPTED, message)

    async def run(self) -> Outcome:
        """Do every step; always heals. Never raises for what happens during the run: it is in the outcome and the
        history.
        """
        state, message = RunState.COMPLETED, ""
        try:
            for step in self._stage.steps:
                if step.action in (Action.STOP_LOAD, Action.REMOVE):
                    break
                await self._do(step)
        except _Stop as stop:
            state, message = stop.state, str(stop)
        except TaintlabError as error:
            state, message = RunState.FAILED, str(error)
        leftovers = await self._stage.deeds.heal_all(self._in_ns(HEAL_WITHIN_S))
        if state is RunState.ABORTED:
            await self._recover_after_abort()
        leftovers += await self._wind_up()
        self._stage.recorder.record(events.RunEnded(state.value, message), source="run")
        return Outcome(state, message, tuple(leftovers))

    def _in_ns(self, seconds: float) -> int:
        """A moment of the monotonic clock, that far from now."""
        recorder = self._stage.recorder
        return recorder.start.mono_ns + recorder.now_ns() + int(seconds * 1e9)

    async def _do(self, step: Step) -> None:
        stage = self._stage
        match step.action:
            case Action.APPLY:
                stage.progress.say(f"applying {len(stage.experiment.workload)} objects")
                await self._deed(step, stage.workload.apply)
            case Action.WAIT_READY:
                wait = stage.workload.wait_ready(stage.observer, timeout_s=READY_TIMEOUT_S)
                await self._deed(step, lambda: self._or_stop(wait))
            case Action.START_LOAD:
                await self._deed(step, self._start_load)
            case Action.PHASE:
                await self._phase(step)
            case Action.INJECT | Action.HEAL:
                await self._fault(step)
            case Action.STOP_LOAD | Action.REMOVE:
                raise AssertionError("wound up by _wind_up")

    async def _deed(self, step: Step, deed: Callable[[], Awaitable[Any]]) -> None:
        record = self._stage.recorder.record
        cause = record(events.StepInvoked(step.id, step.action.value, step.subject), source="run")
        try:
            detail = await deed()
        except Indeterminate as error:
            record(events.StepIndeterminate(step.id, str(error)), source="run", cause=cause)
            raise
        except (Refused, TaintlabError) as error:
            record(events.StepRefused(step.id, str(error)), source="run", cause=cause)
            raise
        record(events.StepDone(step.id, detail if isinstance(detail, dict) else {}), source="run", cause=cause)

    async def _phase(self, step: Step) -> None:
        assert step.phase is not None
        stage, phase = self._stage, step.phase
        length_s = stage.experiment.phases.of(phase)
        if phase is PhaseName.FAULT:
            stage.before_fault(stage.observer.world(kubernetes_version=stage.kubernetes_version))
        stage.progress.phase(phase.value, length_s=length_s)
        start_ns = stage.recorder.now_ns()
        await self._deed(step, _nothing)
        self._guarding = phase is not PhaseName.WARMUP
        if phase is PhaseName.FAULT:
            self._fault_start_ns = start_ns
            timed = any(s.action in (Action.INJECT, Action.HEAL) for s in stage.steps)
            if timed:
                return  # its own timed steps follow; the last heal is due at the phase's end
        await self._until(start_ns + int(length_s * 1e9))

    async def _fault(self, step: Step) -> None:
        assert step.fault is not None
        assert step.at_s is not None
        stage, fault = self._stage, step.fault
        await self._until(self._fault_start_ns + int(step.at_s * 1e9))
        if step.action is Action.HEAL:
            await self._deed(step, lambda: stage.deeds.heal(fault, step.subject))
            stage.progress.say(f"healed {step.subject}")
        else:
            await self._deed(step, lambda: stage.deeds.inject(fault, step.subject))
            if self._injected_ns is None:
                self._injected_ns = stage.recorder.now_ns()
            stage.progress.say(f"injected {step.id.split(':', 1)[1]}")
        if self._is_last_timed(step):
            length_s = stage.experiment.phases.of(PhaseName.FAULT)
            await self._until(self._fault_start_ns + int(length_s * 1e9))

    def _is_last_timed(self, step: Step) -> bool:
        return [s for s in self._stage.steps if s.action in (Action.INJECT, Action.HEAL)][-1] is step

    async def _until(self, deadline_ns: int) -> None:
        """Wait for a moment of the run's clock; _Stop as soon as somebody asks to end."""
        left_s = (deadline_ns - self._stage.recorder.now_ns()) / 1e9
        if left_s > 0:
            await self._or_stop(asyncio.sleep(left_s))
        if self._stopped.is_set():
            raise _Stop(*self._reason)

    async def _or_stop(self, work: Awaitable[Any]) -> Any:
        """Await `work`, but raise _Stop (and cancel it) as soon as somebody asks to end."""
        task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Stop(*self._reason)
        finally:
            for future in (task, stopped):
                future.cancel()

    def _stop(self, state: RunState, message: str) -> None:
        if not self._stopped.is_set():
            self._reason = (state, message)
            self._stopped.set()

    async def _start_load(self) -> None:
        assert self._stage.load is not None
        await self._stage.load.start()
        self._load_task = asyncio.create_task(self._follow_load(self._stage.load))

    async def _follow_load(self, load: LoadDriver) -> None:
        async for tick in load.ticks():
            self._tick(tick)
        if not self._load_stopping:
            self._stop(RunState.FAILED, "the load process ended before it was told to")

    def _tick(self, tick: Tick) -> None:
        window = events.LoadWindow(
            due=tick.due,
            sent=tick.sent,
            done=tick.done,
            bad=tick.bad,
            p50_ms=tick.p50_ms,
            p99_ms=tick.p99_ms,
            in_flight=tick.in_flight,
            lateness_p99_ms=tick.lateness_p99_ms,
            cpu=tick.cpu,
        )
        self._stage.recorder.record(window, source="load")
        self._stage.progress.tick(tick)
        if self._guard is not None and self._guarding and not self._stopped.is_set():
            reason = self._guard.feed(tick)
            if reason is not None:
                self._stage.recorder.record(events.GuardTripped("bad-ratio", reason), source="guard")
                self._stop(RunState.ABORTED, reason)

    def _tell_eviction(self, seen: events.PodSeen, arrived: Instant) -> None:
        if self._injected_ns is None or not seen.deletion_timestamp or seen.node not in self._stage.targets:
            return
        if seen.uid in self._told:
            return
        self._told.add(seen.uid)
        seconds = (arrived.mono_ns - self._stage.recorder.start.mono_ns - self._injected_ns) / 1e9
        self._stage.progress.evicted(f"{seen.namespace}/{seen.name}", seconds=seconds)

    async def _recover_after_abort(self) -> None:
        """The fault is off: keep the load on for the recovery phase, so that the report shows whether the service
        came back.
        """
        step = next((s for s in self._stage.steps if s.phase is PhaseName.RECOVERY), None)
        if step is None or self._injected_ns is None:
            return
        self._stopped.clear()
        self._guarding, self._guard = False, None
        try:
            await self._phase(step)
        except _Stop:
            return  # asked again to end: so be it

    async def _wind_up(self) -> list[str]:
        """Stop the load, read the signals, remove the workload. Never raises; what remains on the cluster, one line
        each.
        """
        stage = self._stage
        steps = {step.action: step for step in stage.steps}
        await self._deed(steps[Action.STOP_LOAD], self._stop_load)
        if stage.metrics is not None and stage.namespaces:
            await self._sample(stage.metrics)
        if Action.REMOVE not in steps:
            return []
        remaining: list[str] = []

        async def remove() -> None:
            remaining.extend(await stage.workload.remove(deadline_ns=self._in_ns(REMOVE_WITHIN_S)))

        try:
            await self._deed(steps[Action.REMOVE], remove)
        except TaintlabError as error:
            remaining.append(str(error))
        return remaining

    async def _stop_load(self) -> None:
        stage = self._stage
        if stage.load is None or self._load_task is None:
            return
        self._load_stopping = True
        traffic = await stage.load.stop()
        fact = events.LoadEnded(traffic.ok, traffic.summary, traffic.message)
        stage.recorder.record(fact, source="load")
        self._load_task.cancel()
        await asyncio.gather(self._load_task, return_exceptions=True)

    async def _sample(self, metrics: Metrics) -> None:
        stage = self._stage
        queries = golden_queries(sorted(stage.namespaces))
        queries += tuple(map(expectation_query, stage.experiment.expect.metrics))
        await sample(metrics, stage.recorder, queries, start_ns=0, end_ns=stage.recorder.now_ns())


async def _nothing() -> None:
    """A phase begins by being written down."""
