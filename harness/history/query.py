"""Stories derived from facts: when phases were, when the fault began, what happened to each pod. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from harness.history.read import History
from harness.model import events
from harness.model.experiment import PhaseName
from harness.model.plan import Action
from harness.model.taints import Toleration, tolerations_from_api

F = TypeVar("F")


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
    """One step as it went: invoked, and how it ended. `outcome`: done, refused, indeterminate or unfinished."""

    step: str
    action: str
    subject: str
    invoked_ns: int
    ended_ns: int | None
    outcome: str
    message: str = ""


@dataclass(slots=True)
class PodStory:
    """What the watch showed of one pod (one UID). Nanoseconds since the run's start; None: never seen.

    `seen_ns`: first sighting (0 or before the run's first list counts as there from the start); `listed` tells that
    it was in a list
    rather than an ADDED event. `deleting_ns`: deletionTimestamp first seen. `blind`: the deletion was learnt from a
    list after a gap,
    so its stamp is only an upper bound. `deletion_timestamp`, `grace_s`: the object's own, as first seen.
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


def facts(history: History, kind: type[F]) -> Iterator[tuple[events.Entry, F]]:
    """Every entry whose fact is of `kind`, in order."""
    for entry in history.entries:
        if isinstance(entry.fact, kind):
            yield entry, entry.fact


def step_records(history: History) -> list[StepRecord]:
    """Each step once, in the order invoked, paired by step id."""
    ends: dict[str, tuple[int, str, str]] = {}
    for entry in history.entries:
        fact = entry.fact
        if isinstance(fact, events.StepDone):
            ends[fact.step] = (entry.t_ns, "done", "")
        elif isinstance(fact, events.StepRefused):
            ends[fact.step] = (entry.t_ns, "refused", fact.message)
        elif isinstance(fact, events.StepIndeterminate):
            ends[fact.step] = (entry.t_ns, "indeterminate", fact.message)
    out = []
    for entry, invoked in facts(history, events.StepInvoked):
        ended_ns, outcome, message = ends.get(invoked.step, (None, "unfinished", ""))
        out.append(StepRecord(invoked.step, invoked.action, invoked.subject, entry.t_ns, ended_ns, outcome, message))
    return out


def phase_windows(history: History) -> dict[PhaseName, Window]:
    """The phases that began; none when the run ended before. One that was cut short ends with the next phase, or with
    the last entry.
    """
    begun: list[tuple[PhaseName, int]] = [
        (PhaseName(deed.subject), deed.invoked_ns) for deed in step_records(history) if deed.action == Action.PHASE
    ]
    stop = next((d.invoked_ns for d in step_records(history) if d.action == Action.STOP_LOAD), None)
    last = stop if stop is not None else (history.entries[-1].t_ns if history.entries else 0)
    ends = [*(start for _, start in begun[1:]), last]
    return {name: Window(start, max(start, end)) for (name, start), end in zip(begun, ends, strict=False)}


def first_injection(history: History) -> StepRecord | None:
    """The first inject step that was acknowledged; None when nothing was injected."""
    return next((d for d in step_records(history) if d.action == Action.INJECT and d.outcome == "done"), None)


def pod_stories(history: History) -> dict[str, PodStory]:
    """What happened to every pod seen, by UID, in the order first seen."""
    stories: dict[str, PodStory] = {}
    for entry, seen in facts(history, events.PodSeen):
        story = stories.get(seen.uid)
        if story is None:
            story = PodStory(
                namespace=seen.namespace,
                name=seen.name,
                uid=seen.uid,
                owner_kind=seen.owner_kind,
                owner_name=seen.owner_name,
                owner_uid=seen.owner_uid,
                seen_ns=entry.t_ns,
            )
            stories[seen.uid] = story
        _advance(story, entry, seen)
    return stories


def _advance(story: PodStory, entry: events.Entry, seen: events.PodSeen) -> None:
    relisted = seen.change in ("LISTED", "VANISHED")
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
    if seen.change in ("DELETED", "VANISHED"):
        story.gone_ns = entry.t_ns
        if story.deleting_ns is None:
            story.deleting_ns, story.blind = entry.t_ns, relisted
    story.phase = seen.phase
    story.disruption_reason = seen.disruption_reason or story.disruption_reason
    story.tolerations = tolerations_from_api(seen.tolerations)


def gaps(history: History, resource: str) -> list[Window]:
    """When the watch of `resource` (``pods``, ``nodes`` ...) was blind, in the order written: its own gaps, those of
    every watch (late answers count for all), and a loss that was never regained, to the end of the history.
    """
    out = [
        Window(gap.from_ns, entry.t_ns if gap.to_ns is None else gap.to_ns)
        for entry, gap in facts(history, events.WatchGap)
        if gap.resource in (resource, events.ALL_WATCHES, events.ANSWERS)
    ]
    return out + [Window(lost.from_ns, _end_ns(history)) for lost in open_losses(history, resource)]


def unseen(history: History, resource: str) -> list[Window]:
    """The gaps of `resource` in which something may have come and gone without ever being shown. A standstill of our
    own is none: what came meanwhile was shown afterwards, only its stamps are late.
    """
    out = [
        Window(gap.from_ns, entry.t_ns if gap.to_ns is None else gap.to_ns)
        for entry, gap in facts(history, events.WatchGap)
        if gap.resource == resource
    ]
    return merged(out + [Window(lost.from_ns, _end_ns(history)) for lost in open_losses(history, resource)])


def open_losses(history: History, resource: str) -> list[events.WatchLost]:
    """Losses of the watch of `resource` after which it was never regained."""
    lost: list[events.WatchLost] = []
    for entry in history.entries:
        if isinstance(entry.fact, events.WatchLost) and entry.fact.resource == resource:
            lost.append(entry.fact)
        elif isinstance(entry.fact, events.WatchGap) and entry.fact.resource == resource:
            lost.clear()
    return lost


def merged(windows: Iterable[Window]) -> list[Window]:
    """The same time in the fewest windows, ascending: those that touch are one."""
    out: list[Window] = []
    for window in sorted(windows, key=lambda window: window.start_ns):
        if out and window.start_ns <= out[-1].end_ns:
            out[-1] = Window(out[-1].start_ns, max(out[-1].end_ns, window.end_ns))
        else:
            out.append(window)
    return out


def covering(windows: Iterable[Window], t_ns: int) -> Window | None:
    """The first window that holds `t_ns`, both ends included: a list that ends a gap is stamped with its very end."""
    return next((window for window in windows if window.start_ns <= t_ns <= window.end_ns), None)


def closing_list(history: History, resource: str) -> tuple[events.Entry, events.ClosingList] | None:
    """The last closing list of `resource`, whether it was had or not; None when none was asked for."""
    found = [(entry, fact) for entry, fact in facts(history, events.ClosingList) if fact.resource == resource]
    return found[-1] if found else None


def _end_ns(history: History) -> int:
    return max((entry.t_ns for entry in history.entries), default=0)
