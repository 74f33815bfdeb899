"""A plan: the impact of faults, what it warns of, and whether what is expected of it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.errors import ExitCode
from harness.impact.impact import Impact
from harness.impact.rules import RULES
from harness.model.finding import Expectation, ExpectationResult, Finding, Rule, counted, hold
from harness.model.state import Subject
from harness.semantics.scheduling import PlacementOutcome


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
        """In short, see `ClusterState`."""
        return f"<PolicyPlan {self.title!r}: {len(self.findings)} findings>"

    @property
    def exit_code(self) -> ExitCode:
        """FAIL when an expectation is broken, INCONCLUSIVE when none is but one cannot be told, PASS otherwise."""
        if any(held.holds is False for held in self.held):
            return ExitCode.FAIL
        return ExitCode.INCONCLUSIVE if any(held.holds is None for held in self.held) else ExitCode.PASS


def judge(impact: Impact, expectations: Sequence[Expectation], *, source: str, title: str) -> PolicyPlan:
    """The plan of an impact: what each rule finds in it, and what came of each expectation."""
    by_rule = {rule.id: sorted(rule.find(impact), key=_gravity) for rule in RULES}
    listed = [finding for rule in RULES if rule.listed for finding in by_rule[rule.id]]
    findings = tuple(sorted(listed, key=lambda finding: finding.severity))  # stable: by severity, then as in RULES
    held = []
    for expectation in expectations:
        asked = [rule for rule in RULES if rule.id in expectation.rules]
        found = sorted((f for rule in asked for f in by_rule[rule.id]), key=lambda finding: finding.severity)
        held.append(hold(expectation, found, list(_blind(asked, impact))))
    return PolicyPlan(impact, findings, tuple(_unknown(impact)), tuple(held), source, title)


def _gravity(finding: Finding) -> tuple[int, int, str]:
    return finding.severity, -len(finding.keys), finding.subject


def _blind(rules: Sequence[Rule[Impact]], impact: Impact) -> Iterator[str]:
    """Each reason why these rules may have missed something."""
    yield from impact.unplanned
    missing = impact.inventory.missing
    needed = {Subject.PODS, *(subject for rule in rules for subject in rule.needs)}
    for subject in Subject:
        if subject in needed and subject in missing and _matters(subject, impact):
            yield missing[subject]
    yield from dict.fromkeys(reason for rule in rules for reason in rule.unknown(impact))
    if impact.unsure:
        yield f"{counted(len(impact.unsure), 'pod')} may leave or stay"


_QUESTIONS = {
    Subject.PODS: "who leaves",
    Subject.SERVICES: "which Services lose all ready endpoints",
    Subject.ENDPOINT_SLICES: "whether Services without a selector lose all ready endpoints",
    Subject.BUDGETS: "which PodDisruptionBudgets are violated",
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
