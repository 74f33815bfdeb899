"""Two plans held against each other: what the second does that the first does not, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from harness.errors import UsageError
from harness.impact.encode import KIND, VERSION

Json = Mapping[str, Any]
_MOVED_S = 1.0


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """Pods by key. `only_first`, `only_second`: leave in that plan only. `moved`: leave in both, but not at the same
    time: (pod, interval in the first, interval in the second). `placed`: their replacements fare differently: (pod,
    fate in the first, fate in the second). `gone`, `new`: findings of the first, of the second only.
    """

    titles: tuple[str, str]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    moved: tuple[tuple[str, tuple[float | None, ...], tuple[float | None, ...]], ...]
    placed: tuple[tuple[str, str, str], ...]
    gone: tuple[Json, ...]
    new: tuple[Json, ...]
    summaries: tuple[Json, Json]

    def to_json(self) -> dict[str, Any]:
        """As ``plan --diff --json`` prints it."""
        return {
            "version": VERSION,
            "kind": "taintlab-plan-diff",
            "plans": list(self.titles),
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "moved": [{"pod": pod, "first": list(a), "second": list(b)} for pod, a, b in self.moved],
            "replacements": [{"pod": pod, "first": a, "second": b} for pod, a, b in self.placed],
            "findings_gone": [dict(finding) for finding in self.gone],
            "findings_new": [dict(finding) for finding in self.new],
            "summaries": [dict(summary) for summary in self.summaries],
        }


class _Replacement(Struct):
    fate: str


class _Leaving(Struct):
    pod: str
    at: tuple[float | None, float | None]
    comes_back: str
    replacement: _Replacement | None


class _Finding(Struct):
    kind: str
    severity: str
    subject: str
    message: str


class _Summary(Struct):
    leaving: int
    breaks: int


class _Plan(Struct):
    """What a comparison reads of a plan; the rest may be anything."""

    title: str
    leaving: list[_Leaving]
    findings: list[_Finding]
    summary: _Summary


def check_plan(value: object, *, where: str) -> Json:
    """`value`, if it is a plan of this version in all that `compare` reads; UsageError otherwise."""
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise UsageError(f"{where} is no plan: write one with taintlab plan ... --json > {where}")
    if value.get("version") != VERSION:
        raise UsageError(f"{where} is a plan of version {value.get('version')}; this taintlab reads version {VERSION}")
    try:
        msgspec.convert(value, _Plan)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where} is a damaged plan: {error}") from error
    return value


def compare(first: Json, second: Json) -> PlanDiff:
    """What differs between two plans (as `encode.to_json` made them)."""
    before, after = _by_pod(first), _by_pod(second)
    both = [pod for pod in before if pod in after]
    return PlanDiff(
        titles=(first["title"], second["title"]),
        only_first=tuple(pod for pod in before if pod not in after),
        only_second=tuple(pod for pod in after if pod not in before),
        moved=tuple((p, tuple(before[p]["at"]), tuple(after[p]["at"])) for p in both if _moves(before[p], after[p])),
        placed=tuple((p, _fate(before[p]), _fate(after[p])) for p in both if _fate(before[p]) != _fate(after[p])),
        gone=tuple(_missing(first["findings"], second["findings"])),
        new=tuple(_missing(second["findings"], first["findings"])),
        summaries=(first["summary"], second["summary"]),
    )


def _by_pod(plan: Json) -> dict[str, Json]:
    return {each["pod"]: each for each in plan["leaving"]}


def _moves(one: Json, other: Json) -> bool:
    """Whether an end of the interval lies elsewhere, by more than intervals differ for no reason."""
    pairs = zip(one["at"], other["at"], strict=True)
    return any((a is None) != (b is None) or (a is not None and abs(a - b) > _MOVED_S) for a, b in pairs)


def _fate(leaving: Json) -> str:
    replacement = leaving["replacement"]
    return str(leaving["comes_back"] if replacement is None else replacement["fate"])


def _missing(findings: Iterable[Json], others: Iterable[Json]) -> Iterable[Json]:
    """Findings without a counterpart of the same kind, gravity and subject."""
    there = {(f["kind"], f["severity"], f["subject"]) for f in others}
    return (f for f in findings if (f["kind"], f["severity"], f["subject"]) not in there)
