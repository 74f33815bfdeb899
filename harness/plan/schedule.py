"""What will be done, in order: made before anything is touched, interpreted by `harness.run.interpret`."""

from __future__ import annotations

from collections.abc import Sequence

from harness.model.experiment import (
    CordonFault,
    Experiment,
    Fault,
    PhaseName,
    RestartFault,
    TaintFault,
    TolerationsFault,
)
from harness.model.plan import Action, Step


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
        for subject in _subjects(fault, targets):
            label = f"{number}:{describe(fault)}" + (f"@{subject}" if subject else "")
            timed.append((fault.at_s, 0, Step(f"inject-{label}", Action.INJECT, subject, fault.at_s, fault=fault)))
            match fault:
                case TaintFault(for_s=for_s, at_s=at_s) | CordonFault(for_s=for_s, at_s=at_s):
                    until_s = end_s if for_s is None else min(end_s, at_s + for_s)
                    heal = Step(f"heal-{label}", Action.HEAL, subject, until_s, fault=fault)
                    timed.append((until_s, 1, heal))
                case _:
                    pass  # workload pods and components need no undo
    return [step for _, _, step in sorted(timed, key=lambda item: item[:2])]


def _subjects(fault: Fault, targets: Sequence[str]) -> Sequence[str]:
    match fault:
        case TaintFault() | CordonFault():
            return targets
        case RestartFault(component=component):
            return (component,)
        case TolerationsFault():
            return ("",)


def describe(fault: Fault) -> str:
    """A fault in a few words: ``taint spot=true:NoExecute``."""
    match fault:
        case TaintFault(taint=taint):
            return f"taint {taint}"
        case TolerationsFault(selector=selector):
            return "tolerations of " + ",".join(f"{term.key}={'|'.join(term.values)}" for term in selector)
        case RestartFault(component=component):
            return f"restart {component}"
        case CordonFault():
            return "cordon"
