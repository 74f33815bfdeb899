"""Did each fault stand on its node from its injection until we took it off ourselves? Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.check.record import RunRecord
from harness.check.sight import untouched
from harness.history.query import StepRecord, Window, facts, merged, step_records, unseen
from harness.history.read import History
from harness.model import events
from harness.model.faults import NodeMark
from harness.model.plan import Action

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
    for entry, lost in facts(record.history, events.ClaimLost):
        return f"our undo record on node {lost.node} was gone at {entry.t_ns / 1e9:.1f} s of the run: {lost.message}"
    return next(filter(None, (_fell(record.history, span) for span in _spans(record))), "")


def _spans(record: RunRecord) -> Iterator[_Span]:
    all_deeds = step_records(record.history)
    acknowledged = {deed.step: deed for deed in all_deeds if deed.action == Action.INJECT and deed.outcome == "done"}
    versions = {
        done.step: str(done.detail.get("resourceVersion", "")) for _, done in facts(record.history, events.StepDone)
    }
    for step in record.plan.steps:
        deed = acknowledged.get(step.id)
        mark = step.fault.mark if step.fault is not None and step.action is Action.INJECT else None
        if deed is None or deed.ended_ns is None or mark is None:
            continue
        end_ns = _healed_ns(record, all_deeds, deed)
        yield _Span(step.subject, mark, deed.invoked_ns, deed.ended_ns, end_ns, versions.get(step.id, ""))


def _healed_ns(record: RunRecord, all_deeds: list[StepRecord], injected: StepRecord) -> int:
    """When we began to take it off: its own heal step, or the healing of everything at a run's end; else the end."""
    own = injected.step.replace("inject-", "heal-", 1)
    heals = [deed for deed in all_deeds if deed.action == Action.HEAL and deed.invoked_ns >= injected.invoked_ns]
    out = [deed.invoked_ns for deed in heals if deed.step == own]
    for entry, heal in facts(record.history, events.HealInvoked):
        within_step = any(deed.invoked_ns <= entry.t_ns <= (deed.ended_ns or entry.t_ns) for deed in heals)
        if heal.subject == injected.subject and entry.t_ns >= injected.invoked_ns and not within_step:
            out.append(entry.t_ns)
    return min([*out, record.horizon_ns])


def _fell(history: History, span: _Span) -> str:
    sightings = [(entry.t_ns, seen) for entry, seen in facts(history, events.NodeSeen) if seen.name == span.node]
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
    return _absence(history, span, carried, later)


def _carries(seen: events.NodeSeen, span: _Span) -> bool:
    return seen.change not in ("DELETED", "VANISHED") and span.mark.is_on(seen)


def _absence(history: History, span: _Span, carried: bool, later: list[tuple[int, events.NodeSeen]]) -> str:
    """Adds up when it was not there, or not known to be there; "" when that is within what is allowed."""
    absent: list[Window] = []
    first: tuple[int, events.NodeSeen] | None = None
    since_ns = None if carried else span.start_ns
    for at_ns, seen in later:
        if seen.change in ("DELETED", "VANISHED"):
            return f"{span.mark} ended early: node {span.node} was deleted at {at_ns / 1e9:.1f} s of the run"
        there = _carries(seen, span)
        if there and since_ns is not None:
            absent.append(Window(since_ns, at_ns))
            since_ns = None
        elif not there and since_ns is None:
            since_ns, first = at_ns, first or (at_ns, seen)
    if since_ns is not None:
        absent.append(Window(since_ns, span.end_ns))
    absent += _unknown(history, span)
    absent_s = _total_s(absent)
    planned_s = (span.end_ns - span.start_ns) / 1e9
    if absent_s <= max(ABSENT_S, ABSENT_SHARE * planned_s):
        return ""
    many = f"for {absent_s:.1f} of {planned_s:.1f} s"
    if first is None:
        return f"{span.mark} was not seen to stand on node {span.node} {many}: the watch of the nodes was blind"
    by = span.mark.written_by(first[1])
    who = f" by {by}" if by else ""
    return f"{span.mark} was taken off node {span.node}{who} at {first[0] / 1e9:.1f} s of the run ({many} it was off)"


def _unknown(history: History, span: _Span) -> Iterator[Window]:
    for gap in unseen(history, "nodes"):
        start_ns, end_ns = max(gap.start_ns, span.start_ns), min(gap.end_ns, span.end_ns)
        if start_ns < end_ns and not untouched(history, span.node, gap):
            yield Window(start_ns, end_ns)


def _total_s(windows: list[Window]) -> float:
    return sum(window.length_s for window in merged(windows))
