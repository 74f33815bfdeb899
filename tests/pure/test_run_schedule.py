"""Which steps are due: times, order, and a heal that waits for its own injection only."""

from __future__ import annotations

import pytest

from harness.faults.cordon import CordonFault
from harness.faults.taint import TaintFault
from harness.model.experiment import Phases
from harness.model.words import Action
from harness.plan.schedule import make_steps
from harness.run.schedule import Timeline, in_order
from tests.pure.whole_runs import GPU, SPOT, experiment

S = 10**9
FAULTS = (TaintFault(SPOT, at_s=1.0), TaintFault(GPU, at_s=1.0, for_s=2.0), CordonFault(at_s=2.5))
STEPS = make_steps(experiment(FAULTS, Phases(0, 1, 10, 1)), ("n1", "n2"))
SPOT_ON, GPU_ON, CORDON_ON = (
    [f"inject-{n}:{what}@n{i}" for i in (1, 2)]
    for n, what in enumerate(("taint spot=x:NoExecute", "taint gpu=ours:NoSchedule", "cordon"))
)
SPOT_OFF, GPU_OFF, CORDON_OFF = (
    [step.replace("inject-", "heal-") for step in steps] for steps in (SPOT_ON, GPU_ON, CORDON_ON)
)
BEGUN = {step.id for step in STEPS}

DUE: dict[str, tuple[float, set[str], list[str]]] = {
    "nothing before its time": (0.999, set(), []),
    "all of one second, in the order of the plan": (1.0, set(), SPOT_ON + GPU_ON),
    "what is late as well": (2.5, set(), SPOT_ON + GPU_ON + CORDON_ON),
    "no heal whose injection has not ended": (3.0, {SPOT_ON[0]}, SPOT_ON + GPU_ON + CORDON_ON),
    "a heal whose own injection has ended": (3.0, {GPU_ON[1]}, SPOT_ON + GPU_ON + CORDON_ON + [GPU_OFF[1]]),
    "everything at last": (
        10.0,
        BEGUN,
        SPOT_ON + GPU_ON + CORDON_ON + GPU_OFF + SPOT_OFF + CORDON_OFF,
    ),
}


@pytest.mark.parametrize(("at_s", "ended", "expected"), DUE.values(), ids=DUE.keys())
def test_what_is_due(at_s: float, ended: set[str], expected: list[str]) -> None:
    assert [step.id for step in Timeline.of(STEPS).due(round(at_s * S), ended)] == expected


NEXT = {
    "at the start": (0.0, 1.0),
    "at the time of one": (1.0, 2.5),
    "between": (2.6, 3.0),
    "after the last": (10.0, None),
}


@pytest.mark.parametrize(("at_s", "expected_s"), NEXT.values(), ids=NEXT.keys())
def test_when_to_look_again(at_s: float, expected_s: float | None) -> None:
    expected = None if expected_s is None else round(expected_s * S)
    assert Timeline.of(STEPS).next_ns(round(at_s * S)) == expected


def test_what_has_begun_is_due_no_more() -> None:
    timeline = Timeline.of(STEPS)
    rest = timeline.without(timeline.due(1 * S, set()))
    assert rest.due(2 * S, BEGUN) == ()
    assert [step.id for step in rest.due(3 * S, BEGUN)] == CORDON_ON + GPU_OFF


def test_the_other_steps_follow_one_another() -> None:
    actions = [Action.APPLY, Action.WAIT_READY, Action.START_LOAD, *[Action.PHASE] * 3]
    assert [step.action for step in in_order(STEPS)] == actions
