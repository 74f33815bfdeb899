"""Two plans held against each other: what the second does that the first does not, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from harness.errors import UsageError
from harness.model.plan_file import KIND, VERSION, FindingRow, Interval, LeavingRow, Moved, Placed, PlanDiff, PlanFile

_MOVED_S = 1.0


def check_plan(value: object, *, where: str) -> PlanFile:
    """`value`, if it is a plan of this version; UsageError otherwise."""
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise UsageError(f"{where} is no plan: write one with taintlab plan ... --json > {where}")
    if value.get("version") != VERSION:
        raise UsageError(f"{where} is a plan of version {value.get('version')}; this taintlab reads version {VERSION}")
    try:
        return msgspec.convert(value, PlanFile)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where} is a damaged plan: {error}") from error


def compare(first: PlanFile, second: PlanFile) -> PlanDiff:
    """What differs between two plans."""
    before, after = ({each.pod: each for each in plan.leaving} for plan in (first, second))
    both = [(before[pod], after[pod]) for pod in before if pod in after]
    return PlanDiff(
        plans=(first.title, second.title),
        only_first=tuple(pod for pod in before if pod not in after),
        only_second=tuple(pod for pod in after if pod not in before),
        moved=tuple(Moved(one.pod, one.at, other.at) for one, other in both if _moves(one.at, other.at)),
        replacements=tuple(
            Placed(one.pod, _fate(one), _fate(other)) for one, other in both if _fate(one) != _fate(other)
        ),
        findings_gone=tuple(_missing(first.findings, second.findings)),
        findings_new=tuple(_missing(second.findings, first.findings)),
        summaries=(first.summary, second.summary),
    )


def _moves(one: Interval, other: Interval) -> bool:
    """Whether an end of the interval lies elsewhere, by more than intervals differ for no reason."""
    pairs = zip(one, other, strict=True)
    return any(
        (a is None) != (b is None) or (a is not None and b is not None and abs(a - b) > _MOVED_S) for a, b in pairs
    )


def _fate(leaving: LeavingRow) -> str:
    return leaving.comes_back if leaving.replacement is None else leaving.replacement.fate


def _missing(findings: Iterable[FindingRow], others: Iterable[FindingRow]) -> Iterator[FindingRow]:
    """Findings without a counterpart of the same kind, gravity and subject."""
    there = {(f.kind, f.severity, f.subject) for f in others}
    return (f for f in findings if (f.kind, f.severity, f.subject) not in there)
