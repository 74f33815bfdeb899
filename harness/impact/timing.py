"""How long it takes: grace periods, interruption windows, the client throttle; what webhooks, pressure and races do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from harness.impact.evictions import EVICTED
from harness.impact.finding import Finding, Kind, Severity, counted
from harness.impact.impact import Impact, Leaving, Replacement, Staying, workload_of
from harness.impact.placements import by_workload
from harness.model.scenario import ConditionStatus, ConditionType
from harness.model.state import PodTemplate, Webhook

_NOTEWORTHY_S = 5.0
_NAME_LABEL = "kubernetes.io/metadata.name"


def exits(impact: Impact) -> Iterator[Finding]:
    """The longest grace period, and pods that are cut off when the node ends."""
    living = [each for each in impact.leaving if each.pod.alive]
    if not living:
        return
    longest = max(living, key=lambda each: each.pod.template.grace_s)
    grace_s, window_s = longest.pod.template.grace_s, impact.change.window_s
    message = f"the longest grace period is {grace_s} s ({longest.pod.key})"
    detail = {"longest_s": grace_s, "window_s": window_s}
    yield Finding(Kind.GRACE, Severity.NOTE, "grace periods", message, (longest.pod.key,), detail)
    if window_s is None:
        return
    late = [each for each in living if _gone_s(each) > window_s]
    for workload, group in by_workload(late).items():
        worst_s = max(map(_gone_s, group))
        when = "at an unknown time" if worst_s == float("inf") else f"after up to {worst_s:g} s"
        message = f"cut off when the node ends after {window_s:g} s: {counted(len(group), 'pod')}, gone only {when}"
        keys = tuple(each.pod.key for each in group)
        yield Finding(Kind.WINDOW, Severity.BREAKS, workload, message, keys, {"window_s": window_s})


def _gone_s(leaving: Leaving) -> float:
    latest_s = leaving.prediction.latest_s
    if latest_s is None and leaving.prediction.outcome != EVICTED:
        return 0.0  # somebody else has deleted it already
    return float("inf") if latest_s is None else latest_s + leaving.pod.template.grace_s


def throttled(impact: Impact) -> Iterator[Finding]:
    """How long the last of many deletions waits for the client of the controller."""
    spans = [
        (e.prediction.latest_s - e.prediction.earliest_s, e)
        for e in impact.leaving
        if e.prediction.latest_s is not None and e.prediction.earliest_s is not None
    ]
    if not spans or impact.change.drain or impact.change.lose:
        return
    span_s, widest = max(spans, key=lambda pair: pair[0])
    if span_s > _NOTEWORTHY_S:
        message = (
            f"{len(spans)} deletions go through one throttled client: the last may wait {span_s:.0f} s, in no order"
        )
        detail = {"deletions": len(spans), "last_s": widest.prediction.latest_s}
        yield Finding(Kind.THROTTLE, Severity.NOTE, "client throttle", message, (), detail)


def admission(impact: Impact) -> Iterator[Finding]:
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
        yield Finding(Kind.ADMISSION, Severity.HURTS, f"{what} {hook.name}", message, keys, detail)


def _is_asked(hook: Webhook, template: PodTemplate, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    labels = {_NAME_LABEL: template.namespace, **namespaces.get(template.namespace, {})}
    return hook.namespaces.matches(labels) and hook.objects.matches(template.labels)


def pressure(impact: Impact) -> Iterator[Finding]:
    """What a pressure condition does and does not do."""
    kinds = (ConditionType.MEMORY_PRESSURE, ConditionType.DISK_PRESSURE, ConditionType.PID_PRESSURE)
    for condition in impact.change.conditions:
        if condition.type in kinds and condition.status is ConditionStatus.TRUE:
            message = (
                "its taint is NoSchedule and evicts nobody; the kubelet itself evicts pods, by usage over request and "
                "then priority, whatever they tolerate: whom, a snapshot without usage cannot say"
            )
            yield Finding(Kind.PRESSURE, Severity.NOTE, str(condition), message)


def unsure(impact: Impact) -> Iterator[Finding]:
    """Pods whose fate is a race."""
    groups: dict[tuple[str, str], list[Staying]] = defaultdict(list)
    for each in impact.unsure:
        groups[workload_of(each.pod.template), each.prediction.rule].append(each)
    for (workload, rule), group in groups.items():
        message = f"may leave or stay, {counted(len(group), 'pod')} ({rule}): {group[0].prediction.because}"
        keys = tuple(each.pod.key for each in group)
        yield Finding(Kind.UNSURE, Severity.HURTS, workload, message, keys, {"rule": rule})


def blankets(impact: Impact) -> Iterator[Finding]:
    """Workloads that stay because they tolerate everything."""
    groups: dict[str, list[str]] = defaultdict(list)
    for each in impact.staying:
        if each.blanket:
            groups[workload_of(each.pod.template)].append(each.pod.key)
    for workload, keys in groups.items():
        message = f"kept by a blanket toleration (operator Exists without a key): {counted(len(keys), 'pod')}"
        yield Finding(Kind.BLANKET, Severity.NOTE, workload, message, tuple(keys))
