"""What no single key can be blamed for: checks over values that are each well formed, with the place and the fix.

Each check takes what could be read (`Reading`) and skips what could not, so that one slip does not hide another.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.formats.experiment.expectations import judged_phases
from harness.formats.experiment.kinds import Kinds
from harness.formats.experiment.semantic_faults import check_faults
from harness.formats.problems import Problems
from harness.formats.read import Reading
from harness.formats.values import format_duration
from harness.model.experiment import (
    Load,
    MetricExpectation,
    Phases,
    RecoveryExpectation,
    Slo,
)

MAX_TIMEOUT_S = 600.0
MAX_ARRIVALS = 20_000_000
"""The load process plans at most so many, SPARE_S seconds of traffic beyond the phases included."""
SPARE_S = 60.0


def check(reading: Reading, problems: Problems, kinds: Kinds) -> None:
    """Every rule that needs only the experiment file."""
    check_faults(reading, problems, kinds)
    for rule in _RULES:
        rule(reading, problems)


def _phases(reading: Reading, problems: Problems) -> None:
    phases = reading.one(Phases, "spec", "phases")
    if phases is not None and phases.total_s == 0:
        problems.add(reading.place("spec", "phases"), "phases: none of them lasts", "write baseline: 20s, fault: 30s")
    if phases is not None and phases.fault_s == 0 and reading.written("spec", "faults"):
        problems.add(
            reading.place("spec", "phases", "fault"),
            "fault: there are faults, but no time for them",
            "write fault: 30s",
        )


def _target(reading: Reading, problems: Problems) -> None:
    if not reading.written("spec", "target") and reading.one(bool, "spec", "expect", "evictions"):
        problems.add(
            reading.place("spec", "expect", "evictions"),
            "evictions: as-predicted needs a target whose pods are predicted",
            "write a target, or evictions: ignored",
        )


def _load(reading: Reading, problems: Problems) -> None:
    load = reading.one(Load, "spec", "load")
    phases = reading.one(Phases, "spec", "phases")
    if load is None:
        return
    if not 0 < load.timeout_s <= MAX_TIMEOUT_S:
        limits = f"above 0s and at most {format_duration(MAX_TIMEOUT_S)}"
        problems.add(reading.place("spec", "load", "timeout"), f"timeout: must be {limits}", "write timeout: 2s")
    if phases is not None and load.rate_per_s * (phases.total_s + SPARE_S) > MAX_ARRIVALS:
        arrivals = (
            f"{load.rate_per_s * phases.total_s / 1e6:.1f} million requests, at most {MAX_ARRIVALS / 1e6:.0f} million"
        )
        problems.add(reading.place("spec", "load", "rate"), f"rate: that makes {arrivals}", "send less, or not as long")


def _slos(reading: Reading, problems: Problems) -> None:
    load = reading.one(Load, "spec", "load")
    for path, slo in reading.each(Slo, "spec", "expect", "slos"):
        if not reading.written("spec", "load"):
            problems.add(reading.place(*path), f"slos: {slo.name} judges traffic, but there is no load", "write load")
        if load is not None and slo.threshold_s is not None and slo.threshold_s >= load.timeout_s:
            problems.add(
                reading.place(*path, "good"),
                f"good: a request is given up after {format_duration(load.timeout_s)}, so none is that slow and good",
                "write a smaller latency, or a longer load.timeout",
            )
        judged_phases(reading, problems, path, slo.phases)


def _metrics(reading: Reading, problems: Problems) -> None:
    for path, metric in reading.each(MetricExpectation, "spec", "expect", "metrics"):
        if metric.minimum is None and metric.maximum is None:
            problems.add(reading.place(*path), f"metrics: {metric.name} has no bound", "write min or max, or both")
        if metric.minimum is not None and metric.maximum is not None and metric.minimum > metric.maximum:
            problems.add(reading.place(*path, "min"), "min: it is above max", "swap them")
        judged_phases(reading, problems, path, metric.phases)


def _names(reading: Reading, problems: Problems) -> None:
    """Results name their checks ``slo/NAME/PHASE`` and ``metric/NAME/PHASE``, so no two of a kind may be the same."""
    for kind in ("slos", "metrics"):
        seen: dict[str, int] = {}
        for path, expectation in reading.each(object, "spec", "expect", kind):
            if isinstance(expectation, Slo | MetricExpectation):
                at = reading.place(*path, "name")
                if expectation.name in seen:
                    message = f"name: {expectation.name} is taken by the check in line {seen[expectation.name]}"
                    problems.add(at, message, "give each check a name of its own")
                seen.setdefault(expectation.name, at.line)


def _recovery(reading: Reading, problems: Problems) -> None:
    recovery = reading.one(RecoveryExpectation, "spec", "expect", "recovery")
    if recovery is None:
        return
    at = reading.place("spec", "expect", "recovery", "within")
    phases = reading.one(Phases, "spec", "phases")
    if not reading.written("spec", "faults"):
        problems.add(at, "recovery: without faults there is nothing to recover from", "take it out, or write faults")
    elif phases is not None and recovery.within_s > phases.recovery_s:
        problems.add(
            at,
            f"within: the recovery phase ends after {format_duration(phases.recovery_s)}, before that could be seen",
            f"write recovery: {format_duration(recovery.within_s)} or more under phases, or a smaller within",
        )


def _guard(reading: Reading, problems: Problems) -> None:
    if reading.written("spec", "guard", "badRatio") and not reading.written("spec", "load"):
        problems.add(
            reading.place("spec", "guard", "badRatio"),
            "badRatio: it watches traffic, but there is no load",
            "write load, or take badRatio out",
        )


_RULES: tuple[Callable[[Reading, Problems], None], ...] = (
    _phases,
    _target,
    _load,
    _slos,
    _metrics,
    _names,
    _recovery,
    _guard,
)
