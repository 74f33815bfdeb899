"""Checks over faults: their times, what they hold at once, what the API server or a controller would not let stand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.formats.nodes import Place
from harness.formats.problems import Problems
from harness.formats.read import Path, Reading
from harness.formats.values import format_duration
from harness.model.experiment import CordonFault, Fault, Phases, RestartFault, TaintFault, TolerationsFault
from harness.model.taints import Effect, Operator, Toleration
from harness.model.wellknown import CONTROLLER_TAINTS


def _faults(reading: Reading) -> Iterable[tuple[Path, Fault]]:
    for path, fault in reading.each(object, "spec", "faults"):
        if isinstance(fault, TaintFault | TolerationsFault | RestartFault | CordonFault):
            yield path, fault


def fault_times(reading: Reading, problems: Problems) -> None:
    """Every fault begins and ends within the fault phase."""
    phases = reading.one(Phases, "spec", "phases")
    for path, fault in _faults(reading):
        for_s = fault.for_s if isinstance(fault, TaintFault | CordonFault) else None
        if for_s == 0:
            problems.add(reading.place(*path, "for"), "for: a fault that lasts 0s is none", "leave it out, or write 5s")
        if phases is None or phases.fault_s == 0:
            continue
        length = format_duration(phases.fault_s)
        if fault.at_s >= phases.fault_s:
            problems.add(
                reading.place(*path, "at"),
                f"at: the fault phase is over after {length}",
                f"start earlier, or make phases.fault longer than {format_duration(fault.at_s)}",
            )
        elif for_s is not None and fault.at_s + for_s > phases.fault_s:
            problems.add(
                reading.place(*path, "for"),
                f"for: it would last until {format_duration(fault.at_s + for_s)}, but the fault phase ends at {length}",
                "leave for out to keep it until the end, or make phases.fault longer",
            )


@dataclass(frozen=True, slots=True)
class _Span:
    """While a fault is in place: what it holds (one of each at a time), from when until when, and where it stands."""

    what: object
    name: str
    from_s: float
    until_s: float
    at: Place


def overlaps(reading: Reading, problems: Problems) -> None:
    """The API allows one taint of each key and effect on a node, and a node is cordoned or not."""
    phases = reading.one(Phases, "spec", "phases")
    end_s = phases.fault_s if phases is not None else math.inf
    seen: list[_Span] = []
    for path, fault in _faults(reading):
        if not isinstance(fault, TaintFault | CordonFault):
            continue
        until_s = end_s if fault.for_s is None else fault.at_s + fault.for_s
        if isinstance(fault, TaintFault):
            name = f"{fault.taint.key}:{fault.taint.effect}"
            span = _Span(fault.taint.identity, name, fault.at_s, until_s, reading.place(*path, "taint"))
        else:
            span = _Span("cordon", "the cordon", fault.at_s, until_s, reading.place(*path, "cordon"))
        for other in seen:
            if other.what == span.what and span.from_s < other.until_s and other.from_s < span.until_s:
                problems.add(
                    span.at,
                    f"{span.name} is on the target already, by the fault in line {other.at.line}",
                    "give one of them another key, or let them follow each other with at and for",
                )
                break
        seen.append(span)


def condition_taints(reading: Reading, problems: Problems) -> None:
    """A taint that Kubernetes takes off at once cannot be held for an experiment."""
    for path, fault in _faults(reading):
        if not isinstance(fault, TaintFault) or fault.taint.effect is not Effect.NO_SCHEDULE:
            continue
        if fault.taint.key in CONTROLLER_TAINTS:
            problems.add(
                reading.place(*path, "taint", "key"),
                f"key: the node lifecycle controller takes {fault.taint.key}:NoSchedule off within milliseconds "
                "unless the node's condition says so",
                "use a key of your own, or bring the condition about with taintlab lab pressure",
            )


def tolerations(reading: Reading, problems: Problems) -> None:
    """The lists that faults set."""
    for path, _ in reading.each(TolerationsFault, "spec", "faults"):
        check_tolerations(reading, problems, (*path, "tolerations", "set"))


def check_tolerations(reading: Reading, problems: Problems, path: Path) -> None:
    """What the API server refuses (422): upstream's ValidateTolerations (pkg/apis/core/validation)."""
    for here, toleration in reading.each(Toleration, *path):
        if not toleration.key and toleration.operator is not Operator.EXISTS:
            problems.add(
                reading.place(*here, "key"),
                "key: only operator Exists goes without a key",
                "write the key, or operator: Exists for every key",
            )
        if toleration.operator is Operator.EXISTS and toleration.value:
            problems.add(
                reading.place(*here, "value"),
                "value: operator Exists takes no value",
                "take the value out, or write operator: Equal",
            )
        if toleration.operator in (Operator.GT, Operator.LT) and not _is_canonical(toleration.value):
            problems.add(
                reading.place(*here, "value"),
                f'value: operator {toleration.operator} compares whole numbers, found "{toleration.value}"',
                'write it like "24": no sign +, no leading zeros',
            )
        if toleration.operator is Operator.EQUAL and toleration.value.startswith("-"):
            problems.add(
                reading.place(*here, "value"),
                f'value: "{toleration.value}" is not a label value, so no taint can have it',
                "write a value that a taint can have, or operator: Gt or Lt",
            )
        if toleration.seconds is not None and toleration.effect is not Effect.NO_EXECUTE:
            found = f"effect {toleration.effect}" if toleration.effect else "no effect"
            problems.add(
                reading.place(*here, "tolerationSeconds"),
                f"tolerationSeconds: the API server refuses it with {found}: only NoExecute evicts running pods",
                "write effect: NoExecute, or take tolerationSeconds out",
            )


def _is_canonical(text: str) -> bool:
    try:
        return str(int(text)) == text and -(2**63) <= int(text) < 2**63
    except ValueError:
        return False
