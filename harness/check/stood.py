"""Did each fault stand on its node from its injection until the run removed it itself? Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.check.record import RunRecord
from harness.history.index import HistoryIndex
from harness.history.stories import StepRecord, Window, merged
from harness.model import events
from harness.model.faults import NodeMark
from harness.model.words import Action, StepResult

ABSENT_S, ABSENT_SHARE = 1.0, 0.01
"""A fault that was off its node for less than either (seconds; share of its length) is the fault that was declared."""


@dataclass(frozen=True, slots=True)
class _Span:
    """A fault on a node: from the acknowledgement of its injection until our heal was invoked."""

    node: str
    mark: NodeMark
    invoked_ns: int
    start_ns: int
    end_ns: int
    version: str


def fault_stood(record: RunRecord) -> str:
    """Empty when every taint and cordon that we wrote stood; else one sentence: which, since when, by whose doing."""
    for entry, lost in record.index.facts(events.ClaimLost):
        return f"our undo record on node {lost.node} was gone at {entry.t_ns / 1e9:.1f} s of the run: {lost.message}"
    return next(filter(None, (_fell(record.index, span) for span in _spans(record))), "")


def _spans(record: RunRecord) -> Iterator[_Span]:
    index, heals = record.index, _Heals(record.index)
    for step in record.plan.steps:
        injection = index.injections.get(step.id)
        mark = step.fault.mark if step.fault is not None and step.action is Action.INJECT else None
        if injection is None or injection.outcome is not StepResult.DONE or injection.ended_ns is None or mark is None:
            continue
        end_ns, version = heals.begun_ns(injection), index.brought.get(step.id, "")
        yield _Span(step.subject, mark, injection.invoked_ns, injection.ended_ns, end_ns, version)


class _Heals:
    """When the run began to revert each fault: its own heal step, or the healing of everything at a run's end."""

    def __init__(self, index: HistoryIndex) -> None:
        """Sorts what was healed by step and by subject."""
        self._horizon_ns = index.horizon_ns
        steps = [step for step in index.steps if step.action is Action.HEAL]
        self._steps: dict[str, list[int]] = {}
        for step in steps:
            self._steps.setdefault(step.step, []).append(step.invoked_ns)
        heals = list(index.facts(events.HealInvoked))
        within = _latest_around(steps, [entry.t_ns for entry, _ in heals])
        self._healings: dict[str, list[tuple[int, int | None]]] = {}
        for entry, heal in heals:
            self._healings.setdefault(heal.subject, []).append((entry.t_ns, within[entry.t_ns]))

    def begun_ns(self, injected: StepRecord) -> int:
        """For one injection; the horizon when it was never reverted. A healing within a heal step is that step's."""
        since_ns = injected.invoked_ns
        own = self._steps.get(injected.step.replace("inject-", "heal-", 1), ())
        out = [at_ns for at_ns in own if at_ns >= since_ns]
        for at_ns, step_ns in self._healings.get(injected.subject, ()):
            if at_ns >= since_ns and (step_ns is None or step_ns < since_ns):
                out.append(at_ns)
        return min([*out, self._horizon_ns])


def _latest_around(steps: list[StepRecord], instants: list[int]) -> dict[int, int | None]:
    """For each instant, when the latest step began that was under way then; None when none was. A step without an end
    is under way for good.
    """
    out: dict[int, int | None] = {}
    waiting = sorted(steps, key=lambda step: step.invoked_ns, reverse=True)
    begun: list[
        tuple[int, int | None]
    ] = []  # ascending by begin: the latest last; one that has ended never counts again
    for at_ns in sorted(set(instants)):
        while waiting and waiting[-1].invoked_ns <= at_ns:
            step = waiting.pop()
            begun.append((step.invoked_ns, step.ended_ns))
        while begun and (end_ns := begun[-1][1]) is not None and end_ns < at_ns:
            begun.pop()
        out[at_ns] = begun[-1][0] if begun else None
    return out


def _fell(index: HistoryIndex, span: _Span) -> str:
    sightings = index.nodes.get(span.node, ())
    if span.end_ns <= span.start_ns:
        return ""
    # A change that our own write brought counts from its acknowledgement, whenever its line came.
    states = [
        (min(at_ns, span.start_ns) if span.version and seen.resource_version == span.version else at_ns, seen)
        for at_ns, seen in sightings
    ]
    states = [(at_ns, seen) for at_ns, seen in states if at_ns < span.end_ns]
    before = [seen for at_ns, seen in states if at_ns <= span.start_ns]
    later = [(at_ns, seen) for at_ns, seen in states if at_ns > span.start_ns]
    carried = bool(before) and _carries(before[-1], span)
    if not carried and not any(_carries(seen, span) for _, seen in later):
        return f"{span.mark} was acknowledged, but never seen on node {span.node}"
    return _absence(index, span, carried, later)


def _carries(seen: events.NodeSeen, span: _Span) -> bool:
    return not seen.change.is_end and span.mark.is_on(seen)


def _absence(index: HistoryIndex, span: _Span, carried: bool, later: list[tuple[int, events.NodeSeen]]) -> str:
    """Adds up when it was not there, or not known to be there; "" when that is within what is allowed."""
    absent: list[Window] = []
    first: tuple[int, events.NodeSeen] | None = None
    since_ns = None if carried else span.start_ns
    for at_ns, seen in later:
        if seen.change.is_end:
            return f"{span.mark} ended early: node {span.node} was deleted at {at_ns / 1e9:.1f} s of the run"
        there = _carries(seen, span)
        if there and since_ns is not None:
            absent.append(Window(since_ns, at_ns))
            since_ns = None
        elif not there and since_ns is None:
            since_ns, first = at_ns, first or (at_ns, seen)
    if since_ns is not None:
        absent.append(Window(since_ns, span.end_ns))
    absent += _unknown(index, span)
    absent_s = _total_s(absent)
    planned_s = (span.end_ns - span.start_ns) / 1e9
    if absent_s <= max(ABSENT_S, ABSENT_SHARE * planned_s):
        return ""
    many = f"for {absent_s:.1f} of {planned_s:.1f} s"
    if first is None:
        return f"{span.mark} was not seen to stand on node {span.node} {many}: the watch of the nodes was blind"
    by = span.mark.written_by(first[1])
    who = f" by {by}" if by else ""
    return (
        f"{span.mark} was removed from node {span.node}{who} at {first[0] / 1e9:.1f} s of the run ({many} it was off)"
    )


def _unknown(index: HistoryIndex, span: _Span) -> Iterator[Window]:
    for gap in index.untold(span.node):
        start_ns, end_ns = max(gap.start_ns, span.start_ns), min(gap.end_ns, span.end_ns)
        if start_ns < end_ns:
            yield Window(start_ns, end_ns)


def _total_s(windows: list[Window]) -> float:
    return sum(window.length_s for window in merged(windows))
