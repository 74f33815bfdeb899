"""What is told of steps, phases, pods and watches: values, and how each is made of facts. Pure.

`harness.history.index` asks all of it of one history; `harness.history.query` one question at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.model import events
from harness.model.experiment import PhaseName
from harness.model.taints import Toleration, tolerations_from_api
from harness.model.words import Action, Change, StepResult


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span [start_ns, end_ns) since the start of the run."""

    start_ns: int
    end_ns: int

    @property
    def length_s(self) -> float:
        """Its length in seconds."""
        return (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step as it went: invoked, and how it ended."""

    step: str
    action: Action
    subject: str
    invoked_ns: int
    ended_ns: int | None
    outcome: StepResult
    message: str = ""


@dataclass(slots=True)
class PodStory:
    """What the watch showed of one pod (one UID). Nanoseconds since the run's start; None: never seen.

    `seen_ns`: first sighting (0 or before the run's first list counts as there from the start); `listed` tells that it
    was in a list rather than an ADDED event. `deleting_ns`: deletionTimestamp first seen. `blind`: the deletion was
    learnt from a list after a gap, so its stamp is only an upper bound. `deletion_timestamp`, `grace_s`: the object's
    own, as first seen.
    """

    namespace: str
    name: str
    uid: str
    owner_kind: str
    owner_name: str
    owner_uid: str
    node: str = ""
    seen_ns: int = 0
    scheduled_ns: int | None = None
    ready_ns: int | None = None
    first_ready_ns: int | None = None
    deleting_ns: int | None = None
    gone_ns: int | None = None
    phase: str = ""
    disruption_reason: str | None = None
    blind: bool = False
    deletion_timestamp: str | None = None
    grace_s: int | None = None
    tolerations: tuple[Toleration, ...] = ()

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


STEP_FACTS = (events.StepInvoked, events.StepDone, events.StepRefused, events.StepIndeterminate)
"""The facts that tell of steps."""


def tell_steps(entries: Iterable[events.Entry]) -> tuple[StepRecord, ...]:
    """Each step once, in the order invoked, paired by step id."""
    ends: dict[str, tuple[int, StepResult, str]] = {}
    begun: list[tuple[int, events.StepInvoked]] = []
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, events.StepInvoked):
            begun.append((entry.t_ns, fact))
        elif isinstance(fact, events.StepDone):
            ends[fact.step] = (entry.t_ns, StepResult.DONE, "")
        elif isinstance(fact, events.StepRefused):
            ends[fact.step] = (entry.t_ns, StepResult.REFUSED, fact.message)
        elif isinstance(fact, events.StepIndeterminate):
            ends[fact.step] = (entry.t_ns, StepResult.INDETERMINATE, fact.message)
    unfinished = (None, StepResult.UNFINISHED, "")
    return tuple(
        StepRecord(fact.step, fact.action, fact.subject, at_ns, *ends.get(fact.step, unfinished))
        for at_ns, fact in begun
    )


def tell_phases(steps: Sequence[StepRecord], last_ns: int) -> dict[PhaseName, Window]:
    """The phases that began; none when the run ended before. One that was cut short ends with the next phase, or with
    the last entry, at `last_ns`. ValueError for a phase that there is not.
    """
    begun = [(PhaseName(step.subject), step.invoked_ns) for step in steps if step.action is Action.PHASE]
    stop = next((step.invoked_ns for step in steps if step.action is Action.STOP_LOAD), None)
    ends = [*(start for _, start in begun[1:]), last_ns if stop is None else stop]
    return {name: Window(start, max(start, end)) for (name, start), end in zip(begun, ends, strict=False)}


def tell_pods(seen: Iterable[tuple[events.Entry, events.PodSeen]]) -> dict[str, PodStory]:
    """What happened to every pod seen, by UID, in the order first seen."""
    stories: dict[str, PodStory] = {}
    tolerations: dict[str, tuple[Mapping[str, Any], ...]] = {}
    for entry, pod in seen:
        story = stories.get(pod.uid)
        if story is None:
            story = PodStory(
                namespace=pod.namespace,
                name=pod.name,
                uid=pod.uid,
                owner_kind=pod.owner_kind,
                owner_name=pod.owner_name,
                owner_uid=pod.owner_uid,
                seen_ns=entry.t_ns,
            )
            stories[pod.uid] = story
        _advance(story, entry, pod)
        tolerations[pod.uid] = pod.tolerations
    for uid, last in tolerations.items():
        stories[uid].tolerations = tolerations_from_api(last)
    return stories


def _advance(story: PodStory, entry: events.Entry, seen: events.PodSeen) -> None:
    relisted = seen.change in (Change.LISTED, Change.VANISHED)
    if seen.node and not story.node:
        story.node, story.scheduled_ns = seen.node, entry.t_ns
    if seen.ready and story.ready_ns is None:
        story.ready_ns = entry.t_ns
        if story.first_ready_ns is None:
            story.first_ready_ns = entry.t_ns
    if not seen.ready:
        story.ready_ns = None
    if seen.deletion_timestamp and story.deleting_ns is None:
        story.deleting_ns, story.blind = entry.t_ns, relisted
        story.deletion_timestamp, story.grace_s = seen.deletion_timestamp, seen.grace_s
    if seen.change.is_end:
        story.gone_ns = entry.t_ns
        if story.deleting_ns is None:
            story.deleting_ns, story.blind = entry.t_ns, relisted
    story.phase = seen.phase
    story.disruption_reason = seen.disruption_reason or story.disruption_reason


def merged(windows: Iterable[Window]) -> list[Window]:
    """The same time in the fewest windows, ascending: those that touch are one."""
    out: list[Window] = []
    for window in sorted(windows, key=lambda window: window.start_ns):
        if out and window.start_ns <= out[-1].end_ns:
            out[-1] = Window(out[-1].start_ns, max(out[-1].end_ns, window.end_ns))
        else:
            out.append(window)
    return out


def covering(windows: Sequence[Window], t_ns: int) -> Window | None:
    """The window that holds `t_ns`, both ends included: a list that ends a gap is stamped with its very end. `windows`
    as `merged` gives them.
    """
    at = bisect_right(windows, t_ns, key=lambda window: window.start_ns)
    return windows[at - 1] if at and t_ns <= windows[at - 1].end_ns else None


def tell_endpoints(
    seen: Iterable[tuple[events.Entry, events.EndpointSeen]], until_ns: int
) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Ready endpoints of each Service, by (namespace, name): (t_ns, count) at every change until `until_ns`, summed
    over its slices.
    """
    slices: dict[tuple[str, str], dict[str, int]] = {}
    out: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for entry, fact in seen:
        if entry.t_ns > until_ns:
            continue
        service = (fact.namespace, fact.service)
        ready, points = slices.setdefault(service, {}), out.setdefault(service, [])
        before = points[-1][1] if points else 0
        points.append((entry.t_ns, before - ready.get(fact.slice, 0) + fact.ready))
        ready[fact.slice] = fact.ready
    return out


def manager(written_by: str) -> str:
    """Who, without when, of NodeSeen.taints_by."""
    return written_by.split(" ")[0]


def untouched(sightings: Sequence[tuple[int, events.NodeSeen]], gap: Window, *, regained: bool) -> bool:
    """Nobody wrote the taints of a node in `gap` of its watch: the list at the gap's end shows no other object, or the
    same taints by the same manager. `sightings`: (t_ns, fact) of that node, in order; `regained`: a list ended the
    gap, so that its silence says that nothing changed.
    """
    before: events.NodeSeen | None = None
    after: events.NodeSeen | None = None
    for at_ns, seen in sightings:
        if at_ns <= gap.start_ns:
            before = seen
        elif at_ns <= gap.end_ns:
            after = seen
    if before is None:
        return False
    if after is None:
        return regained
    same = (before.uid, before.taints, manager(before.taints_by)) == (after.uid, after.taints, manager(after.taints_by))
    return same and not after.change.is_end and bool(manager(after.taints_by))
