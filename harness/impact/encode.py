"""A plan as the values of `harness.model.plan_file`, which are what ``taintlab plan --json`` prints."""

from __future__ import annotations

from collections import Counter

from harness.impact.impact import Displaced, Impact, Leaving, Replacement, Staying, workload_of
from harness.impact.policy import PolicyPlan
from harness.model.finding import Finding, Severity
from harness.model.plan_file import (
    KIND,
    VERSION,
    ChangeRow,
    DisplacedRow,
    ExpectRow,
    FindingRow,
    Interval,
    LeavingRow,
    PlacementRow,
    PlanFile,
    StayingRow,
    Summary,
    WorkloadRow,
    WorldRow,
)
from harness.model.state import PodTemplate
from harness.semantics.scheduling import Placement, PlacementOutcome


def plan_file(plan: PolicyPlan) -> PlanFile:
    """The whole plan."""
    impact = plan.impact
    inventory = impact.inventory
    names = _Names()
    return PlanFile(
        version=VERSION,
        kind=KIND,
        title=plan.title,
        world=WorldRow(
            source=plan.source,
            kubernetes=inventory.kubernetes_version or None,
            taken=inventory.taken,
            nodes=len(inventory.nodes),
            pods=len(inventory.pods),
            missing={subject.value: why for subject, why in inventory.missing.items()},
        ),
        change=ChangeRow(faults=impact.words, nodes=impact.targets, times=_times(impact)),
        summary=summary(plan),
        findings=tuple(map(_finding, plan.findings)),
        workloads=workload_rows(plan),
        leaving=tuple(_leaving(each, names) for each in impact.leaving),
        staying=tuple(_staying(each, names) for each in impact.staying),
        unsure=tuple(_staying(each, names) for each in impact.unsure),
        displaced=tuple(_displaced(each, names) for each in impact.displaced),
        unknown=tuple(plan.unknown),
        expect=tuple(ExpectRow(name=h.expectation.name, holds=h.holds, because=h.because) for h in plan.held),
        exit_code=int(plan.exit_code),
    )


def summary(plan: PolicyPlan) -> Summary:
    """The figures of a plan."""
    impact = plan.impact
    fates = Counter(each.placement.fate for each in impact.leaving if each.placement is not None)
    backs = Counter(each.comes_back for each in impact.leaving)
    return Summary(
        nodes=len(impact.targets),
        leaving=len(impact.leaving),
        staying=len(impact.staying),
        unsure=len(impact.unsure),
        replacements={fate.value: fates[fate] for fate in PlacementOutcome},
        without_replacement={
            back.value: backs[back]
            for back in Replacement
            if back not in (Replacement.NEW, Replacement.SAME_NAME) and backs[back]
        },
        displaced=len(impact.displaced),
        findings=dict(Counter(finding.rule for finding in plan.findings)),
        breaks=sum(finding.severity is Severity.BREAKS for finding in plan.findings),
    )


def _times(impact: Impact) -> tuple[Interval, ...]:
    """When each fault is on; () when all are from the start, for good."""
    times = tuple((each.on_s, each.off_s) for each in impact.faults)
    return () if set(times) <= {(0.0, None)} else times


class _Names:
    """`workload_of`, once for each template."""

    def __init__(self) -> None:
        self._known: dict[PodTemplate, str] = {}

    def of(self, template: PodTemplate) -> str:
        name = self._known.get(template)
        if name is None:
            name = self._known[template] = workload_of(template)
        return name


def _leaving(each: Leaving, names: _Names) -> LeavingRow:
    pod, prediction = each.pod, each.prediction
    return LeavingRow(
        pod=pod.key,
        uid=pod.uid,
        node=pod.node,
        workload=names.of(pod.template),
        outcome=prediction.outcome,
        at=(prediction.earliest_s, prediction.latest_s),
        rule=str(prediction.rule),
        because=prediction.because,
        grace_s=pod.template.grace_s,
        comes_back=each.comes_back.value,
        replacement=_placement(each.placement),
    )


def _placement(placement: Placement | None) -> PlacementRow | None:
    if placement is None:
        return None
    return PlacementRow(
        fate=placement.fate.value,
        node=placement.node,
        may_be_evicted_again=placement.again,
        reason=placement.reason,
        victims=tuple(placement.victims),
    )


def _staying(each: Staying, names: _Names) -> StayingRow:
    prediction = each.prediction
    return StayingRow(
        pod=each.pod.key,
        uid=each.pod.uid,
        node=each.pod.node,
        workload=names.of(each.pod.template),
        outcome=prediction.outcome,
        rule=str(prediction.rule),
        because=prediction.because,
        blanket=each.blanket,
    )


def _displaced(each: Displaced, names: _Names) -> DisplacedRow:
    pod = each.pod
    return DisplacedRow(
        pod=pod.key,
        node=pod.node,
        workload=names.of(pod.template),
        by=each.by,
        replacement=_placement(each.placement),
    )


def _finding(finding: Finding) -> FindingRow:
    return FindingRow(
        kind=finding.rule,
        severity=finding.severity.name.lower(),
        subject=finding.subject,
        message=finding.message,
        pods=tuple(finding.keys),
        detail=dict(finding.evidence),
        place=finding.place,
        fix=finding.fix,
        proves_with=finding.proves_with,
    )


def workload_rows(plan: PolicyPlan) -> tuple[WorkloadRow, ...]:
    """One row a workload: how many leave, stay and find a place; those that lose most first."""
    names = _Names()
    rows: dict[str, WorkloadRow] = {}

    def row(template: PodTemplate) -> WorkloadRow:
        name = names.of(template)
        return rows.get(name) or rows.setdefault(name, WorkloadRow(workload=name))

    for leaving in plan.impact.leaving:
        found, prediction = row(leaving.pod.template), leaving.prediction
        found.leaving += 1
        _count(found.rules, str(prediction.rule))
        _count(found.replacements, (leaving.comes_back if leaving.placement is None else leaving.placement.fate).value)
        found.at = _hull(found.at, (prediction.earliest_s, prediction.latest_s))
    for each in plan.impact.staying:
        found = row(each.pod.template)
        found.staying += 1
        _count(found.rules, str(each.prediction.rule))
    for each in plan.impact.unsure:
        found = row(each.pod.template)
        found.unsure += 1
        _count(found.rules, str(each.prediction.rule))
    return tuple(sorted(rows.values(), key=lambda each: (-each.leaving, each.workload)))


def _count(counts: dict[str, int], word: str) -> None:
    counts[word] = counts.get(word, 0) + 1


def _hull(at: Interval | None, other: Interval) -> Interval:
    """The interval that holds both; an unknown end makes the end unknown."""
    if at is None:
        return other
    earliest = [each for each in (at[0], other[0]) if each is not None]
    latest = None if at[1] is None or other[1] is None else max(at[1], other[1])
    return min(earliest) if earliest else None, latest
