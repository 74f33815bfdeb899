"""Work and pods that are lost: bare pods, Jobs, single replicas, DaemonSets, accelerators."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime

from harness.impact.impact import Impact, Leaving, Replacement, by_workload, workload_of
from harness.model.finding import Finding, Rule, Severity, counted
from harness.model.state import Job, Subject
from harness.semantics.scheduling import PlacementOutcome

_ACCELERATORS = ("gpu", "tpu", "neuron", "gaudi", "npu")
_PLAIN = ("cpu", "memory", "ephemeral-storage", "pods")


def _unmanaged(impact: Impact) -> Iterator[Finding]:
    """Pods that nothing brings back."""
    bare = [each for each in impact.leaving if each.comes_back is Replacement.NONE]
    for workload, group in by_workload(bare).items():
        message = f"lost for good, without a controller: {counted(len(group), 'pod')}"
        yield Finding("unmanaged", Severity.BREAKS, workload, message, tuple(each.pod.key for each in group))


def _single_replicas(impact: Impact) -> Iterator[Finding]:
    """Workloads whose only live pod leaves."""
    back = Replacement.NEW, Replacement.SAME_NAME, Replacement.STUCK_TERMINATING
    leaving = [each for each in impact.leaving if each.pod.alive and each.comes_back in back]
    alive: Counter[str] = Counter()
    for template, pods in impact.population.groups.items():
        alive[workload_of(template)] += pods.alive
    for workload, group in by_workload(each for each in leaving if not _is_job(each)).items():
        if len(group) == 1 == alive[workload]:
            pending = group[0].placement is not None and group[0].placement.fate is PlacementOutcome.PENDING
            message = "its only pod leaves" + (" and finds no node" if pending else " before its replacement starts")
            severity = Severity.BREAKS if pending else Severity.HURTS
            yield Finding("single-replica", severity, workload, message, (group[0].pod.key,))


def _is_job(leaving: Leaving) -> bool:
    owner = leaving.pod.template.owner
    return owner is not None and owner.kind == "Job"


def _jobs(impact: Impact) -> Iterator[Finding]:
    """Jobs that lose running pods."""
    known = {(job.namespace, job.name): job for job in impact.state.jobs}
    readable = impact.state.knows(Subject.JOBS)
    groups: dict[tuple[str, str], list[Leaving]] = defaultdict(list)
    for each in impact.leaving:
        owner = each.pod.template.owner
        if owner is not None and owner.kind == "Job" and each.pod.alive:
            groups[each.pod.template.namespace, owner.name].append(each)
    for (namespace, name), group in groups.items():
        severity, message = _job(known.get((namespace, name)), len(group), readable=readable)
        keys = tuple(each.pod.key for each in group)
        yield Finding("job", severity, f"Job {namespace}/{name}", message, keys, {"lost": len(group)})


def _job(job: Job | None, lost: int, *, readable: bool) -> tuple[Severity, str]:
    loses = f"loses the work of {counted(lost, 'running pod')}"
    if job is None:
        why = "it was not found" if readable else "Jobs could not be read"
        return Severity.HURTS, f"{loses}; whether it hits its backoffLimit is unknown ({why})"
    if job.ignores_disruption:
        return Severity.HURTS, f"{loses}, which its podFailurePolicy keeps out of the count"
    limit = job.max_failures
    if job.per_index:
        if limit == 0:
            return Severity.BREAKS, f"{loses}, and with backoffLimitPerIndex 0 their indexes fail"
        return Severity.HURTS, f"{loses}, one failure for each index (backoffLimitPerIndex {limit})"
    failed = job.failed + lost
    if failed > limit:
        return Severity.BREAKS, f"{loses}: with {counted(failed, 'failure')} and backoffLimit {limit} the Job fails"
    return Severity.HURTS, f"{loses}: {counted(failed, 'failure')} of the {limit} that backoffLimit allows"


def _daemon_sets(impact: Impact) -> Iterator[Finding]:
    """DaemonSets that are driven off nodes."""
    gone = [each for each in impact.leaving if each.comes_back is Replacement.NOT_RECREATED]
    for workload, group in by_workload(gone).items():
        nodes = len({each.pod.node for each in group})
        message = f"driven off {counted(nodes, 'node')}, and not back before the taint is gone"
        yield Finding("daemonset", Severity.HURTS, workload, message, tuple(each.pod.key for each in group))


def _accelerators(impact: Impact) -> Iterator[Finding]:
    """Accelerators whose pods leave: the minutes that they have worked are given up, unless saved elsewhere."""
    groups: dict[str, list[Leaving]] = defaultdict(list)
    for each in impact.leaving:
        if each.pod.alive:
            for resource in each.pod.template.requests:
                if is_accelerator(resource):
                    groups[resource].append(each)
    for resource, group in groups.items():
        count = sum(each.pod.template.requests[resource] for each in group)
        minutes = _minutes(group, resource, impact.state.taken)
        worked = "an unknown time" if minutes is None else f"{minutes:,.0f} device minutes"
        message = f"given up after {worked} of work: {counted(count, 'device')} of {counted(len(group), 'pod')}"
        detail = {"devices": count, "minutes": minutes}
        keys = tuple(each.pod.key for each in group)
        yield Finding("accelerator", Severity.HURTS, resource, message, keys, detail)


def is_accelerator(resource: str) -> bool:
    """An extended resource that is named like an accelerator."""
    return resource not in _PLAIN and "/" in resource and any(word in resource.lower() for word in _ACCELERATORS)


def _minutes(group: list[Leaving], resource: str, taken: str | None) -> float | None:
    """Device minutes since the pods' start; None when the snapshot does not say when it was taken."""
    if taken is None:
        return None
    now = datetime.fromisoformat(taken)
    total = 0.0
    for each in group:
        if each.pod.started is not None:
            seconds = (now - datetime.fromisoformat(each.pod.started)).total_seconds()
            total += max(0.0, seconds) / 60 * each.pod.template.requests[resource]
    return round(total, 1)


UNMANAGED = Rule("unmanaged", Severity.BREAKS, _unmanaged, expectation="no-unmanaged-loss")
JOB = Rule("job", Severity.BREAKS, _jobs, needs=(Subject.JOBS,), expectation="no-job-loss")
SINGLE_REPLICA = Rule("single-replica", Severity.BREAKS, _single_replicas)
DAEMON_SET = Rule("daemonset", Severity.HURTS, _daemon_sets, expectation="no-daemonset-loss")
ACCELERATOR = Rule("accelerator", Severity.HURTS, _accelerators, expectation="no-accelerator-loss")
