"""The node lifecycle controller: from conditions and heartbeats to taints, and off again; zones and their rates.

Upstream: pkg/controller/nodelifecycle/node_lifecycle_controller.go. It writes taints through `write`, as any client
would. Conditions are what the kubelet last reported, or Unknown once heartbeats have been missing for the grace period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from math import ceil

from harness.model.scenario import ConditionStatus, ConditionType
from harness.model.taints import Effect, Taint
from harness.model.wellknown import CONDITION_TAINTS, NOT_READY, UNREACHABLE
from harness.semantics.eviction.settings import Settings
from harness.semantics.eviction.simulated import SimCluster, SimNode
from harness.semantics.eviction.variants import Variant

_NOEXECUTE = {ConditionStatus.FALSE: NOT_READY, ConditionStatus.UNKNOWN: UNREACHABLE}
_OVERWRITTEN = (
    ConditionType.READY,
    ConditionType.MEMORY_PRESSURE,
    ConditionType.DISK_PRESSURE,
    ConditionType.PID_PRESSURE,
)


class ZoneState(Enum):
    """How much of a zone is not ready."""

    NORMAL = auto()
    PARTIAL = auto()
    FULL = auto()


@dataclass(slots=True)
class Zone:
    """Nodes of one zone that wait for their NoExecute taint, and the token bucket (of one) that holds them back."""

    rate_per_s: float
    state: ZoneState = ZoneState.NORMAL
    tokens: float = 1.0
    counted_s: float = 0.0
    granted: int = 0
    queue: dict[str, None] = field(default_factory=dict)

    def refill(self, at_s: float) -> None:
        """Count tokens up to `at_s`."""
        self.tokens = min(1.0, self.tokens + self.rate_per_s * (at_s - self.counted_s))
        self.counted_s = at_s

    def limit(self, rate_per_s: float, at_s: float) -> None:
        """Another rate: the new bucket is full, unless the old one was empty or never gave anything."""
        self.refill(at_s)
        if rate_per_s != self.rate_per_s:
            self.tokens = 1.0 if self.tokens >= 1.0 and self.rate_per_s > 0 else 0.0
            self.rate_per_s = rate_per_s


def condition_taints(node: SimNode) -> set[str]:
    """The keys that the node's conditions put on it with NoSchedule."""
    return {key for (kind, status), key in CONDITION_TAINTS.items() if node.conditions.get(kind) is status}


class NodeLifecycleController:
    """The controller's memory, its periodic pass, and the tainting of the nodes that wait.

    `write(node, taints, at_s)` stores a node's taints; `later(at_s)` asks for `drain` at that time.
    """

    def __init__(
        self,
        cluster: SimCluster,
        settings: Settings,
        variant: Variant,
        *,
        write: Callable[[SimNode, tuple[Taint, ...], float], None],
        later: Callable[[float], None],
    ) -> None:
        """It knows all nodes of time 0 already."""
        self._cluster = cluster
        self._flags = settings.nodes
        self._variant = variant
        self._write = write
        self._later = later
        self._zones = {node.zone: Zone(self._flags.rate_per_s) for node in cluster.nodes.values()}
        self._mastered = False

    def restart(self, at_s: float) -> None:
        """A new process: every node is new to it, so both NoExecute taints go, and each gets a full grace period."""
        self._zones = {name: Zone(self._flags.rate_per_s, counted_s=at_s) for name in self._zones}
        self._mastered = False
        for node in self._present():
            node.probed_s = at_s
            self._clean(node, at_s)
            self.conditions_changed(node, at_s)

    def heartbeats_stopped(self, node: SimNode, at_s: float, pass_s: float) -> None:
        """Nothing is heard of the node any more; passes lie whole periods away from `pass_s`.

        What counts is the first pass that saw the last renewal, by the controller's own clock.
        """
        node.silent_since_s = at_s
        heard_s = at_s - self._variant.lease_s
        periods = ceil((heard_s - pass_s) / self._flags.period_s - 1e-9)
        node.probed_s = pass_s + periods * self._flags.period_s

    def conditions_changed(self, node: SimNode, at_s: float) -> None:
        """The NoSchedule taints follow the conditions, within milliseconds."""
        wanted = condition_taints(node)
        owned = set(CONDITION_TAINTS.values())
        kept = tuple(
            taint
            for taint in node.taints
            if taint.effect is not Effect.NO_SCHEDULE or taint.key not in owned or taint.key in wanted
        )
        there = {taint.key for taint in kept if taint.effect is Effect.NO_SCHEDULE}
        added = tuple(Taint(key, Effect.NO_SCHEDULE) for key in sorted(wanted - there))
        self._write(node, kept + added, at_s)

    def run_pass(self, at_s: float) -> None:
        """One pass over all nodes, as every 5 s."""
        fresh = False
        for node in self._present():
            fresh = self._update_health(node, at_s) or fresh
            self._judge(node, at_s)
        if self._variant.late:
            self._handle_disruption(at_s)
            # The queue may be looked at before the status just written is seen; the next pass then fills it again.
            self._later(at_s + self._flags.taint_tick_s + (self._flags.period_s if fresh else 0.0))
        else:
            self.drain(at_s)
            self._handle_disruption(at_s)

    def drain(self, at_s: float) -> None:
        """Taint the nodes that wait, as far as their zone's tokens go.

        Which of several goes first is not known: in an early variant all go with the first token, in a late one with
        the last, so that the two enclose every order.
        """
        for zone in self._zones.values():
            zone.refill(at_s)
            while zone.queue and zone.rate_per_s > 0 and zone.tokens >= 1.0 - 1e-9:
                zone.tokens -= 1.0
                zone.granted += 1
                if not self._variant.late or zone.granted >= len(zone.queue):
                    zone.tokens -= len(zone.queue) - zone.granted
                    self._taint_all(zone, at_s)
            if zone.queue and zone.rate_per_s > 0:
                self._later(at_s + (1.0 - zone.tokens) / zone.rate_per_s)

    def _taint_all(self, zone: Zone, at_s: float) -> None:
        for name in zone.queue:
            node = self._cluster.nodes[name]
            if node.exists and node.ready in _NOEXECUTE:
                self._swap(node, at_s)
        zone.queue.clear()
        zone.granted = 0

    def _present(self) -> Iterable[SimNode]:
        return [node for node in self._cluster.nodes.values() if node.exists]

    def _update_health(self, node: SimNode, at_s: float) -> bool:
        """Ready turns Unknown when nothing was heard for the grace period; whether it did just now."""
        if node.silent_since_s is None:
            return False
        silent_s = at_s - node.probed_s
        edge_s = 1e-6 if self._variant.late else -1e-6
        if silent_s <= self._flags.grace_s + edge_s or node.ready is ConditionStatus.UNKNOWN:
            return False
        for kind in _OVERWRITTEN:
            node.conditions[kind] = ConditionStatus.UNKNOWN
        self.conditions_changed(node, at_s)
        return True

    def _judge(self, node: SimNode, at_s: float) -> None:
        zone = self._zones[node.zone]
        if node.ready is ConditionStatus.TRUE:
            self._clean(node, at_s)
            return
        keys = {taint.key for taint in node.taints if taint.effect is Effect.NO_EXECUTE}
        wanted = _NOEXECUTE[node.ready]
        if keys & ({NOT_READY, UNREACHABLE} - {wanted}):
            self._swap(node, at_s)
        elif wanted not in keys:
            zone.queue[node.name] = None

    def _swap(self, node: SimNode, at_s: float) -> None:
        """Add the one that fits, then remove the other: two writes, never a gap."""
        wanted = _NOEXECUTE[node.ready]
        if not any(taint.identity == (wanted, Effect.NO_EXECUTE) for taint in node.taints):
            self._write(node, (*node.taints, Taint(wanted, Effect.NO_EXECUTE)), at_s)
        other = UNREACHABLE if wanted == NOT_READY else NOT_READY
        self._write(node, tuple(t for t in node.taints if t.identity != (other, Effect.NO_EXECUTE)), at_s)

    def _clean(self, node: SimNode, at_s: float) -> None:
        """Take off both NoExecute taints, and the node out of the queue."""
        for key in (UNREACHABLE, NOT_READY):
            self._write(node, tuple(t for t in node.taints if t.identity != (key, Effect.NO_EXECUTE)), at_s)
        self._zones[node.zone].queue.pop(node.name, None)

    def _handle_disruption(self, at_s: float) -> None:
        """Rates by zone; with no ready node anywhere, everything is taken back ("master disruption mode")."""
        ready: dict[str, list[bool]] = {}
        for node in self._present():
            if not node.excluded:
                ready.setdefault(node.zone, []).append(node.ready is ConditionStatus.TRUE)
        if not ready:
            return
        states = {zone: self._state(flags) for zone, flags in ready.items()}
        mastered = all(state is ZoneState.FULL for state in states.values())
        if mastered and not self._mastered:
            for node in self._present():
                self._clean(node, at_s)
        if self._mastered and not mastered:
            for node in self._present():
                node.probed_s = at_s
        for name, state in states.items():
            rate_per_s = 0.0 if mastered else self._rate(state, len(ready[name]))
            self._zones[name].limit(rate_per_s, at_s)
            self._zones[name].state = state
        self._mastered = mastered

    def _state(self, ready: list[bool]) -> ZoneState:
        missing = ready.count(False)
        if missing == len(ready):
            return ZoneState.FULL
        disrupted = missing > 2 and missing / len(ready) >= self._flags.unhealthy_ratio
        return ZoneState.PARTIAL if disrupted else ZoneState.NORMAL

    def _rate(self, state: ZoneState, size: int) -> float:
        if state is not ZoneState.PARTIAL:
            return self._flags.rate_per_s
        return self._flags.secondary_rate_per_s if size > self._flags.large_zone else 0.0
