"""What could be seen, and when nobody was looking: the bounds within which things happened. Pure.

A stamp of ours says when we learnt of something. It is when it happened only while the watch was in sight; else it is
an upper bound, and the start of the gap is the lower one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from harness.check.record import RunRecord
from harness.history.query import (
    PodStory,
    Window,
    closing_list,
    covering,
    facts,
    gaps,
    merged,
    open_losses,
    step_records,
    unseen,
)
from harness.history.read import History
from harness.model import events
from harness.model.taints import Effect, Taint, taints_from_api
from harness.model.wellknown import DisruptionReason

_DELIVERY_S = 1.5
"""An arrival this much later than the object's own stamps allow was delivered late, whatever the watch looked like."""
_STAMP_S = 1.0
"""The API server's stamps have whole seconds, cut off."""
_TRIP_NS = 100_000_000
"""A write of ours that was shown so long after it was sent may have come to the API server at any time between."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A deletion happened in [since_ns, seen_ns]; the two are the same while the watch was in sight, else `why` says
    why not.
    """

    since_ns: int
    seen_ns: int
    why: str = ""


class Sight:
    """What the watches could see of one run that injected something."""

    def __init__(self, record: RunRecord, injected_ns: int) -> None:
        """`injected_ns`: the invocation of the first injection."""
        self._record = record
        self._injected_ns = injected_ns
        self._horizon_ns = record.horizon_ns
        self._pod_gaps = merged(gaps(record.history, "pods"))
        self._pods_unseen = unseen(record.history, "pods")
        self._nodes_unseen = unseen(record.history, "nodes")
        self._skews = [(entry, skew) for entry, skew in facts(record.history, events.SkewMeasured)]
        self._listed = closing_list(record.history, "pods")
        self._present = frozenset(self._listed[1].present) if self._listed and self._listed[1].ok else None

    def departure(self, story: PodStory) -> Departure | None:
        """When the pod's deletion happened; None when none was seen before the workload was removed."""
        seen_ns = story.deleting_ns
        if seen_ns is None or seen_ns > self._horizon_ns:
            return None
        return self._departure(story, seen_ns)

    def _departure(self, story: PodStory, seen_ns: int) -> Departure:
        since_ns, why = seen_ns, ""
        gap = covering(self._pod_gaps, seen_ns)
        if gap is not None:
            since_ns, why = gap.start_ns, "the watch was blind"
        accepted_ns = self._accepted_before_delivery(story, seen_ns)
        if accepted_ns is not None and accepted_ns < since_ns:
            since_ns, why = accepted_ns, "by its own stamps it was delivered late"
        if since_ns < self._injected_ns <= seen_ns and self._only_we_can_have_caused(story, since_ns, seen_ns):
            since_ns = self._injected_ns
        return Departure(min(since_ns, seen_ns), seen_ns, why)

    def _accepted_before_delivery(self, story: PodStory, seen_ns: int) -> int | None:
        """The earliest instant at which the API server can have accepted the deletion, when that is too long before
        its arrival; None when the stamps agree with the arrival, or cannot be compared.
        """
        if not self._skews or story.deletion_timestamp is None or story.grace_s is None:
            return None
        entry, skew = min(self._skews, key=lambda item: abs(item[0].t_ns - seen_ns))
        try:
            accepted_s = datetime.fromisoformat(story.deletion_timestamp).timestamp() - story.grace_s
            reference_s = datetime.fromisoformat(entry.wall).timestamp()
        except (ValueError, TypeError, OverflowError):
            return None
        # By the monotonic clock since the skew was measured: a step of our wall clock changes nothing.
        accepted_ns = entry.t_ns + round((accepted_s - skew.offset_ms / 1e3 - reference_s) * 1e9)
        error_ns = round(skew.error_ms * 1e6)
        latest_ns = accepted_ns + error_ns + round((_STAMP_S + _DELIVERY_S) * 1e9)
        return accepted_ns - error_ns if seen_ns > latest_ns else None

    def _only_we_can_have_caused(self, story: PodStory, since_ns: int, seen_ns: int) -> bool:
        """The taint manager deleted it, and no NoExecute taint but ours can have been on its node before."""
        if story.disruption_reason != DisruptionReason.TAINT_MANAGER:
            return False
        if any(gap.start_ns <= self._injected_ns and gap.end_ns >= since_ns for gap in self._nodes_unseen):
            return False
        for entry, seen in facts(self._record.history, events.NodeSeen):
            if seen.name != story.node or entry.t_ns > seen_ns:
                continue
            evicting = [taint for taint in taints_from_api(seen.taints) if taint.effect is Effect.NO_EXECUTE]
            if any(entry.t_ns < self._injected_ns or taint not in self._our_taints() for taint in evicting):
                return False
        return True

    def _our_taints(self) -> list[Taint]:
        marks = [step.fault.mark for step in self._record.plan.steps if step.fault is not None]
        return [mark.taint for mark in marks if mark is not None and mark.taint is not None]

    def until_ns(self) -> int:
        """Until when a pod that stayed was seen to stay: the closing list, else the end of looking."""
        if self._listed is not None and self._present is not None:
            return self._listed[0].t_ns
        return self._horizon_ns

    def why_not_stayed(self, story: PodStory) -> str:
        """Empty when it is proven that the pod was there until `until_ns`; else what the proof lacks."""
        if self._present is None:
            message = self._listed[1].message if self._listed else ""
            return "the pods were not listed at the end" + (f" ({message})" if message else "")
        if story.uid in self._present:
            return ""
        later_ns = story.deleting_ns
        if later_ns is None:
            return "it is not in the closing list, though nobody saw it go"
        blind = any(gap.end_ns >= self._injected_ns and gap.start_ns <= later_ns for gap in self._pods_unseen)
        if blind or self._departure(story, later_ns).since_ns < self.until_ns():
            return "it is not in the closing list, and the watch was blind"
        return ""

    def untold_node(self, node: str, since_ns: int) -> Window | None:
        """The first gap after the injection in which taints of `node` may have changed unseen before `since_ns`."""
        for gap in self._nodes_unseen:
            in_question = gap.end_ns >= self._injected_ns and gap.start_ns <= min(since_ns, self._horizon_ns)
            if in_question and not untouched(self._record.history, node, gap):
                return gap
        return None

    def earliest_reading(self) -> History | None:
        """The history as if everything learnt in a gap after the injection had happened at the gap's start, and each
        write of ours that took long when it was sent; None when that makes no difference.
        """
        sent = _sent(self._record.history)
        windows: dict[type, Sequence[Window]] = {
            events.PodSeen: self._pod_gaps,
            events.NodeSeen: merged(gaps(self._record.history, "nodes")),
        }
        moved, entries = 0, []
        for entry in self._record.history.entries:
            gap = covering(windows.get(type(entry.fact), ()), entry.t_ns)
            start_ns = None if gap is None else gap.start_ns
            if isinstance(entry.fact, events.NodeSeen) and entry.fact.resource_version in sent:
                sent_ns = sent[entry.fact.resource_version]
                start_ns = sent_ns if gap is not None or entry.t_ns - sent_ns > _TRIP_NS else None
            if start_ns is not None and entry.t_ns > self._injected_ns:
                moved += 1  # one nanosecond apart, so that their order stays
                start_ns = max(start_ns, self._injected_ns) + moved
                entry = replace(entry, t_ns=min(entry.t_ns, start_ns))
            entries.append(entry)
        return replace(self._record.history, entries=tuple(entries)) if moved else None


def untouched(history: History, node: str, gap: Window) -> bool:
    """Nobody wrote the taints of `node` in `gap` of its watch: the list at the gap's end shows no other object, or the
    same taints by the same manager.
    """
    before: events.NodeSeen | None = None
    after: events.NodeSeen | None = None
    for entry, seen in facts(history, events.NodeSeen):
        if seen.name == node and entry.t_ns <= gap.start_ns:
            before = seen
        elif seen.name == node and entry.t_ns <= gap.end_ns:
            after = seen
    if before is None:
        return False
    if after is None:
        return _regained(history, gap)
    same = (before.uid, before.taints, manager(before.taints_by)) == (after.uid, after.taints, manager(after.taints_by))
    return same and after.change not in ("DELETED", "VANISHED") and bool(manager(after.taints_by))


def _regained(history: History, gap: Window) -> bool:
    """A list ended the gap, so that its silence says that nothing changed."""
    return all(lost.from_ns > gap.end_ns or lost.from_ns < gap.start_ns for lost in open_losses(history, "nodes"))


def _sent(history: History) -> dict[str, int]:
    """When each acknowledged change of a node was begun, by the resource version that it brought."""
    begun = {deed.step: deed.invoked_ns for deed in step_records(history) if deed.outcome == "done"}
    return {
        str(done.detail["resourceVersion"]): begun[done.step]
        for _, done in facts(history, events.StepDone)
        if "resourceVersion" in done.detail and done.step in begun
    }


def manager(written_by: str) -> str:
    """Who, without when, of NodeSeen.taints_by."""
    return written_by.split(" ")[0]
