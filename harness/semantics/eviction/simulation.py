"""One simulation of a scenario: an event loop over its writes, countdowns, passes and restarts."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from math import ceil

from harness.model.scenario import (
    ConditionStatus,
    ConditionType,
    CreatePod,
    DeleteNode,
    DeletePod,
    Restart,
    Scenario,
    SetCondition,
    SetTaints,
    SetTolerations,
    StartHeartbeat,
    StopHeartbeat,
    Write,
)
from harness.model.taints import Taint, Toleration
from harness.semantics.decision import no_execute
from harness.semantics.eviction import admission
from harness.semantics.eviction.node_lifecycle import NodeLifecycleController
from harness.semantics.eviction.settings import Settings
from harness.semantics.eviction.simulated import Origin, Presence, SimCluster, SimNode, SimPod
from harness.semantics.eviction.taint_eviction import TaintEviction
from harness.semantics.eviction.variants import Ordering, Variant, groups, is_lifecycle_taint
from harness.semantics.rules import RuleId

_WRITE, _REST = 0, 1
"""At the same instant writes come before everything else."""


class Sightings:
    """What the controller gets to see of each object, and when: at once, unless held back; then only the last of it."""

    def __init__(self) -> None:
        """Nothing is held back."""
        self._held: dict[str, Callable[[], None]] | None = None

    def see(self, what: str, look: Callable[[], None]) -> None:
        """`look` now, or on release in place of an earlier one at the same object."""
        if self._held is None:
            look()
        else:
            self._held[what] = look

    def hold(self) -> None:
        """From now on nothing is seen."""
        self._held = {}

    def release(self) -> None:
        """What was held back is seen; nodes before pods, as the controller's workers take them."""
        held, self._held = self._held or {}, None
        for what in sorted(held, key=lambda each: each.startswith("pod ")):
            held[what]()


class Simulation:
    """Runs once, in `run`; what came of it stays readable.

    `cluster`: every node and pod as it ended. `eviction`: the controller that evicts. `refused`: of the writes that the
    API server refuses, by index: the rule, and whether it is certain. `tainted_s`: when the node lifecycle controller
    first put which NoExecute taint on which node.
    """

    def __init__(self, scenario: Scenario, settings: Settings, variant: Variant) -> None:
        """Nothing happens before `run`."""
        self._scenario = scenario
        self._settings = settings
        self._variant = variant
        self._events: list[tuple[float, int, int, Callable[[float], None]]] = []
        self._order = count()
        self._up = True
        self._process = 0  # counts starts of kube-controller-manager; events of an earlier one are void
        self._restarts = iter(variant.restarts_s)
        self._pass_s = variant.pass_s
        self._orphaned: set[str] = set()
        self._sightings = Sightings()
        self.refused: dict[int, tuple[RuleId, bool]] = {}
        self.tainted_s: dict[tuple[str, Taint], float] = {}
        self.cluster = SimCluster(scenario.nodes, scenario.pods, born_s=-variant.lead_s)
        self.eviction = TaintEviction(self.cluster, settings, lambda at_s: self._at(at_s, self.eviction.fire))
        self._lifecycle = NodeLifecycleController(
            self.cluster,
            settings,
            variant,
            write=self._write_of_lifecycle,
            later=lambda at_s: self._at(at_s, self._lifecycle.drain, same_process=True),
        )

    @property
    def ordering(self) -> Ordering:
        """How this simulation has writes back to back seen."""
        return self._variant.ordering

    def run(self) -> None:
        """Everything up to the scenario's last look."""
        self.eviction.sync(-self._variant.lead_s, Origin.NODE)
        for group in groups(self._scenario, self._settings):
            self._plan(group)
        if self._pass_s is not None:
            self._at(self._pass_s % self._settings.nodes.period_s, self._pass, same_process=True)
        while self._events and self._events[0][0] <= self._scenario.until_s:
            at_s, _, _, happen = heapq.heappop(self._events)
            happen(at_s)

    # ------------------------------------------------------------------ time

    def _at(
        self, at_s: float, happen: Callable[[float], None], *, priority: int = _REST, same_process: bool = False
    ) -> None:
        """Call `happen(at_s)` then; with `same_process` only if kube-controller-manager still is the one of now."""
        process = self._process

        def guarded(now_s: float) -> None:
            if self._process == process:
                happen(now_s)

        heapq.heappush(self._events, (at_s, priority, next(self._order), guarded if same_process else happen))

    def _pass(self, at_s: float) -> None:
        self._at(at_s + self._settings.nodes.period_s, self._pass, same_process=True)
        self._lifecycle.run_pass(at_s)

    def _plan(self, group: tuple[int, ...]) -> None:
        """Writes that may be seen together, in the order that this simulation has them seen."""
        writes = self._scenario.writes
        ordering = self._variant.ordering if len(group) > 1 else Ordering.AS_WRITTEN
        if ordering in (Ordering.NODES_FIRST, Ordering.PODS_FIRST):
            first = (
                (SetTaints, DeleteNode) if ordering is Ordering.NODES_FIRST else (SetTolerations, CreatePod, DeletePod)
            )
            order = sorted(group, key=lambda index: not isinstance(writes[index], first))
        else:
            order = list(group)
        if ordering is Ordering.AT_ONCE:
            self._at(writes[group[0]].at_s, lambda _: self._sightings.hold(), priority=_WRITE)
        for place, index in zip(group, order, strict=True):
            self._at(writes[place].at_s, self._writer(index, writes[index]), priority=_WRITE)
        if ordering is Ordering.AT_ONCE:
            self._at(writes[group[-1]].at_s, lambda _: self._sightings.release(), priority=_WRITE)

    def _writer(self, index: int, write: Write) -> Callable[[float], None]:
        return lambda at_s: self._perform(index, write, at_s)

    # ------------------------------------------------------------------ writes

    def _perform(self, index: int, write: Write, at_s: float) -> None:
        match write:
            case SetTaints():
                self._set_taints(index, write, at_s)
            case SetTolerations():
                self._set_tolerations(index, write, at_s)
            case CreatePod():
                self._create(index, write, at_s)
            case DeletePod():
                self._delete(index, write, at_s)
            case Restart():
                self._restart(at_s)
            case DeleteNode():
                self._delete_node(index, write, at_s)
            case StopHeartbeat() | StartHeartbeat() | SetCondition():
                self._kubelet(write, at_s)

    def _refuse(self, index: int, rule: RuleId, *, certain: bool = True) -> None:
        self.refused[index] = rule, certain

    def _set_taints(self, index: int, write: SetTaints, at_s: float) -> None:
        node = self.cluster.nodes.get(write.node)
        if node is None or not node.exists:
            self._refuse(index, RuleId.NO_SUCH_OBJECT)
        elif (rule := admission.refuses_taints(write.taints)) is not None:
            self._refuse(index, rule)
        else:
            self._store_taints(node, write.taints, at_s, RuleId.TIMER_CANCELLED)
            if self._pass_s is not None and self._up:
                self._lifecycle.conditions_changed(node, at_s)

    def _store_taints(self, node: SimNode, taints: tuple[Taint, ...], at_s: float, why: RuleId) -> None:
        """The controller is told only when the NoExecute part changed; then order and timeAdded count too."""
        before, node.taints = node.taints, taints
        if no_execute(before) != no_execute(taints):
            self._sightings.see(node.name, lambda: self.eviction.node_changed(node, at_s, why))

    def _write_of_lifecycle(self, node: SimNode, taints: tuple[Taint, ...], at_s: float) -> None:
        for taint in taints:
            if is_lifecycle_taint(taint) and taint not in node.taints:
                self.tainted_s.setdefault((node.name, taint), at_s)
        self._store_taints(node, taints, at_s, RuleId.HEALTHY_NODE_CLEANED)

    def _set_tolerations(self, index: int, write: SetTolerations, at_s: float) -> None:
        sim_pod = self._found(index, write.pod, at_s)
        if sim_pod is None:
            return
        new = self._defaulted(write.tolerations)
        rule = admission.refuses_change(sim_pod.tolerations, new, compares=self._settings.admits_comparison)
        if rule is not None:
            self._refuse(index, rule)
        elif new != sim_pod.tolerations:
            sim_pod.tolerations = self.cluster.shared(new)
            self._sightings.see(f"pod {write.pod}", lambda: self.eviction.pod_changed(sim_pod, at_s, Origin.EDIT))

    def _create(self, index: int, write: CreatePod, at_s: float) -> None:
        pod, tolerations = write.pod, self._defaulted(write.pod.tolerations)
        rule = admission.refuses_tolerations(tolerations, compares=self._settings.admits_comparison)
        if rule is not None:
            self._refuse(index, rule)
            return
        before = self.cluster.latest(pod.key)
        presence = before.presence(at_s, self._settings.latency) if before else Presence.GONE
        if presence is Presence.GONE and pod.key not in self.cluster.muddled:
            sim_pod = self.cluster.add(pod, tolerations, at_s)
            self._sightings.see(f"pod {pod.key}", lambda: self.eviction.pod_changed(sim_pod, at_s, Origin.BIRTH))
            return
        self._refuse(index, RuleId.NAME_TAKEN, certain=presence is Presence.HERE)
        if presence is not Presence.HERE:
            self.cluster.muddled.add(pod.key)

    def _delete(self, index: int, write: DeletePod, at_s: float) -> None:
        sim_pod = self._found(index, write.pod, at_s)
        if sim_pod is not None:
            self._end(sim_pod, at_s, RuleId.DELETED_BY_OTHERS)

    def _end(self, sim_pod: SimPod, at_s: float, rule: RuleId) -> None:
        """Something other than a taint deletes the pod; the first deletion is the one that counts."""
        if sim_pod.deleted_s is None:
            sim_pod.deleted_s, sim_pod.deleted_rule = at_s, rule
            self._sightings.see(f"pod {sim_pod.key}", lambda: self.eviction.pod_deleted(sim_pod, at_s))
        if sim_pod.pod.grace_s == 0:
            self.cluster.leave(sim_pod)

    def _found(self, index: int, key: str, at_s: float) -> SimPod | None:
        """The pod to write to; None when it is certainly not there (then the write is refused)."""
        sim_pod = self.cluster.latest(key)
        presence = sim_pod.presence(at_s, self._settings.latency) if sim_pod else Presence.GONE
        if presence is not Presence.HERE or key in self.cluster.muddled:
            certain = presence is Presence.GONE and key not in self.cluster.muddled
            self._refuse(index, RuleId.NO_SUCH_OBJECT, certain=certain)
        return None if presence is Presence.GONE else sim_pod

    def _defaulted(self, tolerations: tuple[Toleration, ...]) -> tuple[Toleration, ...]:
        seconds = self._settings.default_toleration_s
        return tolerations if seconds is None else admission.with_defaults(tolerations, seconds)

    # ------------------------------------------------------------------ nodes and processes

    def _restart(self, at_s: float) -> None:
        self._up = False
        self._process += 1
        self.eviction.kill(at_s)
        self._at(at_s + next(self._restarts), self._synced, same_process=True)

    def _synced(self, at_s: float) -> None:
        self._up = True
        self.eviction.sync(at_s, Origin.RESTART)
        for name in sorted(self._orphaned):
            self._quarantine(name, at_s)
        if self._pass_s is not None:
            self._pass_s = at_s
            self._lifecycle.restart(at_s)
            self._pass(at_s)

    def _delete_node(self, index: int, write: DeleteNode, at_s: float) -> None:
        node = self.cluster.nodes.get(write.node)
        if node is None or not node.exists:
            self._refuse(index, RuleId.NO_SUCH_OBJECT)
            return
        node.exists = False
        self.eviction.node_deleted(node.name)
        self._orphaned.add(node.name)
        self._quarantine(node.name, at_s)

    def _quarantine(self, name: str, at_s: float) -> None:
        """PodGC notices on its next pass, waits, and acts on the pass after that."""
        flags = self._settings.nodes
        passes_s = 2 * flags.gc_s if self._variant.late else 0.0
        self._at(at_s + flags.gc_quarantine_s + passes_s, lambda now_s: self._collect(name, now_s), same_process=True)

    def _collect(self, name: str, at_s: float) -> None:
        self._orphaned.discard(name)
        for sim_pod in self.cluster.on_node(name):
            if sim_pod.presence(at_s, self._settings.latency) is not Presence.GONE:
                self._end(sim_pod, at_s, RuleId.NODE_GONE)

    def _kubelet(self, write: StopHeartbeat | StartHeartbeat | SetCondition, at_s: float) -> None:
        node = self.cluster.nodes.get(write.node)
        if node is None or not node.exists:
            return
        match write:
            case StopHeartbeat():
                self._lifecycle.heartbeats_stopped(node, at_s, self._next_pass(at_s))
            case StartHeartbeat():
                delay_s = self._settings.nodes.lease_s if self._variant.late else 0.0
                self._at(at_s + delay_s, lambda now_s: self._back(node, now_s))
            case SetCondition(type=kind, status=status):
                node.conditions[kind] = status
                if self._up:
                    self._lifecycle.conditions_changed(node, at_s)

    def _next_pass(self, at_s: float) -> float:
        period_s = self._settings.nodes.period_s
        phase_s = self._pass_s or 0.0
        return phase_s + ceil((at_s - phase_s) / period_s) * period_s

    def _back(self, node: SimNode, at_s: float) -> None:
        node.silent_since_s = None
        node.conditions = {
            kind: status
            for kind, status in node.conditions.items()
            if kind is ConditionType.NETWORK_UNAVAILABLE and status is not ConditionStatus.UNKNOWN
        }
        if self._up:
            self._lifecycle.conditions_changed(node, at_s)
