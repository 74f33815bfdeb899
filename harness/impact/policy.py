"""A plan: the impact of a change, what it warns of, and whether what is demanded of it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import ExitCode
from harness.impact import losses, placements, services, timing
from harness.impact.finding import BROKEN_BY, NEEDS, Expectation, Finding, Kind, Severity, counted
from harness.impact.impact import Impact
from harness.impact.services import Population
from harness.model.state import Subject
from harness.semantics.scheduling import PlacementOutcome

_ORDER = {kind: number for number, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """A expectation and what came of it. `holds` None: it cannot be told, for the reason in `because`."""

    expectation: Expectation
    holds: bool | None
    because: str


@dataclass(frozen=True, slots=True, repr=False)
class PolicyPlan:
    """`findings`: the gravest first. `unknown`: what could not be answered, and why. `source`: where the world is from.
    `title`: what was asked.
    """

    impact: Impact
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    held: tuple[ExpectationResult, ...]
    source: str
    title: str

    def __repr__(self) -> str:
        """In short, see `Inventory`."""
        return f"<PolicyPlan {self.title!r}: {len(self.findings)} findings>"

    @property
    def exit_code(self) -> ExitCode:
        """FAIL when a expectation is broken, INCONCLUSIVE when none is but one cannot be told, PASS otherwise."""
        if any(held.holds is False for held in self.held):
            return ExitCode.FAIL
        return ExitCode.INCONCLUSIVE if any(held.holds is None for held in self.held) else ExitCode.PASS


def judge(
    impact: Impact, expectations: Sequence[Expectation], *, source: str, title: str, served: str | None = None
) -> PolicyPlan:
    """The plan of a impact. `served`: the Service (``namespace/name``) that NO_OUTAGE is about; None: all of them."""
    findings = tuple(sorted(_findings(impact), key=_gravity))
    unknown = tuple(_unknown(impact))
    held = tuple(_held(expectation, impact, findings, served) for expectation in expectations)
    return PolicyPlan(impact, findings, unknown, held, source, title)


def _gravity(finding: Finding) -> tuple[int, int, int, str]:
    return finding.severity, _ORDER[finding.kind], -len(finding.pods), finding.subject


def _findings(impact: Impact) -> Iterable[Finding]:
    population = Population(impact)
    yield from services.outages(impact, population)
    yield from services.breached_budgets(impact, population)
    yield from placements.misplaced(impact)
    yield from placements.preempted(impact)
    yield from placements.quota_delays(impact)
    yield from losses.unmanaged(impact)
    yield from losses.single_replicas(impact, population)
    yield from losses.jobs(impact)
    yield from losses.daemon_sets(impact)
    yield from losses.accelerators(impact)
    yield from losses.drain_refusals(impact)
    yield from timing.exits(impact)
    yield from timing.throttled(impact)
    yield from timing.admission(impact)
    yield from timing.pressure(impact)
    yield from timing.unsure(impact)
    yield from timing.blankets(impact)


_QUESTIONS = {
    Subject.PODS: "who leaves",
    Subject.SERVICES: "which Services go dark",
    Subject.ENDPOINT_SLICES: "whether Services without a selector go dark",
    Subject.BUDGETS: "which PodDisruptionBudgets are run over",
    Subject.JOBS: "whether Jobs hit their backoffLimit",
    Subject.QUOTAS: "whether quotas hold replacements up",
    Subject.CLAIMS: "whether volumes can follow",
    Subject.VOLUMES: "whether volumes can follow",
    Subject.STORAGE_CLASSES: "whether unbound claims can be met",
    Subject.WEBHOOKS: "whether webhooks refuse deletions",
    Subject.POLICIES: "whether admission policies refuse deletions",
}


def _unknown(impact: Impact) -> Iterable[str]:
    """Every answer that is missing, and why."""
    missing = impact.inventory.missing
    for subject, question in _QUESTIONS.items():
        if subject in missing and _matters(subject, impact):
            yield f"{question}: {missing[subject]}"
    reasons = Counter(
        each.placement.reason
        for each in impact.leaving
        if each.placement is not None and each.placement.fate is PlacementOutcome.UNKNOWN
    )
    for reason, count in reasons.items():
        yield f"where {counted(count, 'replacement')} can go: {reason}"
    yield from impact.notes
    yield from impact.unplanned


def _matters(subject: Subject, impact: Impact) -> bool:
    """Whether the answer is about anybody who leaves."""
    if subject is Subject.PODS:
        return True
    if subject in (Subject.CLAIMS, Subject.VOLUMES, Subject.STORAGE_CLASSES):
        return any(each.pod.template.claims or each.pod.template.ephemeral_classes for each in impact.leaving)
    if subject is Subject.JOBS:
        return any(e.pod.template.owner is not None and e.pod.template.owner.kind == "Job" for e in impact.leaving)
    if subject is Subject.ENDPOINT_SLICES:
        return any(service.selector is None for service in impact.inventory.services)
    return bool(impact.leaving)


def _held(
    expectation: Expectation, impact: Impact, findings: Sequence[Finding], served: str | None
) -> ExpectationResult:
    if expectation is Expectation.NO_EVICTION:
        return _no_eviction(impact)
    kinds = BROKEN_BY[expectation]
    against = [f for f in findings if f.kind in kinds and f.severity is not Severity.NOTE]
    if expectation is Expectation.NO_OUTAGE and served is not None:
        against = [finding for finding in against if finding.subject == f"Service {served}"]
    if against:
        more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
        return ExpectationResult(expectation, False, f"{against[0].subject} {against[0].message}{more}")
    missing = impact.inventory.missing
    needed = {Subject.PODS, *(subject for kind in kinds for subject in NEEDS.get(kind, ()))}
    blind = list(impact.unplanned)
    blind += [missing[subject] for subject in Subject if subject in needed & set(missing) and _matters(subject, impact)]
    if expectation in (Expectation.NO_PENDING, Expectation.NO_EVICTION_LOOP, Expectation.NO_STUCK_VOLUME):
        unknown = [
            e for e in impact.leaving if e.placement is not None and e.placement.fate is PlacementOutcome.UNKNOWN
        ]
        blind += (
            [f"{counted(len(unknown), 'replacement')}: {unknown[0].placement.reason}"]
            if unknown and unknown[0].placement
            else []
        )
    if impact.unsure:
        blind.append(f"{counted(len(impact.unsure), 'pod')} may leave or stay")
    return (
        ExpectationResult(expectation, None, "; ".join(blind))
        if blind
        else ExpectationResult(expectation, True, "nothing found against it")
    )


def _no_eviction(impact: Impact) -> ExpectationResult:
    if impact.leaving:
        return ExpectationResult(Expectation.NO_EVICTION, False, f"{counted(len(impact.leaving), 'pod')} would leave")
    if Subject.PODS in impact.inventory.missing:
        return ExpectationResult(Expectation.NO_EVICTION, None, impact.inventory.missing[Subject.PODS])
    if impact.unplanned:
        return ExpectationResult(Expectation.NO_EVICTION, None, "; ".join(impact.unplanned))
    if impact.unsure:
        return ExpectationResult(
            Expectation.NO_EVICTION, None, f"{counted(len(impact.unsure), 'pod')} may leave or stay"
        )
    return ExpectationResult(Expectation.NO_EVICTION, True, "nobody leaves")
