"""Checks over faults: their times, what they hold at once, what the API server or a controller would not let stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.formats.experiment.kinds import Kinds, entries
from harness.formats.nodes import Place
from harness.formats.problems import Problems
from harness.formats.read import Path, Reading
from harness.formats.values import format_duration
from harness.model.experiment import Phases
from harness.model.faults import Need
from harness.model.taints import Toleration
from harness.model.tolerations import refusals


def check_faults(reading: Reading, problems: Problems, kinds: Kinds) -> None:
    """Every rule over the faults of a file, those of the kinds too."""
    for rule in (_needs, _times, _overlaps):
        rule(reading, problems, kinds)
    for fault, kind, entry in entries(reading, problems, kinds):
        kind.check(fault, entry)


def _needs(reading: Reading, problems: Problems, kinds: Kinds) -> None:
    """A target and a workload for those that need one."""
    for fault, _, entry in entries(reading, problems, kinds):
        if Need.NODES in fault.needs and not reading.written("spec", "target"):
            entry.note(
                (fault.kind,),
                f"{fault.kind} needs nodes, but there is no target",
                "write target: {nodes: {selector: pool=spot, count: 1}}",
            )
        if Need.WORKLOAD in fault.needs and not reading.written("spec", "workload"):
            message = f"{fault.kind}: only pods of the workload are changed, but there is none"
            entry.note((fault.kind,), message, "write workload")


def _times(reading: Reading, problems: Problems, kinds: Kinds) -> None:
    """Every fault begins and ends within the fault phase."""
    phases = reading.one(Phases, "spec", "phases")
    for fault, _, entry in entries(reading, problems, kinds):
        if fault.for_s == 0:
            entry.note(("for",), "for: a fault that lasts 0s is none", "leave it out, or write 5s")
        if phases is None or phases.fault_s == 0:
            continue
        length = format_duration(phases.fault_s)
        if fault.at_s >= phases.fault_s:
            entry.note(
                ("at",),
                f"at: the fault phase is over after {length}",
                f"start earlier, or make phases.fault longer than {format_duration(fault.at_s)}",
            )
        elif fault.for_s is not None and fault.at_s + fault.for_s > phases.fault_s:
            until = format_duration(fault.at_s + fault.for_s)
            entry.note(
                ("for",),
                f"for: it would last until {until}, but the fault phase ends at {length}",
                "leave for out to keep it until the end, or make phases.fault longer",
            )


@dataclass(frozen=True, slots=True)
class _Span:
    """While a fault is in place: what it holds (one of each at a time), from when until when, and where it stands."""

    what: str
    from_s: float
    until_s: float
    at: Place


def _overlaps(reading: Reading, problems: Problems, kinds: Kinds) -> None:
    """What a fault holds, no other can hold: the API allows one taint of each key and effect on a node, and a node is
    cordoned or not.
    """
    phases = reading.one(Phases, "spec", "phases")
    end_s = phases.fault_s if phases is not None else math.inf
    seen: list[_Span] = []
    for fault, _, entry in entries(reading, problems, kinds):
        if not fault.holds:
            continue
        until_s = end_s if fault.for_s is None else fault.at_s + fault.for_s
        span = _Span(fault.holds, fault.at_s, until_s, reading.place(*entry.path, fault.kind))
        for other in seen:
            if other.what == span.what and span.from_s < other.until_s and other.from_s < span.until_s:
                problems.add(
                    span.at,
                    f"{span.what} is on the target already, by the fault in line {other.at.line}",
                    "give one of them another key, or let them follow each other with at and for",
                )
                break
        seen.append(span)


def check_tolerations(reading: Reading, problems: Problems, path: Path) -> None:
    """What the API server refuses (422) of the tolerations in the list at `path`."""
    for here, toleration in reading.each(Toleration, *path):
        for refusal in refusals(toleration):
            problems.add(reading.place(*here, refusal.field), f"{refusal.field}: {refusal.message}", refusal.fix)
