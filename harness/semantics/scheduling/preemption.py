"""Who would be preempted to make room for a more important pod.

Source: pkg/scheduler/framework/plugins/defaultpreemption (SelectVictimsOnNode) and framework/preemption
(pickOneNodeForPreemption). Upstream looks at some of the nodes only, from a random one on, when there are more than a
hundred; here the first ones in order are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.model.state import PodDisruptionBudget, PodTemplate
from harness.semantics.scheduling.scheduler import Scheduler
from harness.semantics.scheduling.static_filters import FeasibleNodes

_MIN_NODES = 100
_SHARE = 10
_OFFSET = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class Occupant:
    """A bound pod that may have to go. `key`: ``namespace/name``, or how its request is called. `started`: RFC 3339."""

    key: str
    template: PodTemplate
    started: str = ""


@dataclass(frozen=True, slots=True)
class Eviction:
    """Which node is cleared for the pod, and of whom."""

    node: int
    victims: tuple[Occupant, ...]
    violating: int


class DefaultPreemption:
    """Knows who is on which node."""

    def __init__(
        self, engine: Scheduler, occupants: Mapping[int, list[Occupant]], budgets: Iterable[PodDisruptionBudget]
    ) -> None:
        """`occupants` by node; owned from here on."""
        self._engine = engine
        self._occupants = dict(occupants)
        self._budgets: dict[str, list[PodDisruptionBudget]] = {}
        for budget in budgets:
            if budget.selector.terms:  # upstream: an empty selector protects nobody here
                self._budgets.setdefault(budget.namespace, []).append(budget)
        self._hopeless: list[tuple[FeasibleNodes, int, Mapping[str, int]]] = []
        self._lowest = min((o.template.priority for on in self._occupants.values() for o in on), default=0)

    def moved_in(self, node: int, occupant: Occupant) -> None:
        """A pod was placed. Whoever was hopeless stays so: preempting this one again brings back what was before."""
        self._occupants.setdefault(node, []).append(occupant)
        self._lowest = min(self._lowest, occupant.template.priority)

    def preempt(self, template: PodTemplate) -> Eviction | None:
        """The victims that make room for one pod, already removed; None when that would not help."""
        feasible = self._engine.feasible(template)
        if not template.preempts or template.priority <= self._lowest or feasible is None:
            return None
        rules = self._engine.filters.of(template)
        if not rules and self._is_hopeless(template, feasible):
            return None
        allowed = sorted(feasible.allowed)
        enough = max(_MIN_NODES, len(allowed) // _SHARE)
        found: list[Eviction] = []
        for node in allowed:
            eviction = self._on_node(template, node)
            if eviction is not None:
                found.append(eviction)
                if len(found) >= enough:
                    break
        if not found:
            if not rules:
                self._hopeless.append((feasible, template.priority, template.requests))
            return None
        order = self._engine.room.order
        chosen = min(found, key=lambda e: (*_cost(e), order[e.node] if order else e.node))
        self._occupants[chosen.node] = [o for o in self._occupants[chosen.node] if o not in chosen.victims]
        self._engine.clear([(victim.template, chosen.node) for victim in chosen.victims])
        return chosen

    def _is_hopeless(self, template: PodTemplate, feasible: FeasibleNodes) -> bool:
        """Whether no more important pod with no greater requests could be helped on the same feasible."""
        return any(
            tried is feasible
            and template.priority <= priority
            and all(template.requests.get(name, 0) >= number for name, number in requests.items())
            for tried, priority, requests in self._hopeless
        )

    def _on_node(self, template: PodTemplate, node: int) -> Eviction | None:
        lesser = [o for o in self._occupants.get(node, ()) if o.template.priority < template.priority]
        if not lesser or not self._engine.room.possible(node, template.requests):
            return None
        leaving = [occupant.template for occupant in lesser]
        if not self._engine.would_fit(template, node, leaving):
            return None
        lesser.sort(key=lambda occupant: (-occupant.template.priority, occupant.started))
        violating = self._violating(lesser)
        victims: list[Occupant] = []
        broken = 0
        for occupant in [o for o in lesser if o in violating] + [o for o in lesser if o not in violating]:
            leaving.remove(occupant.template)
            if not self._engine.would_fit(template, node, leaving):
                leaving.append(occupant.template)
                victims.append(occupant)
                broken += occupant in violating
        victims.sort(key=lambda occupant: (-occupant.template.priority, occupant.started))
        return Eviction(node, tuple(victims), broken)

    def _violating(self, occupants: Sequence[Occupant]) -> set[Occupant]:
        """Those whose going would break a budget, in this order."""
        left: dict[tuple[str, str], int] = {}
        out: set[Occupant] = set()
        for occupant in occupants:
            template = occupant.template
            for budget in self._budgets.get(template.namespace, ()):
                if template.labels and budget.selector.matches(template.labels):
                    name = budget.namespace, budget.name
                    left[name] = left.get(name, budget.allowed) - 1
                    if left[name] < 0:
                        out.add(occupant)
        return out


def _cost(eviction: Eviction) -> tuple[int, int, int, int, tuple[int, ...]]:
    """Upstream's order of preference: fewest broken budgets, least important first victim, smallest sum of priorities,
    fewest victims, and the latest start among the most important ones.
    """
    priorities = [victim.template.priority for victim in eviction.victims]
    first = max(priorities, default=-_OFFSET)
    earliest = min((v.started for v in eviction.victims if v.template.priority == first), default="")
    latest_first = tuple(-ord(letter) for letter in earliest)
    return (
        eviction.violating,
        first,
        sum(priority + _OFFSET for priority in priorities),
        len(priorities),
        latest_first,
    )
