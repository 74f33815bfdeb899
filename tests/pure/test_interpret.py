"""The interpreter in exact virtual seconds: what overlaps, what waits, what ends a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ClusterError
from harness.faults.cordon import CordonFault
from harness.faults.taint import TaintFault
from harness.model import events
from harness.model.experiment import Phases
from harness.model.faults import Fault
from harness.model.taints import Effect, Taint
from harness.model.words import RunState
from harness.run.drivers import Drivers
from harness.run.phases import STEPS_END_S
from harness.run.places import AT_ONCE, QUICK_S
from tests.fakes.scripted import Failure
from tests.pure.whole_runs import GPU, SPOT, FakeLoad, WholeRun, experiment

FAULT_AT_S = 1.215
"""Of the run: apply 15 ms, ready 100 ms, load 100 ms, baseline 1 s."""
SLOW = Taint("slow", Effect.NO_SCHEDULE, "drain")
QUICK = Phases(0, 1, 3, 1)


class Slow(Drivers):
    """Takes `injects_s` for a taint of the key ``slow``, as a drain would."""

    injects_s = 120.0

    async def inject(self, fault: Fault, subject: str) -> dict[str, Any]:
        """As the drivers'."""
        if isinstance(fault, TaintFault) and fault.taint == SLOW:
            await asyncio.sleep(self.injects_s)
        return await super().inject(fault, subject)


def run_of(folder: Path, *faults: Fault, phases: Phases = QUICK, **more: Any) -> WholeRun:
    run = WholeRun(folder, experiment(faults, phases, guard=more.pop("guard", None)), **more)
    run.play()
    assert run.problems() == []
    return run


def since_fault(run: WholeRun, kind: type) -> dict[str, float]:
    """When each timed step had its fact of that kind, in seconds of the fault phase."""
    return {
        step: round(at_s - FAULT_AT_S, 6)
        for step, at_s in run.times(kind).items()
        if step.startswith(("inject", "heal"))
    }


def test_a_whole_run_keeps_its_times_and_leaves_nothing(tmp_path: Path) -> None:
    """Each request takes 3 ms: an injection two of them, a heal three; the second taint waits for the first's node."""
    run = WholeRun(tmp_path)
    assert run.play().state is RunState.COMPLETED
    assert (run.problems(), run.left, run.outcome.leftovers) == ([], [], ())
    begun = {0: [0.5, 3.0], 1: [0.5, 1.5], 2: [1.0, 3.0]}
    took = {0: [0.006, 0.009], 1: [0.012, 0.009], 2: [0.006, 0.018]}
    for number, label in enumerate(("0:taint spot=x:NoExecute", "1:taint gpu=ours:NoSchedule", "2:cordon")):
        for node in ("n1", "n2"):
            steps = [f"inject-{label}@{node}", f"heal-{label}@{node}"]
            invoked, done = since_fault(run, events.StepInvoked), since_fault(run, events.StepDone)
            assert [invoked[step] for step in steps] == begun[number]
            assert [round(done[step] - invoked[step], 6) for step in steps] == took[number]


def test_a_step_of_minutes_holds_up_neither_later_steps_nor_heals(tmp_path: Path) -> None:
    """Its own heal waits for it, and so does the end of the phase."""
    spot = TaintFault(SPOT, at_s=1.0, for_s=1.0)
    run = run_of(tmp_path, TaintFault(SLOW), spot, CordonFault(at_s=2.5), drivers=Slow)
    invoked = since_fault(run, events.StepInvoked)
    assert invoked["inject-1:taint spot=x:NoExecute@n2"] == 1.0
    assert invoked["heal-1:taint spot=x:NoExecute@n2"] == 2.0
    assert invoked["inject-2:cordon@n1"] == 2.5
    assert invoked["heal-2:cordon@n1"] == 3.0
    assert invoked["heal-0:taint slow=drain:NoSchedule@n1"] == 120.006
    assert run.times(events.StepInvoked)["phase-recovery"] == pytest.approx(FAULT_AT_S + 120.015, abs=1e-9)
    assert run.left == []


def test_scores_of_long_steps_give_their_places_to_what_is_due(tmp_path: Path) -> None:
    """All of them have begun after (100 / AT_ONCE) x QUICK_S."""
    nodes = tuple(f"n{i}" for i in range(100))
    phases = Phases(0, 1, 30, 1)
    run = run_of(tmp_path, TaintFault(SLOW), CordonFault(at_s=10.0), phases=phases, drivers=Slow, nodes=nodes)
    invoked = since_fault(run, events.StepInvoked)
    slow = [at_s for step, at_s in invoked.items() if step.startswith("inject-0")]
    assert len(slow) == 100
    assert max(slow) == pytest.approx(3 * QUICK_S, abs=1e-6)
    assert min(at_s for step, at_s in invoked.items() if step.startswith("inject-1")) == 10.0
    assert run.left == []


def test_many_nodes_at_once_but_never_more_than_the_bound(tmp_path: Path) -> None:
    """300 nodes take as long as 300 / AT_ONCE one after the other, on and off."""
    nodes = tuple(f"n{i}" for i in range(300))
    run = run_of(tmp_path, TaintFault(SPOT), nodes=nodes)
    done = since_fault(run, events.StepDone)
    rounds = -(-300 // AT_ONCE)
    on = [at_s for step, at_s in done.items() if step.startswith("inject")]
    off = [at_s for step, at_s in done.items() if step.startswith("heal")]
    assert (len(on), len(off), run.left) == (300, 300, [])
    assert max(on) == pytest.approx(rounds * 0.006, abs=1e-6)
    assert max(off) - 3.0 == pytest.approx(rounds * 0.009, abs=1e-6)
    assert AT_ONCE <= run.cluster.most_in_flight <= AT_ONCE + 1  # the request for the time is beside them


class Refusing(Slow):
    """Refuses a cordon on ``n2``."""

    async def inject(self, fault: Fault, subject: str) -> dict[str, Any]:
        """As the drivers'."""
        if isinstance(fault, CordonFault) and subject == "n2":
            raise ClusterError("no cordon here")
        return await super().inject(fault, subject)


def test_the_first_step_that_fails_ends_the_run_and_heals_all(tmp_path: Path) -> None:
    """What is under way may end; what takes long is cancelled; nothing else begins."""
    faults = TaintFault(SLOW), TaintFault(SPOT, at_s=0.5), CordonFault(at_s=1.0), TaintFault(GPU, at_s=2.0)
    run = run_of(tmp_path, *faults, drivers=Refusing)
    assert (run.outcome.state, run.outcome.message) == (RunState.FAILED, "no cordon here")
    assert "inject-2:cordon@n1" in since_fault(run, events.StepDone), "it was under way, and may end"
    cancelled = since_fault(run, events.StepIndeterminate)
    assert cancelled == {f"inject-0:taint slow=drain:NoSchedule@{node}": 1.0 + STEPS_END_S for node in ("n1", "n2")}
    assert not any("gpu" in step for step in since_fault(run, events.StepInvoked))
    assert run.left == []


@pytest.mark.parametrize("insist", [False, True])
@pytest.mark.parametrize("at_s", [0.005, 0.05, 0.15, 0.9, 1.717, 1.9, 4.22, 4.9])
def test_an_interrupt_heals_and_ends(tmp_path: Path, at_s: float, insist: bool) -> None:
    """While it is applied, made ready, the load starts, in a baseline, in the middle of an injection, in a fault, a
    heal, a recovery.
    """

    def meanwhile(run: WholeRun) -> None:
        asyncio.get_running_loop().call_later(at_s, lambda: run.interpreter.interrupt("by SIGINT", insist=insist))

    run = WholeRun(tmp_path, meanwhile=meanwhile)
    outcome = run.play()
    assert (outcome.state, outcome.message, outcome.leftovers) == (RunState.INTERRUPTED, "by SIGINT", ())
    assert (run.problems(), run.left) == ([], [])
    assert run.facts(events.RunEnded) == [events.RunEnded("interrupted", "by SIGINT")]
    assert not run.facts(events.StepIndeterminate) or at_s == 0.05, "only waiting is cut short"
    assert run.took_s < at_s + 0.2


def test_a_run_that_is_cancelled_again_and_again_still_heals(tmp_path: Path) -> None:
    def meanwhile(run: WholeRun) -> None:
        for milliseconds in range(1800, 2400, 7):
            asyncio.get_running_loop().call_later(milliseconds / 1e3, run.task.cancel)

    run = WholeRun(tmp_path, meanwhile=meanwhile)
    assert run.play().state is RunState.INTERRUPTED
    assert (run.problems(), run.left, run.outcome.leftovers) == ([], [], ())


@pytest.mark.parametrize(("insists", "took_s"), [(False, 64.5), (True, 20.1)])
def test_who_insists_is_told_what_is_left(tmp_path: Path, insists: bool, took_s: float) -> None:
    """No answer to anything from 2.5 s on: asked once it tries for a minute, asked again it gives up."""

    def meanwhile(run: WholeRun) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(2.5, lambda: setattr(run.cluster, "failing", lambda number: Failure.LOST_BEFORE))
        loop.call_later(2.6, lambda: run.interpreter.interrupt("by SIGINT"))
        if insists:
            loop.call_later(20.0, lambda: run.interpreter.interrupt("by SIGINT", insist=True))

    run = WholeRun(tmp_path, meanwhile=meanwhile)
    outcome = run.play()
    assert outcome.state is RunState.INTERRUPTED
    assert len([line for line in outcome.leftovers if line.startswith("node n")]) == 2, outcome.leftovers
    assert run.problems() == []
    assert run.times(events.StepInvoked)["stop-load"] == pytest.approx(took_s, abs=3.0)


# --- guards and load ---


def bad_after(second: int) -> Callable[[], FakeLoad]:
    return lambda: FakeLoad(lambda n: 100 if n >= second else 0)


def test_a_guard_aborts_heals_and_lets_the_recovery_show(tmp_path: Path) -> None:
    """Bad from the second second on: the guard trips at the first one after the baseline's; the load stays on."""
    run = WholeRun(tmp_path, experiment(phases=Phases(0, 1, 30, 5), guard=0.1), load=bad_after(2))
    outcome = run.play()
    assert outcome.state is RunState.ABORTED
    assert [fact.guard for fact in run.facts(events.GuardTripped)] == ["bad-ratio"]
    assert (run.problems(), run.left, outcome.leftovers) == ([], [], ())
    times = run.times(events.StepInvoked)
    assert times["stop-load"] - times["phase-recovery"] == pytest.approx(5.0, abs=1e-9)
    assert [fact.bad for fact in run.facts(events.LoadWindow)].count(100) >= 6


def test_warmup_is_not_guarded(tmp_path: Path) -> None:
    run = WholeRun(
        tmp_path,
        experiment(phases=Phases(8, 1, 3, 1), guard=0.5),
        load=lambda: FakeLoad(lambda n: 100 if n < 8 else 0),
    )
    assert run.play().state is RunState.COMPLETED


class Breaking(FakeLoad):
    """Traffic that cannot be read any more, or ends, after two seconds."""

    error: BaseException | None = None

    async def ticks(self) -> Any:
        """See the port."""
        for _ in range(2):
            await asyncio.sleep(1)
            yield (await anext(FakeLoad().ticks()))
        if self.error is not None:
            raise self.error


BREAKS: dict[str, tuple[BaseException | None, str]] = {
    "it ends": (None, "the load process ended before it was told to"),
    "its pipe breaks": (OSError(32, "Broken pipe"), "the load cannot be followed: [Errno 32] Broken pipe"),
    "nobody foresaw it": (KeyError("due"), "the load cannot be followed: unforeseen KeyError: 'due'"),
    "it is cancelled": (asyncio.CancelledError(), "the load cannot be followed: cancelled"),
}


@pytest.mark.parametrize(("error", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_traffic_that_nobody_sees_ends_the_run(tmp_path: Path, error: BaseException | None, message: str) -> None:
    def load() -> FakeLoad:
        found = Breaking()
        found.error = error
        return found

    run = WholeRun(tmp_path, load=load)
    outcome = run.play()
    assert (outcome.state, outcome.message, outcome.leftovers) == (RunState.FAILED, message, ())
    assert (run.problems(), run.left) == ([], [])
    assert isinstance(outcome.defect, KeyError) == isinstance(error, KeyError)


def test_a_load_that_does_not_stop_is_told_and_keeps_nothing(tmp_path: Path) -> None:
    class Deaf(FakeLoad):
        async def stop(self) -> Any:
            await asyncio.sleep(3600)

    run = WholeRun(tmp_path, load=Deaf)
    assert run.play().leftovers == ()
    assert [fact.what for fact in run.facts(events.RecorderFailed)] == ["stop load"]
    assert (run.problems(), run.left) == ([], [])


def test_a_run_whose_history_cannot_be_written_ends(tmp_path: Path) -> None:
    """The recorder remembers what the disk refused; the run looks each second."""

    def wrap(context: Any) -> Any:
        asyncio.get_running_loop().call_later(
            1.9, lambda: setattr(context.recorder, "_failure", OSError(28, "No space left on device"))
        )
        return context

    run = WholeRun(tmp_path, wrap=wrap)
    outcome = run.play()
    assert outcome.message == "the history cannot be written: No space left on device"
    assert (run.left, outcome.leftovers) == ([], ())


def test_a_node_that_is_gone_before_the_fault_ends_the_run_untouched(tmp_path: Path) -> None:
    def wrap(context: Any) -> Any:
        return replace(context, targets=(*context.targets, "n9"))

    run = WholeRun(tmp_path, wrap=wrap)
    assert run.play().message == "gone before the fault: node n9"
    assert not since_fault(run, events.StepInvoked)
