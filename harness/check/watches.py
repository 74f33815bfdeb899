"""Was anybody still looking when the run ended? A watch that was lost by then never lets a run pass. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.check.record import RunRecord, inconclusive
from harness.history.query import closing_list, covering, unseen
from harness.model.faults import Need
from harness.model.plan import Action
from harness.model.verdicts import CheckResult

WATCHES = ("pods", "nodes", "endpointslices", "events")


def judge_watches(record: RunRecord) -> list[CheckResult]:
    """Nothing when every watch was in sight at the end and what must be listed was; else one INCONCLUSIVE that names
    the first that was not. A firm FAIL stays one: what was seen was seen.
    """
    if record.injection is None:
        return []
    problem = next((words for resource in WATCHES for words in _problems(record, resource)), None)
    if problem is None:
        return []
    return [inconclusive("watches", problem, decider="run again with watches that live to the end")]


def _problems(record: RunRecord, resource: str) -> Iterator[str]:
    listed = closing_list(record.history, resource)
    end_ns = listed[0].t_ns if listed is not None else record.horizon_ns
    gap = covering(unseen(record.history, resource), end_ns)
    if gap is not None:
        yield f"the watch of {resource} was blind at the end of the run, since {gap.start_ns / 1e9:.1f} s of it"
    if resource in _needed(record) and (listed is None or not listed[1].ok):
        message = f": {listed[1].message}" if listed is not None and listed[1].message else ""
        yield f"{resource} were not listed at the end{message}"


def _needed(record: RunRecord) -> set[str]:
    """What must be listed at the end: without, a watch that died in silence is not told from one that saw nothing."""
    injections = [step.fault for step in record.plan.steps if step.action is Action.INJECT and step.fault is not None]
    needed = {"pods"} if record.experiment.expect.evictions and injections else set()
    if any(Need.NODES in fault.needs for fault in injections):
        needed.add("nodes")
    return needed
