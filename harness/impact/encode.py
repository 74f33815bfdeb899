"""A plan as JSON: version 1 of the format that plan.schema.json describes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from harness.impact.impact import Displaced, Leaving, Replacement, Staying, workload_of
from harness.impact.policy import PolicyPlan
from harness.model.finding import Finding, Severity
from harness.model.state import PodTemplate
from harness.semantics.scheduling import Placement, PlacementOutcome

VERSION = 1
KIND = "taintlab-plan"

Json = dict[str, Any]


def to_json(plan: PolicyPlan) -> Json:
    """The whole plan; see plan.schema.json."""
    impact = plan.impact
    inventory = impact.inventory
    names = _Names()
    leaving = [_leaving(each, names) for each in impact.leaving]
    return {
        "version": VERSION,
        "kind": KIND,
        "title": plan.title,
        "world": {
            "source": plan.source,
            "kubernetes": inventory.kubernetes_version or None,
            "taken": inventory.taken,
            "nodes": len(inventory.nodes),
            "pods": len(inventory.pods),
            "missing": {subject.value: why for subject, why in inventory.missing.items()},
        },
        "change": {"deeds": list(impact.words), "nodes": list(impact.change.targets)},
        "summary": summary(plan),
        "findings": [_finding(finding) for finding in plan.findings],
        "workloads": workload_rows(plan),
        "leaving": leaving,
        "staying": [_staying(each, names) for each in impact.staying],
        "unsure": [_staying(each, names) for each in impact.unsure],
        "displaced": [_displaced(each, names) for each in impact.displaced],
        "unknown": list(plan.unknown),
        "expect": [{"name": h.expectation.name, "holds": h.holds, "because": h.because} for h in plan.held],
        "exit_code": int(plan.exit_code),
    }


def summary(plan: PolicyPlan) -> Json:
    """The figures of a plan."""
    impact = plan.impact
    fates = Counter(each.placement.fate for each in impact.leaving if each.placement is not None)
    backs = Counter(each.comes_back for each in impact.leaving)
    return {
        "nodes": len(impact.change.targets),
        "leaving": len(impact.leaving),
        "staying": len(impact.staying),
        "unsure": len(impact.unsure),
        "replacements": {fate.value: fates[fate] for fate in PlacementOutcome},
        "without_replacement": {
            back.value: backs[back]
            for back in Replacement
            if back not in (Replacement.NEW, Replacement.SAME_NAME) and backs[back]
        },
        "displaced": len(impact.displaced),
        "findings": dict(Counter(finding.rule for finding in plan.findings)),
        "breaks": sum(finding.severity is Severity.BREAKS for finding in plan.findings),
    }


class _Names:
    """`workload_of`, once for each template."""

    def __init__(self) -> None:
        self._known: dict[PodTemplate, str] = {}

    def of(self, template: PodTemplate) -> str:
        name = self._known.get(template)
        if name is None:
            name = self._known[template] = workload_of(template)
        return name


def _leaving(each: Leaving, names: _Names) -> Json:
    pod, prediction = each.pod, each.prediction
    return {
        "pod": pod.key,
        "uid": pod.uid,
        "node": pod.node,
        "workload": names.of(pod.template),
        "outcome": prediction.outcome,
        "at": [prediction.earliest_s, prediction.latest_s],
        "rule": str(prediction.rule),
        "because": prediction.because,
        "grace_s": pod.template.grace_s,
        "comes_back": each.comes_back.value,
        "replacement": None if each.placement is None else _placement(each.placement),
    }


def _placement(placement: Placement) -> Json:
    out: Json = {"fate": placement.fate.value, "node": placement.node, "may_be_evicted_again": placement.again}
    if placement.reason:
        out["reason"] = placement.reason
    if placement.victims:
        out["victims"] = list(placement.victims)
    return out


def _staying(each: Staying, names: _Names) -> Json:
    prediction = each.prediction
    return {
        "pod": each.pod.key,
        "uid": each.pod.uid,
        "node": each.pod.node,
        "workload": names.of(each.pod.template),
        "outcome": prediction.outcome,
        "rule": str(prediction.rule),
        "because": prediction.because,
        "blanket": each.blanket,
    }


def _displaced(each: Displaced, names: _Names) -> Json:
    placement = None if each.placement is None else _placement(each.placement)
    workload = names.of(each.pod.template)
    return {"pod": each.pod.key, "node": each.pod.node, "workload": workload, "by": each.by, "replacement": placement}


def _finding(finding: Finding) -> Json:
    more = {"place": finding.place, "fix": finding.fix, "proves_with": finding.proves_with}
    return {
        "kind": finding.rule,
        "severity": finding.severity.name.lower(),
        "subject": finding.subject,
        "message": finding.message,
        "pods": list(finding.keys),
        "detail": dict(finding.evidence),
        **{key: value for key, value in more.items() if value is not None},
    }


def workload_rows(plan: PolicyPlan) -> list[Json]:
    """One row a workload: how many leave, stay and find a place; those that lose most first."""
    names = _Names()
    rows: dict[str, Json] = {}

    def row(template: PodTemplate) -> Json:
        name = names.of(template)
        found = rows.get(name)
        if found is None:
            found = rows[name] = {"workload": name, "leaving": 0, "staying": 0, "unsure": 0, "at": None, "rules": {}}
            found["replacements"] = {}
        return found

    for leaving in plan.impact.leaving:
        found, prediction = row(leaving.pod.template), leaving.prediction
        found["leaving"] += 1
        found["rules"][str(prediction.rule)] = found["rules"].get(str(prediction.rule), 0) + 1
        fate = leaving.placement.fate.value if leaving.placement is not None else leaving.comes_back.value
        found["replacements"][fate] = found["replacements"].get(fate, 0) + 1
        found["at"] = _hull(found["at"], prediction.earliest_s, prediction.latest_s)
    for kind, group in (("staying", plan.impact.staying), ("unsure", plan.impact.unsure)):
        for each in group:
            found = row(each.pod.template)
            found[kind] += 1
            found["rules"][str(each.prediction.rule)] = found["rules"].get(str(each.prediction.rule), 0) + 1
    return sorted(rows.values(), key=lambda each: (-each["leaving"], each["workload"]))


def _hull(at: list[float | None] | None, earliest_s: float | None, latest_s: float | None) -> list[float | None]:
    """The interval that holds both; an unknown end makes the end unknown."""
    if at is None:
        return [earliest_s, latest_s]
    earliest = [each for each in (at[0], earliest_s) if each is not None]
    latest = None if at[1] is None or latest_s is None else max(at[1], latest_s)
    return [min(earliest) if earliest else None, latest]
