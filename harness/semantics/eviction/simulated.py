"""The objects as the API server holds them while a scenario runs: nodes, and pods with what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from harness.model import wellknown
from harness.model.scenario import ConditionStatus, ConditionType, PodTrait, ScenarioNode, ScenarioPod
from harness.model.taints import Taint, Toleration
from harness.semantics.decision import Decision
from harness.semantics.eviction.settings import Latency
from harness.semantics.eviction.throttle import DeleteBurst
from harness.semantics.rules import RuleId

_KUBELET_S = 2.0
"""How much longer than its grace period a terminating pod may be there."""


class Presence(Enum):
    """Whether an object is there."""

    HERE = auto()
    GONE = auto()
    MAYBE = auto()


class Origin(Enum):
    """What made the controller look at a pod."""

    NODE = auto()
    BIRTH = auto()
    EDIT = auto()
    RESTART = auto()


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a deletion fell due. `begun_s`: start of the countdown that ended (the due instant itself without one)."""

    decision: Decision
    rule: RuleId
    begun_s: float
    timed: bool


@dataclass(slots=True)
class SimPod:
    """One pod object from creation on; a name may have several after each other. Times in seconds after time 0.

    `due_s`, `burst`, `cause`: its deletion by taint, from the instant it cannot be taken back. `deleted_s`,
    `deleted_rule`: deleted by something else. `maybe`, `maybe_rule`: it may have been evicted in that interval already,
    because of a race; the rest tells what became of it if not. `decision`: the controller's latest about it.
    """

    pod: ScenarioPod
    tolerations: tuple[Toleration, ...]
    born_s: float
    due_s: float | None = None
    burst: DeleteBurst | None = None
    cause: Cause | None = None
    withdrawn_s: float | None = None
    deleted_s: float | None = None
    deleted_rule: RuleId = RuleId.DELETED_BY_OTHERS
    maybe: tuple[float, float] | None = None
    maybe_rule: RuleId = RuleId.RACE_AT_DEADLINE
    decision: Decision | None = None
    cancelled_s: float | None = None
    cancelled_rule: RuleId = RuleId.TIMER_CANCELLED
    counted_before_restart: bool = False
    denied: bool = False

    @property
    def key(self) -> str:
        """The pod's name, which the controller keys its countdowns by."""
        return self.pod.key

    def presence(self, at_s: float, latency: Latency) -> Presence:
        """Whether the object is there at `at_s` (which must not lie before anything noted in it)."""
        grace_s = self.pod.grace_s + _KUBELET_S if self.pod.grace_s > 0 else 0.0
        if PodTrait.TERMINATING in self.pod.traits:
            return Presence.MAYBE
        if self.deleted_s is not None:
            return Presence.GONE if at_s >= self.deleted_s + grace_s else Presence.MAYBE
        if self.due_s is not None and self.burst is not None:
            if at_s > self.burst.done_s + grace_s:
                return Presence.GONE
            return Presence.HERE if at_s < self.due_s - latency.early_s else Presence.MAYBE
        if self.maybe is not None and at_s >= self.maybe[0] - latency.early_s:
            return Presence.MAYBE
        return Presence.HERE


@dataclass(slots=True)
class SimNode:
    """One node. `conditions` that are absent are healthy. `silent_since_s`: its heartbeats stopped then."""

    name: str
    zone: str
    taints: tuple[Taint, ...]
    excluded: bool = False
    exists: bool = True
    conditions: dict[ConditionType, ConditionStatus] = field(default_factory=dict)
    silent_since_s: float | None = None
    probed_s: float = float("-inf")

    @property
    def ready(self) -> ConditionStatus:
        """The Ready condition."""
        return self.conditions.get(ConditionType.READY, ConditionStatus.TRUE)


def sim_node(node: ScenarioNode) -> SimNode:
    """`node` at time 0."""
    zone = f"{node.labels.get(wellknown.REGION, '')}/{node.labels.get(wellknown.ZONE, '')}"
    excluded = wellknown.EXCLUDE_DISRUPTION in node.labels
    state = SimNode(node.name, zone, node.taints, excluded)
    if node.ready is not ConditionStatus.TRUE:
        state.conditions[ConditionType.READY] = node.ready
    if node.ready is ConditionStatus.UNKNOWN:
        state.silent_since_s = float("-inf")
    return state


class SimCluster:
    """All nodes by name and all pod objects by pod name, the latest last."""

    def __init__(self, nodes: tuple[ScenarioNode, ...], pods: tuple[ScenarioPod, ...], *, born_s: float) -> None:
        """The pods of time 0 were bound at `born_s`."""
        self.nodes = {node.name: sim_node(node) for node in nodes}
        self.names: dict[str, list[SimPod]] = {}
        self.muddled: set[str] = set()
        self._on_node: dict[str, dict[str, SimPod]] = {}
        self._lists: dict[tuple[Toleration, ...], tuple[Toleration, ...]] = {}
        for pod in pods:
            sim_pod = self.add(pod, pod.tolerations, born_s)
            if PodTrait.TERMINATING in pod.traits:
                sim_pod.deleted_s, sim_pod.deleted_rule = born_s, RuleId.ALREADY_TERMINATING

    def add(self, pod: ScenarioPod, tolerations: tuple[Toleration, ...], at_s: float) -> SimPod:
        """A new object; whatever had its name before is no longer on its node."""
        sim_pod = SimPod(pod, self.shared(tolerations), at_s)
        before = self.names.setdefault(pod.key, [])
        if before:
            self.leave(before[-1])
        before.append(sim_pod)
        self._on_node.setdefault(pod.node, {})[pod.key] = sim_pod
        return sim_pod

    def shared(self, tolerations: tuple[Toleration, ...]) -> tuple[Toleration, ...]:
        """An equal list, the same object for all who have it: what is decided for one holds for all."""
        return self._lists.setdefault(tolerations, tolerations)

    def latest(self, key: str) -> SimPod | None:
        """The latest object of that name, there or gone; None if there never was one."""
        sim_pods = self.names.get(key)
        return sim_pods[-1] if sim_pods else None

    def leave(self, sim_pod: SimPod) -> None:
        """The object is gone: its node has one pod less."""
        here = self._on_node.get(sim_pod.pod.node, {})
        if here.get(sim_pod.key) is sim_pod:
            del here[sim_pod.key]

    def on_node(self, name: str) -> list[SimPod]:
        """The pods bound to that node, in the order they came; those whose deletion is not certain yet among them."""
        return list(self._on_node.get(name, {}).values())

    def sim_pods(self) -> Iterator[SimPod]:
        """Every object there ever was, by name in order of first appearance."""
        for sim_pods in self.names.values():
            yield from sim_pods
