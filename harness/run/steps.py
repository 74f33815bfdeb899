"""Doing one step, with the history written before and after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from harness.errors import Indeterminate, TaintlabError
from harness.model import events
from harness.model.plan import Step
from harness.run.context import RunContext


async def do_step(context: RunContext, step: Step, work: Callable[[], Awaitable[Any]]) -> None:
    """Do `work` as `step`: StepInvoked before it, StepDone, StepRefused or StepIndeterminate after it. What it raises
    is raised; a mapping that it returns is the detail of StepDone.
    """
    record = context.recorder.record
    cause = record(events.StepInvoked(step.id, step.action.value, step.subject), source="run")
    try:
        detail = await work()
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
    said = dict(detail) if isinstance(detail, Mapping) else {}
    if "resourceVersion" in said:
        context.observer.wrote("nodes", str(said["resourceVersion"]))
    record(events.StepDone(step.id, said), source="run", cause=cause)
