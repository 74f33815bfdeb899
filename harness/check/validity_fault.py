"""Was the fault there? Validity checks of its injection and of its stay."""

from __future__ import annotations

from harness.check.base import Soundness, ValidityCheck
from harness.check.record import RunRecord
from harness.check.stood import fault_stood
from harness.model.plan import Step
from harness.model.words import Action, RunState, StepResult


def _injections(record: RunRecord) -> list[Step]:
    return [step for step in record.plan.steps if step.action is Action.INJECT]


def _injected(record: RunRecord) -> Soundness | None:
    """Every injection of the plan was acknowledged, on each of its targets; one that a guard prevented is none."""
    steps, done = _injections(record), record.index.injections
    if not steps:
        return None
    if not done:
        return Soundness(False, "no injection was acknowledged", "acknowledged")
    aborted = record.ended is not None and record.ended.state is RunState.ABORTED
    for step in steps:
        told = done.get(step.id)
        if told is None and aborted:
            continue
        if told is None or told.outcome is not StepResult.DONE:
            how = "not tried" if told is None else f"{told.outcome}: {told.message}".removesuffix(": ")
            where = f" on {step.subject}" if step.subject else ""
            return Soundness(False, f"{step.id}{where}: {how}", "acknowledged")
    return Soundness(True, f"{len(done)} acknowledged", "acknowledged")


def _stood(record: RunRecord) -> Soundness | None:
    if not _injections(record):
        return None
    why = fault_stood(record)
    return Soundness(not why, why or "stood until the run removed it", "on its node until the run removes it")


INJECTED = ValidityCheck("injected", _injected)
STOOD = ValidityCheck("fault-stood", _stood)
