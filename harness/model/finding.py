"""What a reading warns of, and what it may be held to: one type for impact, preflight, audit and rollout.

A `Rule` looks at one state (an impact, a set of manifests ...) and yields `Finding`s. An `Expectation` names rules
whose findings must not be there; without what a rule had to read, it is unknown whether it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, TypeVar

from harness.model.state import Subject

State = TypeVar("State")


class Severity(IntEnum):
    """BREAKS: something stops working. HURTS: something is lost or at risk. NOTE: worth knowing, and breaks no
    expectation.
    """

    BREAKS = 0
    HURTS = 1
    NOTE = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One warning of the rule with id `rule`.

    `subject`: what it is about, as people call it (``Service shop/web``). `message`: the consequence, in one sentence
    that goes on from the subject. `keys`: the objects in it (``namespace/name`` of pods, for an impact). `evidence`:
    figures, as JSON values. `place`: ``file:line``, or the path of an object or field; None when the subject says it
    all. `fix`: what would do away with it. `proves_with`: an experiment that would show it on a cluster.
    """

    rule: str
    severity: Severity
    subject: str
    message: str
    keys: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    place: str | None = None
    fix: str | None = None
    proves_with: str | None = None


def counted(number: int, noun: str) -> str:
    """``1 pod``, ``3 pods``."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def _nothing(_: object) -> Iterable[str]:
    return ()


@dataclass(frozen=True)  # no slots: with them, Rule[State](...) fails on Python 3.11
class Rule(Generic[State]):
    """One thing to warn of. `find`: its findings in a state, each with this `id` and no graver than `gravest`.

    `needs`: what must have been read for the absence of findings to mean anything (nodes and pods always must).
    `unknown`: what else keeps the rule from seeing, in a state that was read. `expectation`: the word by which people
    demand its absence, where that is not ``no-<id>``; rules may share one. `listed`: whether its findings are shown as
    such; others only answer expectations.
    """

    id: str
    gravest: Severity
    find: Callable[[State], Iterable[Finding]]
    needs: tuple[Subject, ...] = ()
    unknown: Callable[[State], Iterable[str]] = _nothing
    expectation: str = ""
    listed: bool = True

    @property
    def demanded_as(self) -> str | None:
        """The word by which people demand its absence; None where it only makes notes: it would always hold."""
        return None if self.gravest is Severity.NOTE else self.expectation or f"no-{self.id}"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must hold: no finding of `rules` (ids), notes aside. `subject`: only findings about it count; None: all."""

    name: str
    rules: tuple[str, ...]
    subject: str | None = None

    def is_broken_by(self, finding: Finding) -> bool:
        """Whether the expectation fails because of this finding."""
        about_it = self.subject is None or finding.subject == self.subject
        return finding.rule in self.rules and finding.severity is not Severity.NOTE and about_it


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """An expectation and what came of it. `holds` None: it cannot be told, for the reason in `because`."""

    expectation: Expectation
    holds: bool | None
    because: str


def expectations_of(rules: Sequence[Rule[State]]) -> dict[str, Expectation]:
    """Every expectation that `rules` can answer, by name: the words that people use, in the order of the rules, then
    ``no-<id>`` for those known by another word.
    """
    by_name: dict[str, list[str]] = {}
    for rule in rules:
        if rule.demanded_as is not None:
            by_name.setdefault(rule.demanded_as, []).append(rule.id)
    for rule in rules:
        if rule.demanded_as is not None:
            by_name.setdefault(f"no-{rule.id}", [rule.id])
    return {name: Expectation(name, tuple(ids)) for name, ids in by_name.items()}


def hold(expectation: Expectation, findings: Sequence[Finding], blind: Sequence[str]) -> ExpectationResult:
    """Whether an expectation holds. `findings`: of all its rules, the gravest first. `blind`: each reason why its rules
    may have missed something; with one, what was not found is unknown and not true.
    """
    against = [finding for finding in findings if expectation.is_broken_by(finding)]
    if against:
        more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
        return ExpectationResult(expectation, False, f"{against[0].subject} {against[0].message}{more}")
    if blind:
        return ExpectationResult(expectation, None, "; ".join(blind))
    return ExpectationResult(expectation, True, "nothing found against it")
