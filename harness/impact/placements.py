"""Replacements that find no node, or the wrong one; whom they preempt; what quotas say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from harness.impact.impact import Impact, Leaving, Replacement, by_workload, workload_of
from harness.model.finding import Finding, Rule, Severity, counted
from harness.model.state import Subject
from harness.semantics.scheduling import PlacementOutcome
from harness.semantics.scheduling.quotas import Quotas
from harness.semantics.scheduling.reasons import VOLUME_AFFINITY, VOLUME_BINDING, VOLUME_MISSING, VOLUME_ZONE

_OF_VOLUMES = (VOLUME_AFFINITY, VOLUME_BINDING, VOLUME_MISSING, VOLUME_ZONE, "persistentvolume")


def _replacements(impact: Impact) -> Iterator[tuple[str, list[Leaving], list[Leaving]]]:
    """For each workload: those that are replaced, and those of them whose replacement finds no node."""
    placed = [each for each in impact.leaving if each.placement is not None]
    for workload, group in by_workload(placed).items():
        yield workload, group, [e for e in group if e.placement and e.placement.fate is PlacementOutcome.PENDING]


def _pending_replacements(impact: Impact) -> Iterator[Finding]:
    """Replacements that find no node, and those that wait for a dead one."""
    for workload, group, pending in _replacements(impact):
        if pending:
            yield _pending(workload, pending, len(group))
    stuck = [each for each in impact.leaving if each.comes_back is Replacement.STUCK_TERMINATING]
    for workload, group in by_workload(stuck).items():
        message = (
            f"Terminating on a dead node, and not replaced before it is back or gone: {counted(len(group), 'pod')}"
        )
        yield Finding("pending", Severity.BREAKS, workload, message, _keys(group), {"pending": len(group)})


def _held_by_volumes(impact: Impact) -> Iterator[Finding]:
    """Replacements whose volumes hold them where they were."""
    for workload, _, pending in _replacements(impact):
        held = [each for each in pending if each.placement is not None and _by_volumes(each.placement.reason)]
        if held:
            message = f"volumes of {counted(len(held), 'pod')} cannot follow: {_reason(held)}"
            yield Finding("volume", Severity.BREAKS, workload, message, _keys(held))


def _eviction_loops(impact: Impact) -> Iterator[Finding]:
    """Replacements that are evicted again."""
    for workload, group, _ in _replacements(impact):
        again = [each for each in group if each.placement is not None and each.placement.again]
        if again:
            yield _eviction_loop(workload, again)
    for workload, group in by_workload(e for e in impact.leaving if e.comes_back is Replacement.EVICT_LOOP).items():
        every_s = max(each.prediction.earliest_s or 0.0 for each in group)
        message = f"back on the same node and evicted again every {every_s:g} s: {counted(len(group), 'pod')}"
        yield Finding("eviction-loop", Severity.HURTS, workload, message, _keys(group), {"every_s": every_s})


def _not_placed(impact: Impact) -> Iterator[str]:
    """Why it is not known of every replacement whether it finds a node."""
    unknown = [e.placement for e in impact.leaving if e.placement and e.placement.fate is PlacementOutcome.UNKNOWN]
    if unknown:
        yield f"{counted(len(unknown), 'replacement')}: {unknown[0].reason}"


def _pending(workload: str, pending: list[Leaving], replaced: int) -> Finding:
    detail = {"pending": len(pending), "replaced": replaced, "reason": _reason(pending)}
    message = f"Pending, {len(pending)} of {counted(replaced, 'replacement')}: {_reason(pending)}"
    return Finding("pending", Severity.BREAKS, workload, message, _keys(pending), detail)


def _eviction_loop(workload: str, again: list[Leaving]) -> Finding:
    only = [
        each for each in again if each.placement is not None and each.placement.fate is PlacementOutcome.EVICTION_LOOP
    ]
    every_s = max(each.prediction.earliest_s or 0.0 for each in again)
    detail = {"only": len(only), "perhaps": len(again) - len(only), "every_s": every_s}
    if only:
        message = f"fit only for another eviction, every {every_s:g} s: {counted(len(only), 'replacement')}"
    else:
        message = (
            f"may go back to the same taint, which the scheduler does not avoid, to be evicted again every "
            f"{every_s:g} s: {counted(len(again), 'replacement')}"
        )
    severity = Severity.BREAKS if only else Severity.HURTS
    return Finding("eviction-loop", severity, workload, message, _keys(again), detail)


def _by_volumes(reason: str) -> bool:
    return any(words in reason for words in _OF_VOLUMES)


def _reason(pending: list[Leaving]) -> str:
    return pending[0].placement.reason if pending[0].placement is not None else ""


def _keys(group: Iterable[Leaving]) -> tuple[str, ...]:
    return tuple(each.pod.key for each in group)


def _preempted(impact: Impact) -> Iterator[Finding]:
    """Pods elsewhere that must make room."""
    groups = defaultdict(list)
    for displaced in impact.displaced:
        groups[workload_of(displaced.pod.template)].append(displaced)
    for workload, group in groups.items():
        stranded = [d for d in group if d.placement is None or d.placement.fate is PlacementOutcome.PENDING]
        message = f"preempted by more important replacements such as {group[0].by}: {counted(len(group), 'pod')}"
        if stranded:
            message += f", {len(stranded)} without another node to go to"
        severity = Severity.BREAKS if stranded else Severity.HURTS
        keys = tuple(displaced.pod.key for displaced in group)
        yield Finding("preemption", severity, workload, message, keys, {"stranded": len(stranded)})


def _quota_delays(impact: Impact) -> Iterator[Finding]:
    """Replacements that a full quota refuses until the pod that they replace is gone."""
    if not impact.state.quotas:
        return
    quotas = Quotas(impact.state.quotas)
    namespaces = {quota.namespace for quota in impact.state.quotas}
    delayed: dict[str, list[Leaving]] = defaultdict(list)
    why: dict[str, str] = {}
    for each in impact.leaving:
        namespace = each.pod.template.namespace
        if each.comes_back is Replacement.NEW and namespace in namespaces:
            refusal = quotas.admit(each.pod.template)
            if refusal:
                delayed[namespace].append(each)
                why[namespace] = refusal
    for namespace, group in delayed.items():
        grace_s = max(each.pod.template.grace_s for each in group)
        message = (
            f"{why[namespace]}: refused until terminating pods are gone, up to {grace_s} s: "
            f"{counted(len(group), 'replacement')}"
        )
        keys = tuple(each.pod.key for each in group)
        yield Finding("quota", Severity.HURTS, f"Namespace {namespace}", message, keys, {"wait_s": grace_s})


PENDING = Rule("pending", Severity.BREAKS, _pending_replacements, unknown=_not_placed)
VOLUME = Rule(
    "volume",
    Severity.BREAKS,
    _held_by_volumes,
    needs=(Subject.CLAIMS, Subject.VOLUMES),
    unknown=_not_placed,
    expectation="no-stuck-volume",
)
EVICTION_LOOP = Rule("eviction-loop", Severity.BREAKS, _eviction_loops, unknown=_not_placed)
PREEMPTION = Rule("preemption", Severity.BREAKS, _preempted)
QUOTA = Rule("quota", Severity.HURTS, _quota_delays, needs=(Subject.QUOTAS,))
