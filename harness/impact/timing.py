"""How long it takes: grace periods, interruption windows, the client throttle; what webhooks, pressure and races do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from harness.impact.impact import Impact, Leaving, Replacement, Staying, by_workload, workload_of
from harness.model import wellknown
from harness.model.finding import Finding, Rule, Severity, counted
from harness.model.scenario import ConditionStatus, ConditionType
from harness.model.state import PodTemplate, Subject, Webhook
from harness.model.words import Outcome

_NOTEWORTHY_S = 5.0


def _longest_grace(impact: Impact) -> Iterator[Finding]:
    """The longest grace period."""
    living = [each for each in impact.leaving if each.pod.alive]
    if living:
        longest = max(living, key=lambda each: each.pod.template.grace_s).pod
        message = f"the longest grace period is {longest.template.grace_s} s ({longest.key})"
        figures = {"longest_s": longest.template.grace_s, "window_s": impact.ends_s}
        yield Finding("grace", Severity.NOTE, "grace periods", message, (longest.key,), figures)


def _late_exits(impact: Impact) -> Iterator[Finding]:
    """Pods that are cut off when the node ends."""
    window_s = impact.ends_s
    if window_s is None:
        return
    late = [each for each in impact.leaving if each.pod.alive and _gone_s(each) > window_s]
    for workload, group in by_workload(late).items():
        worst_s = max(map(_gone_s, group))
        when = "at an unknown time" if worst_s == float("inf") else f"after up to {worst_s:g} s"
        message = f"cut off when the node ends after {window_s:g} s: {counted(len(group), 'pod')}, gone only {when}"
        keys = tuple(each.pod.key for each in group)
        yield Finding("window", Severity.BREAKS, workload, message, keys, {"window_s": window_s})


def _gone_s(leaving: Leaving) -> float:
    latest_s = leaving.prediction.latest_s
    if latest_s is None and leaving.prediction.outcome is not Outcome.EVICTED:
        return 0.0  # somebody else has deleted it already
    return float("inf") if latest_s is None else latest_s + leaving.pod.template.grace_s


def _throttled(impact: Impact) -> Iterator[Finding]:
    """How long the last of many deletions waits for the client of the controller."""
    spans = [
        (e.prediction.latest_s - e.prediction.earliest_s, e)
        for e in impact.leaving
        if e.prediction.latest_s is not None and e.prediction.earliest_s is not None
    ]
    if not spans or impact.drains or impact.lost:
        return
    span_s, widest = max(spans, key=lambda pair: pair[0])
    if span_s > _NOTEWORTHY_S:
        message = (
            f"{len(spans)} deletions go through one throttled client: the last may wait {span_s:.0f} s, in no order"
        )
        detail = {"deletions": len(spans), "last_s": widest.prediction.latest_s}
        yield Finding("throttle", Severity.NOTE, "client throttle", message, (), detail)


def _admission(impact: Impact) -> Iterator[Finding]:
    """Webhooks and policies that may refuse the deletions: five attempts within a second, then the pod stays."""
    evicted = [each for each in impact.leaving if each.comes_back is not Replacement.DONE]
    for hook in impact.inventory.webhooks:
        asked = [each for each in evicted if _is_asked(hook, each.pod.template, impact.inventory.namespaces)]
        if not asked:
            continue
        what = "admission policy" if hook.is_policy else "webhook"
        closed = "; no answer counts as no" if hook.fails_closed else ""
        message = (
            f"is asked about {counted(len(asked), 'deletion')}{closed}: a pod that it will not let go stays, unnoticed"
        )
        keys = tuple(each.pod.key for each in asked)
        detail = {"fails_closed": hook.fails_closed, "asked": len(asked)}
        yield Finding("admission", Severity.HURTS, f"{what} {hook.name}", message, keys, detail)


def _is_asked(hook: Webhook, template: PodTemplate, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    labels = {wellknown.NAMESPACE_NAME: template.namespace, **namespaces.get(template.namespace, {})}
    return hook.namespaces.matches(labels) and hook.objects.matches(template.labels)


def _pressure(impact: Impact) -> Iterator[Finding]:
    """What a pressure condition does and does not do."""
    kinds = (ConditionType.MEMORY_PRESSURE, ConditionType.DISK_PRESSURE, ConditionType.PID_PRESSURE)
    for condition in impact.conditions:
        if condition.type in kinds and condition.status is ConditionStatus.TRUE:
            message = (
                "its taint is NoSchedule and evicts nobody; the kubelet itself evicts pods, by usage over request and "
                "then priority, whatever they tolerate: whom, a snapshot without usage cannot say"
            )
            yield Finding("pressure", Severity.NOTE, f"{condition.type}={condition.status}", message)


def _unsure(impact: Impact) -> Iterator[Finding]:
    """Pods of which it is a race whether they leave."""
    groups: dict[tuple[str, str], list[Staying]] = defaultdict(list)
    for each in impact.unsure:
        groups[workload_of(each.pod.template), each.prediction.rule].append(each)
    for (workload, rule), group in groups.items():
        message = f"may leave or stay, {counted(len(group), 'pod')} ({rule}): {group[0].prediction.because}"
        keys = tuple(each.pod.key for each in group)
        yield Finding("unsure", Severity.HURTS, workload, message, keys, {"rule": rule})


def _blankets(impact: Impact) -> Iterator[Finding]:
    """Workloads that stay because they tolerate everything."""
    groups: dict[str, list[str]] = defaultdict(list)
    for each in impact.staying:
        if each.blanket:
            groups[workload_of(each.pod.template)].append(each.pod.key)
    for workload, keys in groups.items():
        message = f"kept by a blanket toleration (operator Exists without a key): {counted(len(keys), 'pod')}"
        yield Finding("blanket", Severity.NOTE, workload, message, tuple(keys))


def _evictions(impact: Impact) -> Iterator[Finding]:
    """Anybody who leaves."""
    if impact.leaving:
        keys = tuple(each.pod.key for each in impact.leaving)
        yield Finding("eviction", Severity.HURTS, counted(len(keys), "pod"), "would leave", keys)


EVICTION = Rule("eviction", Severity.HURTS, _evictions, listed=False)
WINDOW = Rule("window", Severity.BREAKS, _late_exits, expectation="no-late-exit")
ADMISSION = Rule("admission", Severity.HURTS, _admission, needs=(Subject.WEBHOOKS, Subject.POLICIES))
UNSURE = Rule("unsure", Severity.HURTS, _unsure)
GRACE = Rule("grace", Severity.NOTE, _longest_grace)
THROTTLE = Rule("throttle", Severity.NOTE, _throttled)
PRESSURE = Rule("pressure", Severity.NOTE, _pressure)
BLANKET = Rule("blanket", Severity.NOTE, _blankets)
