"""The order in which pods are placed, and what comes of each.

As in the scheduler's queue: by time, then priority, then arrival. A pod that does not fit may preempt less important
ones, whose replacements then queue up themselves. Pods left over are tried again as long as others move: affinity and
spread may let them in later.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from harness.model.state import Pod, PodDisruptionBudget, PodTemplate
from harness.semantics.scheduling.candidates import Placed
from harness.semantics.scheduling.preemption import DefaultPreemption, Occupant
from harness.semantics.scheduling.scheduler import Scheduler
from harness.semantics.scheduling.static_filters import NodeRank

MAX_PREEMPTIONS = 200
"""How many pods may preempt others before the rest is left Pending with a note: each costs a look at many nodes."""


class PlacementOutcome(StrEnum):
    """What becomes of a pod that wants a node.

    FITS: there is a node for it. EVICTION_LOOP: only nodes where it will be evicted again. PREEMPTS: a node for it once
    less important pods have been preempted. PENDING: none. UNKNOWN: nothing known speaks against it, but not all is
    known.
    """

    FITS = "fits"
    EVICTION_LOOP = "eviction-loop"
    PREEMPTS = "preempts"
    PENDING = "pending"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Request:
    """A pod that wants a node from `at_s` on. `key`: how it is called, unique."""

    key: str
    template: PodTemplate
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Placement:
    """The answer. `node`: one that would do, None without. `reason`: for PENDING the scheduler's words, for UNKNOWN
    what is not known. `again`: it may as well land where it will be evicted again. `victims`: who is preempted for it.
    """

    fate: PlacementOutcome
    node: str | None = None
    reason: str = ""
    again: bool = False
    victims: tuple[str, ...] = ()


@dataclass(slots=True)
class Placements:
    """`placements` by the request's key; `displaced`: requests of pods that were preempted, which are answered too."""

    placements: dict[str, Placement] = field(default_factory=dict)
    displaced: list[Request] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    """Requests of one template that are due together, first come first served."""

    template: PodTemplate
    at_s: float
    keys: list[str]


def place_all(
    engine: Scheduler,
    requests: Sequence[Request],
    *,
    staying: Iterable[Pod] = (),
    budgets: Iterable[PodDisruptionBudget] = (),
    replaced: Callable[[PodTemplate], bool] = lambda template: template.owner is not None,
) -> Placements:
    """Place every request. `staying`: the bound pods that `engine` was made with, in case some must make room.
    `replaced`: whether a pod of that template comes back when it is preempted.
    """
    return _Queue(engine, staying, budgets, replaced).run(requests)


class _Queue:
    def __init__(
        self,
        engine: Scheduler,
        staying: Iterable[Pod],
        budgets: Iterable[PodDisruptionBudget],
        replaced: Callable[[PodTemplate], bool],
    ) -> None:
        self._engine = engine
        self._staying = staying
        self._budgets = budgets
        self._replaced = replaced
        self._heap: list[tuple[float, int, int, _Group]] = []
        self._order = 0
        self._preemptor: DefaultPreemption | None = None
        self._moved_in: list[tuple[int, str, PodTemplate]] = []
        self._preemptions = 0
        self._waiting: list[_Group] = []
        self._placed = Placements()
        self._alike: dict[tuple[Placed, str], Placement] = {}

    def run(self, requests: Sequence[Request]) -> Placements:
        groups: dict[tuple[PodTemplate, float], _Group] = {}
        for request in requests:
            known_as = request.template, request.at_s
            group = groups.get(known_as)
            if group is None:
                group = groups[known_as] = _Group(request.template, request.at_s, [])
                self._push(group)
            group.keys.append(request.key)
        while self._heap:
            self._serve(heapq.heappop(self._heap)[3])
        self._retry()
        for group in self._waiting:
            reason = self._engine.explain(group.template)
            if self._preemptions >= MAX_PREEMPTIONS and group.template.preempts and group.template.priority > 0:
                reason += f" (after {MAX_PREEMPTIONS} preemptions no more were followed)"
            pending = Placement(PlacementOutcome.PENDING, reason=reason)
            self._placed.placements.update(dict.fromkeys(group.keys, pending))
        return self._placed

    def _push(self, group: _Group) -> None:
        heapq.heappush(self._heap, (group.at_s, -group.template.priority, self._order, group))
        self._order += 1

    def _serve(self, group: _Group) -> bool:
        """Place what fits; whether any did. What is left over joins those that wait."""
        spots = self._engine.place(group.template, len(group.keys))
        unknown = self._engine.unknown(group.template) if spots else ""
        for key, spot in zip(group.keys, spots, strict=False):
            self._settle(key, group.template, spot, unknown)
        rest = group.keys[len(spots) :]
        while rest and self._preempt(rest[0], group):
            rest = rest[1:]
        moved = len(rest) < len(group.keys)
        if rest:
            self._waiting.append(_Group(group.template, group.at_s, rest))
        return moved

    def _settle(self, key: str, template: PodTemplate, spot: Placed, unknown: str) -> None:
        known_as = spot, unknown
        placement = self._alike.get(known_as)
        if placement is None:
            fate = PlacementOutcome.EVICTION_LOOP if spot.tier is NodeRank.EVICTS else PlacementOutcome.FITS
            node = self._engine.table.nodes[spot.node].name
            placement = Placement(PlacementOutcome.UNKNOWN if unknown else fate, node, unknown, spot.again)
            self._alike[known_as] = placement
        self._placed.placements[key] = placement
        self._moved(spot.node, key, template)

    def _moved(self, node: int, key: str, template: PodTemplate) -> None:
        if self._preemptor is None:
            self._moved_in.append((node, key, template))
        else:
            self._preemptor.moved_in(node, Occupant(key, template))

    def _preempt(self, key: str, group: _Group) -> bool:
        """Preempt less important pods for one pod, if that helps."""
        template = group.template
        if not template.preempts or template.gates or self._preemptions >= MAX_PREEMPTIONS:
            return False
        eviction = self._the_preemptor().preempt(template)
        if eviction is None:
            return False
        self._preemptions += 1
        self._engine.put(template, eviction.node)
        self._moved(eviction.node, key, template)
        node = self._engine.table.nodes[eviction.node].name
        victims = tuple(victim.key for victim in eviction.victims)
        self._placed.placements[key] = Placement(PlacementOutcome.PREEMPTS, node=node, victims=victims)
        for victim in eviction.victims:
            self._placed.placements.pop(victim.key, None)
            if self._replaced(victim.template):
                request = Request(victim.key, victim.template, group.at_s)
                self._placed.displaced.append(request)
                self._push(_Group(victim.template, group.at_s, [victim.key]))
        return True

    def _the_preemptor(self) -> DefaultPreemption:
        """Made when first needed: it has to know every pod by node."""
        if self._preemptor is None:
            occupants: dict[int, list[Occupant]] = {}
            index = self._engine.table.index
            for pod in self._staying:
                if pod.alive and pod.node in index:
                    occupant = Occupant(pod.key, pod.template, pod.started or "")
                    occupants.setdefault(index[pod.node], []).append(occupant)
            for node, key, template in self._moved_in:
                occupants.setdefault(node, []).append(Occupant(key, template))
            self._preemptor = DefaultPreemption(self._engine, occupants, self._budgets)
        return self._preemptor

    def _retry(self) -> None:
        """Again, for those that others may have made a place for, until nothing moves."""
        moved = True
        while moved:
            moved = False
            waiting, self._waiting = self._waiting, []
            for group in waiting:
                if group.template.spread or group.template.affinity or self._preemptions:
                    moved = self._serve(group) or moved
                else:
                    self._waiting.append(group)
            while self._heap:
                moved = self._serve(heapq.heappop(self._heap)[3]) or moved
