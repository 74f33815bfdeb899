"""What a check is, and what a validity check is: small frozen objects that `harness.check.registry` lists.

A check holds a run against one thing that the experiment expects. A validity check asks whether the run can be judged
at all. Neither knows another one, and `harness.check.judge` knows none of them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.check.record import RunRecord
from harness.formats.experiment.expectations import ExpectKey
from harness.history.plain import decode
from harness.model.experiment import Experiment
from harness.model.needs import Watched
from harness.model.verdicts import CheckResult, EvictionRow, Verdict

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Judged:
    """What one check comes to: a result for each thing it judged (none: nothing to say), and the pods it looked at."""

    results: Sequence[CheckResult]
    evictions: Sequence[EvictionRow] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation, judged.

    `id`: of its result, or what the ids of its results begin with (``slo/...``). `needs`: what must be watched for it.
    `applies`: whether the experiment expects it. `judge`: pure; without evidence its results are INCONCLUSIVE, never
    PASS; what it raises makes the check INVALID and no other. `key`: its key under `expect`, where it declares one
    itself; `expected` has what is written there.
    """

    id: str
    needs: frozenset[Watched]
    applies: Callable[[Experiment], bool]
    judge: Callable[[RunRecord], Judged]
    key: ExpectKey | None = None


def expected(experiment: Experiment, key: str, kind: type[T]) -> T | None:
    """What the experiment writes under `key` of `expect`; None when nothing. ValueError for what is no `kind`: the
    run's folder was edited, or is another version's.
    """
    value = experiment.expect.checks.get(key)
    return value if value is None or isinstance(value, kind) else decode(kind, value)


@dataclass(frozen=True, slots=True)
class Soundness:
    """Whether one condition of a sound measurement holds; `measured` and `limit` are for people."""

    ok: bool
    measured: str
    limit: str


@dataclass(frozen=True, slots=True)
class ValidityCheck:
    """One condition of a sound measurement.

    `judge`: pure; None when the condition does not concern this run. `effect`: what the run comes to where it does not
    hold: INVALID (the numbers mean nothing, good or bad) or INCONCLUSIVE (what was seen was seen, but it cannot pass).
    """

    id: str
    judge: Callable[[RunRecord], Soundness | None]
    effect: Verdict = Verdict.INVALID
    what_would_decide: str = "fix what is named and run again"

    def __post_init__(self) -> None:
        """ValueError for an effect that lets an unsound run pass, or fail."""
        if self.effect not in (Verdict.INVALID, Verdict.INCONCLUSIVE):
            raise ValueError(f"{self.id}: an unsound measurement is not {self.effect}")


@dataclass(frozen=True, slots=True)
class ValidityResult:
    """One row of the table of validity checks: the condition, whether it holds, what was found, what it must be."""

    id: str
    ok: bool
    measured: str
    limit: str


NOTHING: frozenset[Watched] = frozenset()
"""Needs no watch: judged from the load's rows, or from what others measured."""

NOOP = Check("noop", NOTHING, lambda _: True, lambda _: Judged(()))
"""Applies always and says nothing: for tests of whatever takes checks."""
