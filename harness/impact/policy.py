"""A plan: the picture of a change, what it warns of, and whether what is demanded of it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import ExitCode
from harness.impact import losses, placements, services, timing
from harness.impact.finding import KINDS_AGAINST, NEEDS, Demand, Finding, Kind, Severity, counted
from harness.impact.impact import Picture
from harness.impact.services import Population
from harness.model.state import Subject
from harness.semantics.scheduling import Fate

_ORDER = {kind: number for number, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Held:
    """A demand and what came of it. `holds` None: it cannot be told, for the reason in `because`."""

    demand: Demand
    holds: bool | None
    because: str


@dataclass(frozen=True, slots=True, repr=False)
class PolicyPlan:
    """`findings`: the gravest first. `unknown`: what could not be answered, and why. `source`: where the world is from.
    `title`: what was asked.
    """

    picture: Picture
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    held: tuple[Held, ...]
    source: str
    title: str

    def __repr__(self) -> str:
        """In short, see `Inventory`."""
        return f"<PolicyPlan {self.title!r}: {len(self.findings)} findings>"

    @property
    def exit_code(self) -> ExitCode:
        """FAIL when a demand is broken, INCONCLUSIVE when none is but one cannot be told, PASS otherwise."""
        if any(held.holds is False for held in self.held):
            return ExitCode.FAIL
        return ExitCode.INCONCLUSIVE if any(held.holds is None for held in self.held) else ExitCode.PASS


def judge(
    picture: Picture, demands: Sequence[Demand], *, source: str, title: str, served: str | None = None
) -> PolicyPlan:
    """The plan of a picture. `served`: the Service (``namespace/name``) that NO_OUTAGE is about; None: all of them."""
    findings = tuple(sorted(_findings(picture), key=_gravity))
    unknown = tuple(_unknown(picture))
    held = tuple(_held(demand, picture, findings, served) for demand in demands)
    return PolicyPlan(picture, findings, unknown, held, source, title)


def _gravity(finding: Finding) -> tuple[int, int, int, str]:
    return finding.severity, _ORDER[finding.kind], -len(finding.pods), finding.subject


def _findings(picture: Picture) -> Iterable[Finding]:
    population = Population(picture)
    yield from services.outages(picture, population)
    yield from services.breached_budgets(picture, population)
    yield from placements.misplaced(picture)
    yield from placements.preempted(picture)
    yield from placements.quota_delays(picture)
    yield from losses.unmanaged(picture)
    yield from losses.single_replicas(picture, population)
    yield from losses.jobs(picture)
    yield from losses.daemon_sets(picture)
    yield from losses.accelerators(picture)
    yield from losses.drain_refusals(picture)
    yield from timing.exits(picture)
    yield from timing.throttled(picture)
    yield from timing.admission(picture)
    yield from timing.pressure(picture)
    yield from timing.unsure(picture)
    yield from timing.blankets(picture)


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


def _unknown(picture: Picture) -> Iterable[str]:
    """Every answer that is missing, and why."""
    missing = picture.inventory.missing
    for subject, question in _QUESTIONS.items():
        if subject in missing and _matters(subject, picture):
            yield f"{question}: {missing[subject]}"
    reasons = Counter(
        each.placement.reason
        for each in picture.leaving
        if each.placement is not None and each.placement.fate is Fate.UNKNOWN
    )
    for reason, count in reasons.items():
        yield f"where {counted(count, 'replacement')} can go: {reason}"
    yield from picture.notes
    yield from picture.unplanned


def _matters(subject: Subject, picture: Picture) -> bool:
    """Whether the answer is about anybody who leaves."""
    if subject is Subject.PODS:
        return True
    if subject in (Subject.CLAIMS, Subject.VOLUMES, Subject.STORAGE_CLASSES):
        return any(each.pod.template.claims or each.pod.template.ephemeral_classes for each in picture.leaving)
    if subject is Subject.JOBS:
        return any(e.pod.template.owner is not None and e.pod.template.owner.kind == "Job" for e in picture.leaving)
    if subject is Subject.ENDPOINT_SLICES:
        return any(service.selector is None for service in picture.inventory.services)
    return bool(picture.leaving)


def _held(demand: Demand, picture: Picture, findings: Sequence[Finding], served: str | None) -> Held:
    if demand is Demand.NO_EVICTION:
        return _no_eviction(picture)
    kinds = KINDS_AGAINST[demand]
    against = [f for f in findings if f.kind in kinds and f.severity is not Severity.NOTE]
    if demand is Demand.NO_OUTAGE and served is not None:
        against = [finding for finding in against if finding.subject == f"Service {served}"]
    if against:
        more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
        return Held(demand, False, f"{against[0].subject} {against[0].message}{more}")
    missing = picture.inventory.missing
    needed = {Subject.PODS, *(subject for kind in kinds for subject in NEEDS.get(kind, ()))}
    blind = list(picture.unplanned)
    blind += [
        missing[subject] for subject in Subject if subject in needed & set(missing) and _matters(subject, picture)
    ]
    if demand in (Demand.NO_PENDING, Demand.NO_PING_PONG, Demand.NO_STUCK_VOLUME):
        unknown = [e for e in picture.leaving if e.placement is not None and e.placement.fate is Fate.UNKNOWN]
        blind += (
            [f"{counted(len(unknown), 'replacement')}: {unknown[0].placement.reason}"]
            if unknown and unknown[0].placement
            else []
        )
    if picture.unsure:
        blind.append(f"{counted(len(picture.unsure), 'pod')} may leave or stay")
    return Held(demand, None, "; ".join(blind)) if blind else Held(demand, True, "nothing found against it")


def _no_eviction(picture: Picture) -> Held:
    if picture.leaving:
        return Held(Demand.NO_EVICTION, False, f"{counted(len(picture.leaving), 'pod')} would leave")
    if Subject.PODS in picture.inventory.missing:
        return Held(Demand.NO_EVICTION, None, picture.inventory.missing[Subject.PODS])
    if picture.unplanned:
        return Held(Demand.NO_EVICTION, None, "; ".join(picture.unplanned))
    if picture.unsure:
        return Held(Demand.NO_EVICTION, None, f"{counted(len(picture.unsure), 'pod')} may leave or stay")
    return Held(Demand.NO_EVICTION, True, "nobody leaves")
