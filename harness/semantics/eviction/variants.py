"""What nobody outside can know, as values to try: each combination makes one simulation of a scenario.

A simulation is exact; the forecast is what all simulations have in common, and the hull of their instants. Only
what a scenario makes relevant is varied, at its extremes and on both sides of every write that it may fall before or
after.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import product

from harness.model.scenario import (
    DeleteNode,
    Restart,
    Scenario,
    SetCondition,
    SetTaints,
    StartHeartbeat,
    StopHeartbeat,
    Write,
)
from harness.model.taints import Effect, Taint
from harness.model.wellknown import NOT_READY, UNREACHABLE
from harness.semantics.eviction.settings import Settings

MAX_SIMULATIONS = 96
"""How many simulations are tried at most; beyond, the values in between the extremes are left out first."""
_EDGE_S = 0.001
_GRID = 4


class Ordering(Enum):
    """How the controller sees writes that follow each other within `Latency.together_s`: one by one as written; all at
    once, when the last is done; or one by one, but those to nodes, or those to pods, before the others.
    """

    AS_WRITTEN = auto()
    AT_ONCE = auto()
    NODES_FIRST = auto()
    PODS_FIRST = auto()


@dataclass(frozen=True, slots=True)
class Variant:
    """What one simulation takes for given. `ordering`: how writes back to back are seen. `lead_s`: how long before time
    0 the pods were bound. `restarts_s`: for each restart, the time until the successor has listed everything. `pass_s`:
    an instant of the node lifecycle controller's pass (others lie whole periods away). `lease_s`: age of the last lease
    renewal when heartbeats stop. `late`: everything else that is periodic takes its longest.
    """

    ordering: Ordering = Ordering.AS_WRITTEN
    lead_s: float = 0.0
    restarts_s: tuple[float, ...] = ()
    pass_s: float | None = None
    lease_s: float = 0.0
    late: bool = False


def variants_of(scenario: Scenario, settings: Settings) -> tuple[Variant, ...]:
    """Every variant to try; exactly one for a scenario without restarts, lost nodes and the like."""
    leads = (0.0, settings.latency.setup_s) if _tainted_at_start(scenario) else (0.0,)
    meet = any(_meet([scenario.writes[index] for index in group]) for group in groups(scenario, settings))
    orderings = tuple(Ordering) if meet else (Ordering.AS_WRITTEN,)
    restarts = tuple(write for write in scenario.writes if isinstance(write, Restart))
    for fine in (True, False):
        phases = tuple(_phases(scenario, settings, fine=fine))
        delays: list[tuple[float, ...]] = []
        number = len(orderings) * len(leads) * len(phases)
        for restart in restarts:
            if number > MAX_SIMULATIONS:
                break  # the product of many restarts has no end; it is counted before it is made
            delays.append(_delays(restart, scenario, settings, fine=fine))
            number *= len(delays[-1])
        if number <= MAX_SIMULATIONS:
            return tuple(
                Variant(ordering, lead_s, restarts_s, *phase)
                for ordering, lead_s, restarts_s, phase in product(orderings, leads, product(*delays), phases)
            )
    latency = settings.latency
    return tuple(
        Variant(ordering, lead_s, (delay_s,) * len(restarts), *phase)
        for ordering, lead_s, delay_s, phase in product(
            orderings, leads, (latency.restart_min_s, latency.restart_max_s), phases
        )
    )


def groups(scenario: Scenario, settings: Settings) -> tuple[tuple[int, ...], ...]:
    """The indexes of the writes, those that may be seen together in one group; a restart parts what is around it."""
    found: list[list[int]] = []
    for index, write in enumerate(scenario.writes):
        before = scenario.writes[found[-1][-1]] if found else None
        close = before is not None and write.at_s - before.at_s < settings.latency.together_s
        if close and not isinstance(write, Restart) and not isinstance(before, Restart):
            found[-1].append(index)
        else:
            found.append([index])
    return tuple(tuple(group) for group in found)


def _meet(writes: list[Write]) -> bool:
    """Whether the order in which these are seen may matter: not for the taints of as many nodes."""
    nodes = {write.node for write in writes if isinstance(write, SetTaints)}
    return len(writes) > 1 and len(nodes) < len(writes)


def _tainted_at_start(scenario: Scenario) -> bool:
    return any(taint.effect is Effect.NO_EXECUTE for node in scenario.nodes for taint in node.taints)


def _delays(restart: Restart, scenario: Scenario, settings: Settings, *, fine: bool) -> tuple[float, ...]:
    """The shortest, the longest, and just before and after every write that falls in between."""
    shortest, longest = settings.latency.restart_min_s, settings.latency.restart_max_s
    between = {write.at_s - restart.at_s for write in scenario.writes} if fine else set()
    inside = {at_s + edge for at_s in between for edge in (-_EDGE_S, _EDGE_S) if shortest < at_s + edge < longest}
    return (shortest, *sorted(inside), longest)


def _phases(scenario: Scenario, settings: Settings, *, fine: bool) -> Iterator[tuple[float | None, float, bool]]:
    """(pass_s, lease_s, late) for `Variant`."""
    if not concerns_node_lifecycle(scenario):
        yield None, 0.0, False
        return
    period_s, lease_s = settings.nodes.period_s, settings.nodes.lease_s
    causes = sorted({write.at_s % period_s for write in scenario.writes if _causes_passes(write)} or {0.0})
    early = {(at_s + 0.0) % period_s for at_s in causes}
    late = {(at_s - _EDGE_S) % period_s for at_s in causes}
    if fine and len(scenario.writes) > 1:
        grid = {period_s * step / _GRID for step in range(_GRID)}
        early, late = early | late | grid, early | late | grid
    for pass_s in sorted(early):
        yield pass_s, lease_s, False
    for pass_s in sorted(late):
        yield pass_s, 0.0, True


def concerns_node_lifecycle(scenario: Scenario) -> bool:
    """Whether anything in it makes the node lifecycle controller or PodGC act."""
    return any(_causes_passes(write) for write in scenario.writes) or any(
        is_lifecycle_taint(taint) for node in scenario.nodes for taint in node.taints
    )


def is_lifecycle_taint(taint: Taint) -> bool:
    """not-ready or unreachable with NoExecute: the taints that the controller removes from a Ready node."""
    return taint.effect is Effect.NO_EXECUTE and taint.key in (NOT_READY, UNREACHABLE)


def _causes_passes(write: Write) -> bool:
    if isinstance(write, SetTaints):
        return any(is_lifecycle_taint(taint) for taint in write.taints)
    return isinstance(write, StopHeartbeat | StartHeartbeat | SetCondition | DeleteNode)
