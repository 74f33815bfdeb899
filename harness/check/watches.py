"""Was anybody still looking when the run ended? A watch that is needed, and was never made or lost by then, never lets
a run pass. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.check.base import Soundness, ValidityCheck
from harness.check.needs import needs_of
from harness.check.record import RunRecord
from harness.history.stories import covering
from harness.model.faults import Need
from harness.model.needs import WatchNeed
from harness.model.verdicts import Verdict
from harness.model.words import Action


def _in_sight(record: RunRecord) -> Soundness | None:
    """Every watch that the experiment needs was in sight at the end, and what must be listed was; else the first that
    was not. A firm FAIL stays one: what was seen was seen.
    """
    if record.injection is None:
        return None
    problem = next((words for need in needs_of(record.experiment) for words in _problems(record, need)), None)
    return Soundness(problem is None, problem or "every watch lived to the end", "in sight at the end of the run")


def _problems(record: RunRecord, need: WatchNeed) -> Iterator[str]:
    resource = need.watch
    listed = record.index.closing_list(resource)
    end_ns = listed[0].t_ns if listed is not None else record.horizon_ns
    gap = covering(record.index.unseen(resource), end_ns)
    if not record.index.was_watched(resource, need.namespaces):
        yield f"{resource} were not watched"
    elif gap is not None:
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


WATCHES = ValidityCheck(
    "watches",
    _in_sight,
    effect=Verdict.INCONCLUSIVE,
    what_would_decide="run again with watches that live to the end",
)
