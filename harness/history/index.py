"""Everything that is asked of one history, each found once and kept: judging stays linear in its length. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TypeVar, cast

from harness.history.read import History
from harness.history.stories import (
    STEP_FACTS,
    PodStory,
    StepRecord,
    Window,
    merged,
    tell_endpoints,
    tell_phases,
    tell_pods,
    tell_steps,
    untouched,
)
from harness.model import events
from harness.model.experiment import PhaseName
from harness.model.words import Action, Change, StepResult

F = TypeVar("F")


class HistoryIndex:
    """One pass sorts the entries by the kind of their facts; all else is derived when it is first asked for.

    The history must not change. ValueError from `phases` for a phase that there is not, from nothing else.
    """

    def __init__(self, history: History) -> None:
        """`history`: any, also a torn or an empty one."""
        self.history = history
        self._by_kind: dict[type, list[events.Entry]] = {}
        self._of_steps: list[events.Entry] = []
        self._of_watches: list[events.WatchLost | events.WatchGap] = []
        for entry in history.entries:
            fact = entry.fact
            self._by_kind.setdefault(type(fact), []).append(entry)
            if isinstance(fact, STEP_FACTS):
                self._of_steps.append(entry)
            elif isinstance(fact, events.WatchLost | events.WatchGap):
                self._of_watches.append(fact)
        self._gaps: dict[str, tuple[Window, ...]] = {}
        self._blind: dict[str, tuple[Window, ...]] = {}
        self._unseen: dict[str, tuple[Window, ...]] = {}
        self._untold: dict[str, tuple[Window, ...]] = {}

    # ------------------------------------------------------------------ facts

    def facts(self, kind: type[F]) -> Iterator[tuple[events.Entry, F]]:
        """Every entry whose fact is of `kind`, in order."""
        for entry in self._by_kind.get(kind, ()):
            yield entry, cast(F, entry.fact)

    def first(self, kind: type[F]) -> F | None:
        """The first fact of `kind`; None when there is none."""
        return next((fact for _, fact in self.facts(kind)), None)

    @cached_property
    def last_ns(self) -> int:
        """The stamp of the last entry; 0 in an empty history."""
        return self.history.entries[-1].t_ns if self.history.entries else 0

    @cached_property
    def end_ns(self) -> int:
        """The latest stamp of all; 0 in an empty history."""
        return max((entry.t_ns for entry in self.history.entries), default=0)

    # ------------------------------------------------------------------ what was done

    @cached_property
    def steps(self) -> tuple[StepRecord, ...]:
        """Each step once, in the order invoked."""
        return tell_steps(self._of_steps)

    @cached_property
    def injections(self) -> Mapping[str, StepRecord]:
        """The inject steps by step id, however they ended."""
        return {step.step: step for step in self.steps if step.action is Action.INJECT}

    @cached_property
    def injection(self) -> StepRecord | None:
        """The first inject step that was acknowledged; None when nothing was injected."""
        return next((s for s in self.steps if s.action is Action.INJECT and s.outcome is StepResult.DONE), None)

    @cached_property
    def brought(self) -> Mapping[str, str]:
        """The resource version that each acknowledged change brought, by step id."""
        return {
            done.step: str(done.detail["resourceVersion"])
            for _, done in self.facts(events.StepDone)
            if "resourceVersion" in done.detail
        }

    @cached_property
    def phases(self) -> Mapping[PhaseName, Window]:
        """The phases that took place (`tell_phases`)."""
        return tell_phases(self.steps, self.last_ns)

    @cached_property
    def horizon_ns(self) -> int:
        """Until when pods were left to themselves: the removal of the workload, else the last entry."""
        return next((step.invoked_ns for step in self.steps if step.action is Action.REMOVE), self.last_ns)

    # ------------------------------------------------------------------ what was seen

    @cached_property
    def pods(self) -> Mapping[str, PodStory]:
        """Pods seen, by UID, in the order first seen."""
        return tell_pods(self.facts(events.PodSeen))

    @cached_property
    def nodes(self) -> Mapping[str, tuple[tuple[int, events.NodeSeen], ...]]:
        """The sightings of each node, (t_ns, fact) in order, by name."""
        return _grouped((seen.name, (entry.t_ns, seen)) for entry, seen in self.facts(events.NodeSeen))

    @cached_property
    def endpoints(self) -> Mapping[tuple[str, str], list[tuple[int, int]]]:
        """Ready endpoints of each Service until the horizon (`tell_endpoints`)."""
        return tell_endpoints(self.facts(events.EndpointSeen), self.horizon_ns)

    @cached_property
    def endpoint_lists(self) -> frozenset[int]:
        """The instants at which the EndpointSlices were listed: slice after slice, though it is one state."""
        listed = (Change.LISTED, Change.VANISHED)
        return frozenset(entry.t_ns for entry, seen in self.facts(events.EndpointSeen) if seen.change in listed)

    @cached_property
    def samples(self) -> Mapping[tuple[str, str], tuple[events.Sample, ...]]:
        """Samples by (signal, name), in order."""
        return _grouped(((fact.signal, fact.name), fact) for _, fact in self.facts(events.Sample))

    # ------------------------------------------------------------------ when nobody was looking

    def gaps(self, resource: str) -> tuple[Window, ...]:
        """When the watch of `resource` (``pods``, ``nodes`` ...) was blind, in the order written: its own gaps, those
        of every watch (late answers count for all), and a loss that was never regained, to the end of the history.
        """
        if resource not in self._gaps:
            own = self._gaps_of(resource, events.ALL_WATCHES, events.ANSWERS)
            self._gaps[resource] = (*own, *self._to_the_end(resource), *self._never(resource))
        return self._gaps[resource]

    def blind(self, resource: str) -> tuple[Window, ...]:
        """`gaps`, merged."""
        if resource not in self._blind:
            self._blind[resource] = tuple(merged(self.gaps(resource)))
        return self._blind[resource]

    def unseen(self, resource: str) -> tuple[Window, ...]:
        """The gaps of `resource` in which something may have come and gone without ever being shown, merged. A
        standstill of our own is none: what came meanwhile was shown afterwards, only its stamps are late.
        """
        if resource not in self._unseen:
            windows = [*self._gaps_of(resource), *self._to_the_end(resource), *self._never(resource)]
            self._unseen[resource] = tuple(merged(windows))
        return self._unseen[resource]

    def untold(self, node: str) -> tuple[Window, ...]:
        """Those of ``unseen("nodes")`` in which the taints of `node` may have changed (`untouched`), ascending."""
        if node not in self._untold:
            sightings = self.nodes.get(node, ())
            self._untold[node] = tuple(
                gap for gap in self.unseen("nodes") if not untouched(sightings, gap, regained=self._regained(gap))
            )
        return self._untold[node]

    @cached_property
    def lost(self) -> Mapping[str, tuple[events.WatchLost, ...]]:
        """Losses of a watch after which it was never regained, by resource; those that have any."""
        out: dict[str, list[events.WatchLost]] = {}
        for fact in self._of_watches:
            if isinstance(fact, events.WatchLost):
                out.setdefault(fact.resource, []).append(fact)
            else:
                out.pop(fact.resource, None)
        return {resource: tuple(losses) for resource, losses in out.items()}

    def was_watched(self, resource: str, namespaces: frozenset[str] | None = frozenset()) -> bool:
        """Whether anybody watched `resource`, in all of `namespaces` (None: in the whole cluster); of what nobody
        watched nothing is known. Format 2 does not say, and had every watch.
        """
        run = self.first(events.RunStarted)
        if run is None or run.format < events.WATCHES_SAID:
            return True
        scopes = [started.namespaces for _, started in self.facts(events.WatchStarted) if started.resource == resource]
        return any(scope is None or (namespaces is not None and namespaces.issubset(scope)) for scope in scopes)

    def closing_list(self, resource: str) -> tuple[events.Entry, events.ClosingList] | None:
        """The last closing list of `resource`, whether it was had or not; None when none was asked for."""
        found = [item for item in self.facts(events.ClosingList) if item[1].resource == resource]
        return found[-1] if found else None

    def _gaps_of(self, *resources: str) -> list[Window]:
        return [
            Window(gap.from_ns, entry.t_ns if gap.to_ns is None else gap.to_ns)
            for entry, gap in self.facts(events.WatchGap)
            if gap.resource in resources
        ]

    def _to_the_end(self, resource: str) -> list[Window]:
        return [Window(loss.from_ns, self.end_ns) for loss in self.lost.get(resource, ())]

    def _never(self, resource: str) -> list[Window]:
        return [] if self.was_watched(resource) else [Window(0, self.end_ns)]

    def _regained(self, gap: Window) -> bool:
        """A list ended the gap of the nodes' watch."""
        return all(loss.from_ns > gap.end_ns or loss.from_ns < gap.start_ns for loss in self.lost.get("nodes", ()))


K = TypeVar("K")


def _grouped(pairs: Iterable[tuple[K, F]]) -> dict[K, tuple[F, ...]]:
    out: dict[K, list[F]] = {}
    for key, value in pairs:
        out.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in out.items()}
