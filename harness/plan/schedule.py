"""What will be done, in order: made before anything is touched, interpreted by `harness.run.interpret`."""

from __future__ import annotations

from collections.abc import Sequence

from harness.model.experiment import Experiment, PhaseName
from harness.model.plan import Step
from harness.model.words import Action


def make_steps(experiment: Experiment, targets: Sequence[str]) -> tuple[Step, ...]:
    """Every step of a run. `at_s` of INJECT and HEAL counts from the start of the fault phase; within it, steps are
    in time order.
    """
    steps: list[Step] = []
    if experiment.workload:
        steps += [Step("apply", Action.APPLY), Step("wait-ready", Action.WAIT_READY)]
    if experiment.load is not None:
        steps.append(Step("start-load", Action.START_LOAD, experiment.load.url))
    for name in PhaseName:
        if experiment.phases.of(name) > 0:
            steps.append(Step(f"phase-{name}", Action.PHASE, name.value, phase=name))
            if name is PhaseName.FAULT:
                steps += _fault_steps(experiment, targets)
    steps.append(Step("stop-load", Action.STOP_LOAD))
    if experiment.workload:
        steps.append(Step("remove", Action.REMOVE))
    return tuple(steps)


def _fault_steps(experiment: Experiment, targets: Sequence[str]) -> list[Step]:
    end_s = experiment.phases.fault_s
    timed: list[tuple[float, int, Step]] = []
    for number, fault in enumerate(experiment.faults):
        until_s = end_s if fault.for_s is None else min(end_s, fault.at_s + fault.for_s)
        for subject in fault.subjects(targets):
            label = f"{number}:{fault}" + (f"@{subject}" if subject else "")
            timed.append((fault.at_s, 0, Step(f"inject-{label}", Action.INJECT, subject, fault.at_s, fault=fault)))
            if fault.is_undone:
                timed.append((until_s, 1, Step(f"heal-{label}", Action.HEAL, subject, until_s, fault=fault)))
    return [step for _, _, step in sorted(timed, key=lambda item: item[:2])]
