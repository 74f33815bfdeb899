"""What could be seen, and when nobody was looking: the bounds within which things happened. Pure.

A stamp of ours says when we learnt of something. It is when it happened only while the watch was in sight; else it is
an upper bound, and the start of the gap is the lower one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from harness.check.record import RunRecord
from harness.history.read import History
from harness.history.stories import PodStory, Window, covering
from harness.model import events
from harness.model.taints import Effect, taints_from_api
from harness.model.wellknown import DisruptionReason
from harness.model.words import StepResult

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
        self._history = record.history
        self._index = record.index
        self._injected_ns = injected_ns
        self._horizon_ns = record.horizon_ns
        self._pod_gaps = self._index.blind("pods")
        unseen = [gap.start_ns for gap in self._index.unseen("pods") if gap.end_ns >= injected_ns]
        self._unseen_from_ns = min(unseen, default=None)
        before = [gap.end_ns for gap in self._index.unseen("nodes") if gap.start_ns <= injected_ns]
        self._nodes_unseen_to_ns = max(before, default=None)
        skews: dict[int, tuple[events.Entry, events.SkewMeasured]] = {}
        for entry, skew in self._index.facts(events.SkewMeasured):
            skews.setdefault(entry.t_ns, (entry, skew))
        self._skews = [skews[at_ns] for at_ns in sorted(skews)]
        self._listed = self._index.closing_list("pods")
        self._present = frozenset(self._listed[1].present) if self._listed and self._listed[1].ok else None
        marks = [step.fault.mark for step in record.plan.steps if step.fault is not None]
        self._our_taints = {mark.taint for mark in marks if mark is not None}
        self._foreign_ns: dict[str, int | None] = {}

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
        entry, skew = self._nearest_skew(seen_ns)
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

    def _nearest_skew(self, t_ns: int) -> tuple[events.Entry, events.SkewMeasured]:
        """The skew that was measured nearest to `t_ns`, the earlier of two; there is one."""
        at = bisect_left(self._skews, t_ns, key=lambda item: item[0].t_ns)
        near = self._skews[max(0, at - 1) : at + 1]
        return min(near, key=lambda item: abs(item[0].t_ns - t_ns))

    def _only_we_can_have_caused(self, story: PodStory, since_ns: int, seen_ns: int) -> bool:
        """The taint manager deleted it, and no NoExecute taint but ours can have been on its node before."""
        if story.disruption_reason != DisruptionReason.TAINT_MANAGER:
            return False
        if self._nodes_unseen_to_ns is not None and self._nodes_unseen_to_ns >= since_ns:
            return False
        foreign_ns = self._foreign_since(story.node)
        return foreign_ns is None or foreign_ns > seen_ns

    def _foreign_since(self, node: str) -> int | None:
        """When `node` was first seen with a NoExecute taint that cannot be ours; None when never."""
        if node not in self._foreign_ns:
            found = (at_ns for at_ns, seen in self._index.nodes.get(node, ()) if self._is_foreign(at_ns, seen))
            self._foreign_ns[node] = min(found, default=None)
        return self._foreign_ns[node]

    def _is_foreign(self, at_ns: int, seen: events.NodeSeen) -> bool:
        evicting = [taint for taint in taints_from_api(seen.taints) if taint.effect is Effect.NO_EXECUTE]
        return any(at_ns < self._injected_ns or taint not in self._our_taints for taint in evicting)

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
        blind = self._unseen_from_ns is not None and self._unseen_from_ns <= later_ns
        if blind or self._departure(story, later_ns).since_ns < self.until_ns():
            return "it is not in the closing list, and the watch was blind"
        return ""

    def untold_node(self, node: str, since_ns: int) -> Window | None:
        """The first gap after the injection in which taints of `node` may have changed unseen before `since_ns`."""
        untold = self._index.untold(node)
        first = next((gap for gap in untold if gap.end_ns >= self._injected_ns), None)
        return first if first is not None and first.start_ns <= min(since_ns, self._horizon_ns) else None

    def earliest_reading(self) -> History | None:
        """The history as if everything learnt in a gap after the injection had happened at the gap's start, and each
        write of ours that took long when it was sent; None when that makes no difference.
        """
        sent = self._sent()
        windows: dict[type, Sequence[Window]] = {
            events.PodSeen: self._pod_gaps,
            events.NodeSeen: self._index.blind("nodes"),
        }
        moved, entries = 0, []
        for entry in self._history.entries:
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
        return replace(self._history, entries=tuple(entries)) if moved else None

    def _sent(self) -> dict[str, int]:
        """When each acknowledged change of a node was begun, by the resource version that it brought."""
        begun = {step.step: step.invoked_ns for step in self._index.steps if step.outcome is StepResult.DONE}
        return {version: begun[step] for step, version in self._index.brought.items() if step in begun}
