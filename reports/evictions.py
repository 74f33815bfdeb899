"""The eviction table in words: an order, a tally, the violations. Shared by every format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.model.verdicts import EvictionRow, PodVerdict
from harness.model.words import Outcome
from reports.words import joined, one_line, plural, window

SEVERITY = (
    PodVerdict.SURVIVED_WRONGLY,
    PodVerdict.EVICTED_WRONGLY,
    PodVerdict.LATE,
    PodVerdict.EARLY,
    PodVerdict.UNKNOWN,
    PodVerdict.ON_TIME,
    PodVerdict.SURVIVED,
)
"""Worst first."""

VIOLATIONS = frozenset(SEVERITY[:4])
"""What Kubernetes did otherwise than predicted."""


def worst_first(rows: Sequence[EvictionRow]) -> list[EvictionRow]:
    """By severity, then by how long after the taint it was seen (never: last), then by name."""
    return sorted(rows, key=lambda row: (SEVERITY.index(row.verdict), *_when(row), row.pod))


def _when(row: EvictionRow) -> tuple[bool, float]:
    at_s = row.observed_s if row.observed_s is not None else row.predicted_s[0] if row.predicted_s else None
    return at_s is None, at_s or 0.0


def planned_otherwise(row: EvictionRow) -> str:
    """What the plan had foreseen, where something else followed from what happened: ``not in the plan``, ``stays``,
    ``10.00 – 11.02 s``, ``unsure``; empty when it came as planned, or when nothing is known of a plan.
    """
    if row.planned is None:
        return ""
    if not row.planned:
        return "not in the plan"
    if row.planned_s is None:
        if row.planned == Outcome.SURVIVES:
            return "" if row.predicted_s is None else "stays"
        return row.planned
    if row.predicted_s is None:
        return window(row.planned_s)
    meet = row.planned_s[0] <= row.predicted_s[1] and row.predicted_s[0] <= row.planned_s[1]
    return "" if meet else window(row.planned_s)


def replanned(rows: Sequence[EvictionRow]) -> str:
    """One sentence on the pods of which something else followed than was planned; empty when there are none."""
    newcomers = sum(row.planned == "" for row in rows)
    others = sum(bool(planned_otherwise(row)) for row in rows) - newcomers
    parts = []
    if others:
        parts.append(f"{plural(others, 'pod')} had to fare otherwise, since more happened than the plan knew")
    if newcomers:
        parts.append(f"{plural(newcomers, 'pod')} came later")
    return "; ".join(parts)


def tally(rows: Sequence[EvictionRow]) -> str:
    """``38 on time, 2 late``, worst first."""
    counts = Counter(row.verdict for row in rows)
    return ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in SEVERITY if counts[verdict])


def violation_summary(rows: Sequence[EvictionRow]) -> Mapping[PodVerdict, tuple[EvictionRow, ...]]:
    """The pods of each kind of violation that occurred, worst kind first."""
    ranked = worst_first(rows)
    kinds = [verdict for verdict in SEVERITY if verdict in VIOLATIONS]
    found = {kind: tuple(row for row in ranked if row.verdict is kind) for kind in kinds}
    return {kind: members for kind, members in found.items() if members}


def named(rows: Sequence[EvictionRow], at_most: int = 5) -> str:
    """The pods by name: ``default/web-1, default/web-2 and 3 more``."""
    names = [one_line(row.pod, 80) for row in rows[:at_most]]
    return joined([*names, f"{len(rows) - at_most} more"]) if len(rows) > at_most else joined(names)
