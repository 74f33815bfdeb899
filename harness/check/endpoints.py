"""Did enough endpoints stay ready? ``expect.endpoints``: no Service of the workload may have fewer in a phase.

What is counted is what the EndpointSlices say, which is where kube-proxy sends traffic. A count is known from when it
was seen until the next change can have happened. Where nobody was looking there may have been fewer: INCONCLUSIVE.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.check.base import Check, Judged, expected
from harness.check.ready_endpoints import Points, endpoint_counts, not_listed
from harness.check.record import RunRecord, inconclusive
from harness.formats.experiment.expectations import ExpectKey, judged_phases
from harness.formats.experiment.fields_traffic import PHASE_LIST
from harness.formats.leaves import whole
from harness.formats.problems import Problems
from harness.formats.read import Path, Reading
from harness.formats.shapes import Field, Record
from harness.history.stories import Window, covering
from harness.model.experiment import Experiment, PhaseName
from harness.model.needs import Watched
from harness.model.verdicts import CheckResult, Verdict

KEY = "endpoints"


@dataclass(frozen=True, slots=True)
class EndpointsExpectation:
    """In each of `phases`, each Service of the workload has `at_least` ready endpoints all the time."""

    at_least: int
    phases: tuple[PhaseName, ...]


@dataclass(frozen=True, slots=True)
class _Count:
    """`ready` endpoints of a Service: certain in [known_ns, gone_ns], possible in [since_ns, until_ns]."""

    ready: int
    since_ns: int
    known_ns: int
    gone_ns: int
    until_ns: int

    def surely_in(self, window: Window) -> bool:
        """It was so at some instant of the window, whenever exactly it began and ended."""
        began_within = window.start_ns <= self.since_ns and self.known_ns < window.end_ns
        lasted_into = self.known_ns < window.end_ns and max(self.known_ns, window.start_ns) < self.gone_ns
        return began_within or lasted_into

    def perhaps_in(self, window: Window) -> bool:
        """It may have been so at some instant of the window."""
        return self.since_ns < window.end_ns and max(self.known_ns, self.until_ns - 1) >= window.start_ns


def judge_endpoints(record: RunRecord) -> list[CheckResult]:
    """One result for each phase, ids ``endpoints/<phase>``."""
    wanted = _wanted(record.experiment)
    return [] if wanted is None else [_judge(record, wanted.at_least, phase) for phase in wanted.phases]


def _wanted(experiment: Experiment) -> EndpointsExpectation | None:
    return expected(experiment, KEY, EndpointsExpectation)


def _judge(record: RunRecord, at_least: int, phase: PhaseName) -> CheckResult:
    check_id = f"{KEY}/{phase}"
    window = record.windows.get(phase)
    if window is None:
        return inconclusive(check_id, f"the {phase} phase did not take place")
    counts = {service: list(_counts(record, points)) for service, points in endpoint_counts(record).items()}
    n = sum(count.perhaps_in(window) for of_service in counts.values() for count in of_service)
    low = [
        (count, service)
        for service, of_service in counts.items()
        for count in of_service
        if count.ready < at_least and count.perhaps_in(window)
    ]
    sure = [(count, service) for count, service in low if count.surely_in(window)]
    if sure:
        worst, service = min(sure, key=lambda item: item[0].ready)
        at_s = max(worst.known_ns, window.start_ns) / 1e9
        reason = f"{service} had {worst.ready} ready endpoints at {at_s:.1f} s of the run, {at_least} are needed"
        return CheckResult(check_id, Verdict.FAIL, reason, n, "", float(worst.ready), float(at_least), KEY)
    unknown = _unknown(record, window, counts) or (low and "fewer may have been ready: when is not known exactly")
    if unknown:
        return inconclusive(check_id, unknown, n=n, what_would_decide="an unbroken watch of the EndpointSlices")
    lowest = min(count.ready for of_service in counts.values() for count in of_service if count.perhaps_in(window))
    reason = f"never fewer than {lowest} ready endpoints, {at_least} are needed"
    return CheckResult(check_id, Verdict.PASS, reason, n, "", float(lowest), float(at_least), KEY)


def _counts(record: RunRecord, points: Points) -> Iterator[_Count]:
    """Every count of one Service, each until the next; of the slices of one list only their sum."""
    index = record.index
    blind, unseen = index.blind(Watched.ENDPOINT_SLICES), index.unseen(Watched.ENDPOINT_SLICES)
    last = len(points) - 1
    for number, (at_ns, ready) in enumerate(points):
        until_ns = record.horizon_ns if number == last else points[number + 1][0]
        if until_ns == at_ns and number != last and at_ns in index.endpoint_lists:
            continue
        gone_ns = until_ns if number == last else _earliest(blind, until_ns)
        hidden = bisect_right(unseen, at_ns, key=lambda gap: gap.end_ns)
        if hidden < len(unseen):
            gone_ns = min(gone_ns, unseen[hidden].start_ns)
        yield _Count(ready, _earliest(blind, at_ns), at_ns, gone_ns, until_ns)


def _earliest(blind: Sequence[Window], at_ns: int) -> int:
    """When what was seen at `at_ns` may have happened at the earliest."""
    gap = covering(blind, at_ns)
    return at_ns if gap is None else gap.start_ns


def _unknown(record: RunRecord, window: Window, counts: dict[str, list[_Count]]) -> str:
    """Why it cannot be told that there were never fewer; "" when it can."""
    services = [m for m in record.experiment.workload if m.kind == "Service"]
    for service in (f"{m.namespace or 'default'}/{m.name}" for m in services):
        if not any(count.known_ns <= window.start_ns for count in counts.get(service, ())):
            return f"no EndpointSlice of {service} was seen before the phase"
    if not services:
        return "the workload has no Service"
    for gap in record.index.unseen(Watched.ENDPOINT_SLICES):
        if gap.start_ns < window.end_ns and gap.end_ns > window.start_ns:
            return f"the watch of the EndpointSlices was blind from {gap.start_ns / 1e9:.1f} s of the run"
    return not_listed(record)


def _rule(reading: Reading, problems: Problems, path: Path) -> None:
    """It needs a workload, whose Services are counted, and phases that last."""
    if not reading.written("spec", "workload"):
        at = reading.place(*path)
        problems.add(at, f"{KEY}: the Services of the workload are counted, but there is none", "write workload")
    wanted = reading.one(EndpointsExpectation, *path)
    if wanted is not None:
        judged_phases(reading, problems, path, wanted.phases)


_SHAPE = Record(
    "Endpoints",
    "In each of the phases, every Service of the workload has at least so many ready endpoints, all the time. Where "
    "the watch of the EndpointSlices was blind it is INCONCLUSIVE, never PASS.",
    (
        Field(
            "atLeast", "at_least", whole("a whole number", least=1), "Fewer are a FAIL, however briefly.", required=True
        ),
        Field("phases", "phases", PHASE_LIST, "Each is judged by itself.", required=True),
    ),
    EndpointsExpectation,
    slips={"min": "write atLeast", "phase": "write phases: [fault]"},
)

ENDPOINTS = Check(
    KEY,
    frozenset({Watched.ENDPOINT_SLICES}),
    lambda experiment: KEY in experiment.expect.checks,
    lambda record: Judged(judge_endpoints(record)),
    ExpectKey(Field(KEY, KEY, _SHAPE, "Ready endpoints that must stay."), _rule),
)
