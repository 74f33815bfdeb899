"""Services that lose all ready endpoints; budgets that are violated, or that hold a drain up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.impact.impact import Impact, Leaving
from harness.model.finding import Finding, Rule, Severity, counted
from harness.model.state import PodDisruptionBudget, Service, Subject
from harness.semantics.drain import DrainRule
from harness.semantics.scheduling import PlacementOutcome

AT_ONCE_S = 1.0
"""Departures whose earliest instants lie no further apart count as one."""
_DRAIN_RULES = frozenset(DrainRule)


def _outages(impact: Impact) -> Iterator[Finding]:
    """Services that lose every ready endpoint."""
    by_key = {leaving.pod.key: leaving for leaving in impact.leaving}
    for service in impact.inventory.services:
        if service.selector is None:
            ready = len(service.endpoints)
            gone = [by_key[key] for key in service.endpoints if key in by_key]
        else:
            groups = impact.population.selected(service.namespace, service.selector)
            unready = service.tolerates_unready
            ready = sum(group.alive if unready else group.ready for group in groups)
            gone = [leaving for group in groups for leaving in group.leaving if unready or leaving.pod.ready]
        if ready and len(gone) == ready:
            yield _outage(service, gone, impact)


def _outage(service: Service, gone: Sequence[Leaving], impact: Impact) -> Finding:
    starts = [leaving.prediction.earliest_s or 0.0 for leaving in gone]
    at_once = max(starts) - min(starts) <= AT_ONCE_S or bool(impact.lost)
    endpoints = "its only endpoint" if len(gone) == 1 else f"all {len(gone)} endpoints"
    pods = tuple(leaving.pod.key for leaving in gone)
    stranded = all(leaving.placement is None or leaving.placement.fate is PlacementOutcome.PENDING for leaving in gone)
    until = "and no replacement finds a node" if stranded else "until the first replacement is Ready"
    if impact.lost:
        when = f"loses {endpoints} the instant the power goes (and is told so only when the node counts as lost)"
    elif at_once:
        when = f"loses {endpoints} in one instant, {_at(min(starts))}"
    else:
        when = f"loses {endpoints} between {min(starts):g} and {max(starts):g} s"
    grace_s = min(leaving.pod.template.grace_s for leaving in gone)
    detail = {
        "endpoints": len(gone),
        "at_once": at_once,
        "starts_s": [min(starts), max(starts)],
        "replacements_pending": stranded,
        "terminating_endpoints_serve_s": 0 if impact.lost else grace_s,
    }
    severity = Severity.BREAKS if at_once or stranded else Severity.HURTS
    return Finding("outage", severity, f"Service {service.key}", f"{when}, {until}", pods, detail)


def _at(seconds: float) -> str:
    return "at once" if seconds <= 0 else f"{seconds:g} s after the change"


def _breached(impact: Impact) -> Iterator[Finding]:
    """Budgets that a taint or a lost node violates."""
    for budget, gone, alive in _losing(impact):
        if not _is_drained(impact, gone) and _most_at_once(gone) > budget.allowed:
            yield _violated(budget, gone, alive, lost=bool(impact.lost))


def _drain_problems(impact: Impact) -> Iterator[Finding]:
    """Budgets that hold a drain up, and what kubectl drain wants to be told before it evicts anybody."""
    if not impact.drains:
        return
    for budget, gone, alive in _losing(impact):
        if _is_drained(impact, gone) and len(gone) > budget.allowed:
            yield _held_up(budget, gone, alive)
    failing = [each.pod for each in impact.staying if each.prediction.rule == DrainRule.TWO_BUDGETS]
    if failing:
        message = f"fails at {counted(len(failing), 'pod')} that several budgets select, which the Eviction API refuses"
        yield Finding("drain", Severity.BREAKS, "kubectl drain", message, tuple(pod.key for pod in failing))
    yield from _drain_flags(impact)


def _losing(impact: Impact) -> Iterator[tuple[PodDisruptionBudget, list[Leaving], int]]:
    """Each budget whose pods leave: the budget, those that leave, and how many are alive before."""
    for budget in impact.inventory.budgets:
        groups = impact.population.selected(budget.namespace, budget.selector)
        gone = [leaving for group in groups for leaving in group.leaving]
        if gone:
            yield budget, gone, sum(group.alive for group in groups)


def _is_drained(impact: Impact, gone: Iterable[Leaving]) -> bool:
    """Whether any of them leaves by the Eviction API, which asks the budget."""
    return impact.drains and any(leaving.prediction.rule in _DRAIN_RULES for leaving in gone)


def _most_at_once(gone: Iterable[Leaving]) -> int:
    """The largest number of departures within `AT_ONCE_S`."""
    starts = sorted(leaving.prediction.earliest_s or 0.0 for leaving in gone)
    most, first = 0, 0
    for last, start in enumerate(starts):
        while start - starts[first] > AT_ONCE_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def _violated(budget: PodDisruptionBudget, gone: Sequence[Leaving], alive: int, *, lost: bool) -> Finding:
    left = alive - len(gone)
    by = "the lost node" if lost else "the taint"
    message = (
        f"{by} takes {len(gone)} of {alive} pods and does not ask: the budget ({budget.spec}) allows {budget.allowed} "
        f"at a time; a drain would"
        + (" never get past it" if budget.allowed == 0 else f" need {_rounds(len(gone), budget.allowed)} rounds")
    )
    severity = Severity.BREAKS if left < budget.desired else Severity.HURTS
    return Finding("budget", severity, _subject(budget), message, _keys(gone), _figures(budget, gone, alive))


def _held_up(budget: PodDisruptionBudget, gone: Sequence[Leaving], alive: int) -> Finding:
    subject, keys, figures = _subject(budget), _keys(gone), _figures(budget, gone, alive)
    pending = sum(1 for each in gone if each.placement is not None and each.placement.fate is PlacementOutcome.PENDING)
    if budget.allowed == 0:
        held = counted(len(gone), "pod")
        message = f"allows no disruption ({budget.spec}): the drain asks every 5 s and never gets {held} off"
        return Finding("drain", Severity.BREAKS, subject, message, keys, {**figures, "rounds": None})
    rounds = _rounds(len(gone), budget.allowed)
    message = (
        f"lets {budget.allowed} of {len(gone)} pods go at a time ({budget.spec}): {rounds} rounds, each after "
        f"the first at least 5 s and until replacements are Ready"
    )
    if pending > budget.allowed:
        message += f"; {pending} replacements stay Pending, so it never ends"
    severity = Severity.BREAKS if pending > budget.allowed else Severity.HURTS
    return Finding("drain", severity, subject, message, keys, {**figures, "rounds": rounds})


def _subject(budget: PodDisruptionBudget) -> str:
    return f"PodDisruptionBudget {budget.key}"


def _keys(gone: Iterable[Leaving]) -> tuple[str, ...]:
    return tuple(leaving.pod.key for leaving in gone)


def _figures(budget: PodDisruptionBudget, gone: Sequence[Leaving], alive: int) -> dict[str, object]:
    return {"leaving": len(gone), "alive": alive, "allowed": budget.allowed, "desired_healthy": budget.desired}


def _rounds(pods: int, allowed: int) -> int:
    return -(-pods // max(1, allowed))


def _drain_flags(impact: Impact) -> Iterator[Finding]:
    """Flags without which kubectl drain evicts nobody at all."""
    staying = [each.pod for each in impact.staying if each.prediction.rule == DrainRule.SKIPS_DAEMON_SET]
    living = [each.pod for each in impact.leaving if each.pod.alive]
    for flag, pods, what in (
        ("--ignore-daemonsets", staying, "of a DaemonSet, left where they are"),
        (
            "--delete-emptydir-data",
            [p for p in living if p.template.has_local_data],
            "with an emptyDir, whose data is lost",
        ),
        ("--force", [p for p in living if p.template.owner is None], "without a controller, lost for good"),
    ):
        if pods:
            message = f"needed for {counted(len(pods), 'pod')} {what}: without it nobody is evicted at all"
            yield Finding("drain", Severity.NOTE, f"kubectl drain {flag}", message, tuple(p.key for p in pods))


OUTAGE = Rule("outage", Severity.BREAKS, _outages, needs=(Subject.SERVICES, Subject.ENDPOINT_SLICES))
BUDGET = Rule("budget", Severity.BREAKS, _breached, needs=(Subject.BUDGETS,), expectation="no-budget-breach")
DRAIN = Rule("drain", Severity.BREAKS, _drain_problems, needs=(Subject.BUDGETS,), expectation="no-budget-breach")
