"""Services that go dark, and budgets that are run over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.impact.finding import Finding, Kind, Severity, counted
from harness.impact.impact import Impact, Leaving
from harness.model.state import LabelSelector, PodDisruptionBudget, PodTemplate, Service, TemplateIndex
from harness.semantics.scheduling import PlacementOutcome

AT_ONCE_S = 1.0
"""Departures whose earliest instants lie no further apart count as one."""


@dataclass(slots=True)
class Group:
    """The pods of one template: how many are alive, how many of them ready, and those that leave."""

    alive: int = 0
    ready: int = 0
    leaving: list[Leaving] = field(default_factory=list)


class Population:
    """Live pods by template. Counts once, for everybody who asks."""

    def __init__(self, impact: Impact) -> None:
        """Of the whole inventory, before anything is done."""
        self.groups: dict[PodTemplate, Group] = {}
        for pod in impact.inventory.pods:
            group = self.groups.get(pod.template)
            if group is None:
                group = self.groups[pod.template] = Group()
            if pod.alive:
                group.alive += 1
                group.ready += pod.ready
        for leaving in impact.leaving:
            if leaving.pod.alive:
                self.groups[leaving.pod.template].leaving.append(leaving)
        self._index = TemplateIndex(self.groups)

    def selected(self, namespace: str, selector: LabelSelector) -> list[Group]:
        """Those that a selector selects."""
        return [self.groups[template] for template in self._index.selected(namespace, selector)]


def outages(impact: Impact, population: Population) -> Iterator[Finding]:
    """Services that lose every ready endpoint."""
    by_key = {leaving.pod.key: leaving for leaving in impact.leaving}
    for service in impact.inventory.services:
        if service.selector is None:
            ready = len(service.endpoints)
            gone = [by_key[key] for key in service.endpoints if key in by_key]
        else:
            groups = population.selected(service.namespace, service.selector)
            unready = service.tolerates_unready
            ready = sum(group.alive if unready else group.ready for group in groups)
            gone = [leaving for group in groups for leaving in group.leaving if unready or leaving.pod.ready]
        if ready and len(gone) == ready:
            yield _outage(service, gone, impact)


def _outage(service: Service, gone: Sequence[Leaving], impact: Impact) -> Finding:
    starts = [leaving.prediction.earliest_s or 0.0 for leaving in gone]
    at_once = max(starts) - min(starts) <= AT_ONCE_S or impact.change.lose
    endpoints = "its only endpoint" if len(gone) == 1 else f"all {len(gone)} endpoints"
    pods = tuple(leaving.pod.key for leaving in gone)
    stranded = all(leaving.placement is None or leaving.placement.fate is PlacementOutcome.PENDING for leaving in gone)
    until = "and no replacement finds a node" if stranded else "until the first replacement is Ready"
    if impact.change.lose:
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
        "terminating_endpoints_serve_s": 0 if impact.change.lose else grace_s,
    }
    severity = Severity.BREAKS if at_once or stranded else Severity.HURTS
    return Finding(Kind.OUTAGE, severity, f"Service {service.key}", f"{when}, {until}", pods, detail)


def _at(seconds: float) -> str:
    return "at once" if seconds <= 0 else f"{seconds:g} s after the change"


def breached_budgets(impact: Impact, population: Population) -> Iterator[Finding]:
    """Budgets that a taint or a lost node runs over, and those that hold a drain up."""
    drains = impact.change.drain
    for budget in impact.inventory.budgets:
        groups = population.selected(budget.namespace, budget.selector)
        gone = [leaving for group in groups for leaving in group.leaving]
        if not gone:
            continue
        alive = sum(group.alive for group in groups)
        pods = tuple(leaving.pod.key for leaving in gone)
        detail = {"leaving": len(gone), "alive": alive, "allowed": budget.allowed, "desired_healthy": budget.desired}
        ignoring = [leaving for leaving in gone if not leaving.prediction.rule.startswith("drain-")]
        if drains and len(ignoring) < len(gone):
            if len(gone) > budget.allowed:
                yield _held_up(budget, gone, pods, detail)
        elif _most_at_once(gone) > budget.allowed:
            yield _run_over(budget, gone, pods, alive, detail, lost=impact.change.lose)


def _most_at_once(gone: Iterable[Leaving]) -> int:
    """The largest number of departures within `AT_ONCE_S`."""
    starts = sorted(leaving.prediction.earliest_s or 0.0 for leaving in gone)
    most, first = 0, 0
    for last, start in enumerate(starts):
        while start - starts[first] > AT_ONCE_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def _run_over(
    budget: PodDisruptionBudget,
    gone: Sequence[Leaving],
    pods: tuple[str, ...],
    alive: int,
    detail: Mapping[str, object],
    *,
    lost: bool,
) -> Finding:
    left = alive - len(gone)
    by = "the lost node" if lost else "the taint"
    message = (
        f"{by} takes {len(gone)} of {alive} pods and does not ask: the budget ({budget.spec}) allows {budget.allowed} "
        f"at a time; a drain would"
        + (" never get past it" if budget.allowed == 0 else f" need {_rounds(len(gone), budget.allowed)} rounds")
    )
    severity = Severity.BREAKS if left < budget.desired else Severity.HURTS
    return Finding(Kind.BUDGET, severity, f"PodDisruptionBudget {budget.key}", message, pods, detail)


def _rounds(pods: int, allowed: int) -> int:
    return -(-pods // max(1, allowed))


def _held_up(
    budget: PodDisruptionBudget, gone: Sequence[Leaving], pods: tuple[str, ...], detail: Mapping[str, object]
) -> Finding:
    subject = f"PodDisruptionBudget {budget.key}"
    pending = sum(1 for each in gone if each.placement is not None and each.placement.fate is PlacementOutcome.PENDING)
    if budget.allowed == 0:
        held = counted(len(gone), "pod")
        message = f"allows no disruption ({budget.spec}): the drain asks every 5 s and never gets {held} off"
        return Finding(Kind.DRAIN, Severity.BREAKS, subject, message, pods, {**detail, "rounds": None})
    rounds = _rounds(len(gone), budget.allowed)
    message = (
        f"lets {budget.allowed} of {len(gone)} pods go at a time ({budget.spec}): {rounds} rounds, each after "
        f"the first at least 5 s and until replacements are Ready"
    )
    if pending > budget.allowed:
        message += f"; {pending} replacements stay Pending, so it never ends"
    severity = Severity.BREAKS if pending > budget.allowed else Severity.HURTS
    return Finding(Kind.DRAIN, severity, subject, message, pods, {**detail, "rounds": rounds})
