"""Interpreting the plan: one step after the other, every deed in the history before and after, healing whatever
happens.

The order of endings is fixed: faults are undone first, then the load is stopped, signals are read, the cluster is
looked at once more, the workload is removed. Whatever was raised, each of these happens, and none waits on another's
luck.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from harness.clock import Instant
from harness.cluster.patience import to_the_end
from harness.cluster.ports import LoadDriver, Tick
from harness.errors import ClusterError, Indeterminate, TaintlabError
from harness.model import events
from harness.model.experiment import PhaseName
from harness.model.plan import Action, Step
from harness.run.context import RunContext, RunOutcome, RunState
from harness.run.guards.bad_ratio import BadRatioGuard
from harness.signals.sample import expectation_query, golden_queries, sample

READY_TIMEOUT_S = 120.0
HEARTBEAT_S = 30.0
"""How often the claims on nodes are renewed. `recover` takes one for alive that is younger than three of these."""
HEAL_AT_LEAST_S = 60.0
LOAD_STOP_S = 90.0
"""Longer than the load process gives its own requests to end."""
_LOOK_S = 1.0


class _Stop(Exception):
    """Ends the phases early."""

    def __init__(self, state: RunState, message: str) -> None:
        super().__init__(message)
        self.state = state


class Conductor:
    """Runs one plan once."""

    def __init__(self, stage: RunContext) -> None:
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
        self._ending = False
        self._asked = False
        self._give_up = asyncio.Event()
        self._defect: BaseException | None = None
        stage.observer.on_pod(self._tell_eviction)

    def interrupt(self, message: str, *, insist: bool = False) -> None:
        """Ask the run to heal and end; safe to call from a signal handler of the loop. Asked again, with `insist`,
        while it does so: what the cluster does not answer is given up, and is then a leftover.
        """
        if self._ending and self._asked and insist:
            self._give_up.set()
        self._asked = True
        self._stop(RunState.INTERRUPTED, message)

    async def run(self) -> RunOutcome:
        """Do every step; always heals, whatever was raised, and whoever cancels. Never raises for what happens during
        the run: it is in the outcome and the history.
        """
        state, message = RunState.COMPLETED, ""
        watch = asyncio.create_task(self._watch_over())
        try:
            for step in self._stage.steps:
                if step.action in (Action.STOP_LOAD, Action.REMOVE):
                    break
                await self._do(step)
        except _Stop as stop:
            state, message = stop.state, str(stop)
        except asyncio.CancelledError:
            state, message = RunState.INTERRUPTED, "cancelled"
        except (TaintlabError, OSError) as error:
            state, message = RunState.FAILED, str(error)
        except BaseException as error:
            state, message = RunState.FAILED, f"unforeseen {type(error).__name__}: {error}"
            self._defect = error
        self._ending = True
        if state is not RunState.COMPLETED:
            verb = "failed" if state is RunState.FAILED else f"was {state}"
            self._stage.progress.say(f"the run {verb}: {message}")
        leftovers = await to_the_end(self._end(state, message))
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        return RunOutcome(state, message, tuple(leftovers), self._defect)

    async def _watch_over(self) -> None:
        """Renew the claims, and stop a run that cannot write down what it sees."""
        stage = self._stage
        renewed_ns = stage.recorder.now_ns()
        while True:
            await asyncio.sleep(_LOOK_S)
            failure = stage.recorder.failure
            if failure is not None:
                self._stop(RunState.FAILED, f"the history cannot be written: {failure.strerror or failure}")
            if stage.recorder.now_ns() - renewed_ns >= HEARTBEAT_S * 1e9:
                renewed_ns = stage.recorder.now_ns()
                try:
                    await stage.drivers.renew(stage.clock.now().wall)
                except Exception as error:  # another beat follows; a claim that is gone is a fact of its own
                    stage.progress.say(f"the claims could not be renewed: {error}")

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
                raise AssertionError("these belong to _end")

    async def _deed(self, step: Step, deed: Callable[[], Awaitable[Any]]) -> None:
        record = self._stage.recorder.record
        cause = record(events.StepInvoked(step.id, step.action.value, step.subject), source="run")
        try:
            detail = await deed()
        except Indeterminate as error:
            record(events.StepIndeterminate(step.id, str(error)), source="run", cause=cause)
            raise
        except (TaintlabError, OSError) as error:
            record(events.StepRefused(step.id, str(error)), source="run", cause=cause)
            raise
        except BaseException as error:
            # Cancelled or unforeseen, in the middle of it: whether it happened is not known.
            record(events.StepIndeterminate(step.id, f"{type(error).__name__}: {error}"), source="run", cause=cause)
            raise
        said = detail if isinstance(detail, dict) else {}
        if "resourceVersion" in said:
            self._stage.observer.wrote("nodes", str(said["resourceVersion"]))
        record(events.StepDone(step.id, said), source="run", cause=cause)

    async def _phase(self, step: Step) -> None:
        assert step.phase is not None
        stage, phase = self._stage, step.phase
        length_s = stage.experiment.phases.of(phase)
        if phase is PhaseName.FAULT:
            world = stage.observer.world(kubernetes_version=stage.kubernetes_version)
            gone = sorted(set(stage.targets) - {node.name for node in world.nodes})
            if gone:
                raise ClusterError(f"gone before the fault: node {', '.join(gone)}")
            await asyncio.to_thread(stage.before_fault, world)
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
            await self._deed(step, lambda: stage.drivers.heal(fault, step.subject))
            stage.progress.say(f"healed {step.subject}")
        else:
            await self._deed(step, lambda: stage.drivers.inject(fault, step.subject))
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

    async def _end(self, state: RunState, message: str) -> list[str]:
        """Heal, look once more, wind up, remove; each on its own, none can keep the others from happening. What
        remains on the cluster or is not known, one line each.
        """
        stage = self._stage
        left = await self._each("heal", lambda: stage.drivers.heal_all(self._heal_deadline_ns(), self._give_up))
        if state is RunState.ABORTED:
            await self._each("recovery phase", self._recover_after_abort)
        steps = {step.action: step for step in stage.steps}
        await self._each("stop load", lambda: self._deed(steps[Action.STOP_LOAD], self._stop_load))
        if stage.metrics is not None and stage.namespaces:
            await self._each("signals", self._sample)
        await self._each("closing list", self._look_once_more)
        if Action.REMOVE in steps:
            left += await self._each("removal", lambda: self._remove(steps[Action.REMOVE]))
        await self._each("observer", stage.observer.stop)
        for line in left:
            subject, _, message = line.partition(": ")
            stage.recorder.record(events.Leftover(subject, message), source="run")
        stage.recorder.record(events.RunEnded(state.value, message), source="run")
        return left

    async def _each(self, what: str, work: Callable[[], Awaitable[Any]]) -> list[str]:
        """Do one part of the end. What it raises is told; for a part that takes things off the cluster it means that
        what is left is not known.
        """
        try:
            found = await work()
        except Exception as error:  # nothing that fails here may keep the rest from happening
            if not isinstance(error, TaintlabError | OSError):
                self._defect = self._defect or error
            text = f"{what}: {type(error).__name__}: {error}"
            self._stage.progress.say(text)
            self._stage.recorder.record(events.RecorderFailed(what, text), source="run")
            return [f"{text}; what is left is not known"] if what in ("heal", "removal") else []
        return list(found) if isinstance(found, list) else []

    def _heal_deadline_ns(self) -> int:
        """Until when healing is tried again (CLOCK_MONOTONIC): the claims' deadline, and a minute at the least."""
        return max(self._stage.deadline_ns, self._stage.clock.now().mono_ns + int(HEAL_AT_LEAST_S * 1e9))

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

    async def _look_once_more(self) -> None:
        await self._stage.observer.close_list(self._stage.targets, self._stage.namespaces)

    async def _remove(self, step: Step) -> list[str]:
        stage, remaining = self._stage, list[str]()

        async def remove() -> None:
            remaining.extend(await stage.workload.remove(deadline_ns=self._heal_deadline_ns(), give_up=self._give_up))

        await self._deed(step, remove)
        return remaining

    async def _stop_load(self) -> None:
        stage = self._stage
        if stage.load is None or self._load_task is None:
            return
        self._load_stopping = True
        async with asyncio.timeout(LOAD_STOP_S):
            traffic = await stage.load.stop()
        fact = events.LoadEnded(traffic.ok, traffic.summary, traffic.message)
        stage.recorder.record(fact, source="load")
        self._load_task.cancel()
        await asyncio.gather(self._load_task, return_exceptions=True)

    async def _sample(self) -> None:
        stage = self._stage
        assert stage.metrics is not None
        namespaces = sorted(stage.namespaces)
        queries = golden_queries(namespaces) + tuple(map(expectation_query, stage.experiment.expect.metrics))
        now_ns = stage.recorder.now_ns()
        await sample(stage.metrics, stage.recorder, queries, start_ns=0, end_ns=now_ns, namespaces=namespaces)


async def _nothing() -> None:
    """A phase begins by being written down."""
