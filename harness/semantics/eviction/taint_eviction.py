"""The taint-eviction controller: countdowns per pod name, never recomputed.

Upstream: pkg/controller/tainteviction/taint_eviction.go and timed_workers.go (same through 1.34 to 1.37). Handling is
instantaneous here; how long it really takes is in the predicted interval, and where the order of two things within
`Latency.race_s` matters the pod is marked as one that may have gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.model.scenario import PodTrait
from harness.model.taints import Taint, Toleration
from harness.semantics import decision as deciding
from harness.semantics.decision import Action, Decision
from harness.semantics.eviction.settings import Settings
from harness.semantics.eviction.simulated import Cause, Origin, SimCluster, SimNode, SimPod
from harness.semantics.eviction.throttle import REQUESTS_AFTER_RESTART, REQUESTS_PER_RETRY, REQUESTS_TRAILING, Throttle
from harness.semantics.rules import RuleId


@dataclass(slots=True, eq=False)
class EvictionTimer:
    """One running countdown. `kept`: something came that would have set another one."""

    sim_pod: SimPod
    begun_s: float
    fire_s: float
    decision: Decision
    origin: Origin
    kept: bool = False


class TaintEviction:
    """The controller's memory and what it does on each event. `schedule` asks for `fire` at a time."""

    def __init__(self, cluster: SimCluster, settings: Settings, schedule: Callable[[float], None]) -> None:
        """It starts having seen nothing: call `sync`."""
        self._cluster = cluster
        self._settings = settings
        self._schedule = schedule
        self._tainted: dict[str, tuple[Taint, ...]] = {}
        self._timers: dict[str, EvictionTimer] = {}
        self._ends: dict[float, list[EvictionTimer]] = {}
        self._causes: dict[tuple[object, ...], Cause] = {}
        self._decisions: dict[tuple[int, int], tuple[Decision, object, object]] = {}
        self._throttle = Throttle(settings)
        self._up = False

    # ------------------------------------------------------------------ what it sees

    def sync(self, at_s: float, origin: Origin) -> None:
        """The process has listed nodes and pods: all of them are looked at as if new."""
        self._up = self._settings.evicts
        if not self._up:
            return
        self._throttle.reset(at_s)
        for node in self._cluster.nodes.values():
            if node.exists and (taints := deciding.no_execute(node.taints)):
                self._tainted[node.name] = taints
                self._look_at(self._cluster.on_node(node.name), taints, at_s, origin)

    def kill(self, at_s: float) -> None:
        """The process dies: countdowns and deletions that wait are lost."""
        race_s = self._settings.latency.early_s
        for timer in self._timers.values():
            timer.sim_pod.counted_before_restart = True
            if timer.fire_s <= at_s + race_s:
                self._may_have_gone(timer.sim_pod, timer.fire_s, at_s + race_s, RuleId.RACE_WITH_RESTART)
        for sim_pod in self._cluster.sim_pods():
            if sim_pod.due_s is not None and sim_pod.burst is not None and sim_pod.burst.done_s > at_s:
                self._may_have_gone(sim_pod, sim_pod.due_s, at_s + race_s, RuleId.RACE_WITH_RESTART)
                sim_pod.due_s = sim_pod.burst = sim_pod.cause = None
        self._up = False
        self._timers.clear()
        self._tainted.clear()

    def node_changed(self, node: SimNode, at_s: float, why: RuleId = RuleId.TIMER_CANCELLED) -> None:
        """The node's NoExecute taints changed (in value, order or timeAdded too); `why` explains what that cancels."""
        if not self._up:
            return
        taints = deciding.no_execute(node.taints)
        sim_pods = self._cluster.on_node(node.name)
        if not taints:
            self._tainted.pop(node.name, None)
            for sim_pod in sim_pods:
                self._cancel(sim_pod, at_s, why)
            return
        self._tainted[node.name] = taints
        self._look_at(sim_pods, taints, at_s, Origin.NODE)

    def node_deleted(self, name: str) -> None:
        """The Node object is gone: its countdowns run on, its pods are not looked at any more."""
        self._tainted.pop(name, None)

    def pod_changed(self, sim_pod: SimPod, at_s: float, origin: Origin) -> None:
        """A pod is new on its node, or its tolerations changed."""
        taints = self._tainted.get(sim_pod.pod.node)
        if self._up and taints:
            self._look_at([sim_pod], taints, at_s, origin)

    def pod_deleted(self, sim_pod: SimPod, at_s: float) -> None:
        """Somebody else deleted the pod."""
        race_s = self._settings.latency.race_s
        timer = self._timers.get(sim_pod.key)
        if timer is not None and timer.sim_pod is sim_pod:
            del self._timers[sim_pod.key]
            self._throttle.event(at_s)
            if timer.fire_s - at_s <= race_s:
                self._may_have_gone(sim_pod, timer.fire_s, timer.fire_s, RuleId.RACE_AT_DEADLINE)
        elif sim_pod.due_s is not None and sim_pod.burst is not None:
            self._may_have_gone(sim_pod, sim_pod.due_s, sim_pod.burst.done_s, RuleId.RACE_AT_DEADLINE)

    def countdown_of(self, sim_pod: SimPod) -> float | None:
        """When the countdown that runs for that pod will end; None when none runs."""
        timer = self._timers.get(sim_pod.key)
        return None if timer is None or self._cluster.latest(sim_pod.key) is not sim_pod else timer.fire_s

    # ------------------------------------------------------------------ what it does

    def fire(self, at_s: float) -> None:
        """The countdowns of that instant end, unless they were cancelled in the meantime."""
        for timer in self._ends.pop(at_s, ()):
            key = timer.sim_pod.key
            if self._timers.get(key) is timer:
                del self._timers[key]
                sim_pod = self._cluster.latest(key) or timer.sim_pod  # deleted by name, whoever has it now
                self._delete(sim_pod, at_s, timer.decision, timer.origin, timer)

    def _look_at(self, sim_pods: list[SimPod], taints: tuple[Taint, ...], at_s: float, origin: Origin) -> None:
        for sim_pod in sim_pods:
            decision = self._decide(taints, sim_pod.tolerations)
            if sim_pod.due_s is not None:
                self._look_again(sim_pod, decision, at_s)
                continue
            sim_pod.decision = decision
            match decision.action:
                case Action.NOW:
                    if self._timers.pop(sim_pod.key, None) is not None:
                        self._throttle.event(at_s)
                    self._delete(sim_pod, at_s, decision, origin, None)
                case Action.NEVER:
                    self._cancel(sim_pod, at_s)
                case Action.LATER:
                    self._later(sim_pod, decision, at_s, origin)

    def _later(self, sim_pod: SimPod, decision: Decision, at_s: float, origin: Origin) -> None:
        """Start a countdown, unless one runs: that one is kept as it is, whatever the new one would have been."""
        running = self._timers.get(sim_pod.key)
        if running is not None and keeps(running):
            running.kept = True
            return
        timer = EvictionTimer(sim_pod, at_s, at_s + decision.delay_s, decision, origin)
        if decision.delay_s <= 0:
            self._delete(sim_pod, at_s, decision, origin, None)
            return
        self._timers[sim_pod.key] = timer
        if timer.fire_s not in self._ends:
            self._ends[timer.fire_s] = []
            self._schedule(timer.fire_s)
        self._ends[timer.fire_s].append(timer)

    def _delete(
        self, sim_pod: SimPod, at_s: float, decision: Decision, origin: Origin, timer: EvictionTimer | None
    ) -> None:
        """The deletion is due: from here on it cannot be taken back."""
        if origin is Origin.RESTART and timer is None:
            burst = self._throttle.delete(at_s, requests=REQUESTS_AFTER_RESTART, trailing=REQUESTS_TRAILING)
        else:
            burst = self._throttle.delete(at_s)
        if PodTrait.DELETE_DENIED in sim_pod.pod.traits:
            sim_pod.denied = True
            return
        if sim_pod.deleted_s is not None:
            return  # terminating already: its deletionTimestamp stays
        sim_pod.due_s, sim_pod.burst = at_s, burst
        begun_s = timer.begun_s if timer else at_s
        rule = _rule(sim_pod, decision, origin, timer)
        why = (id(decision), rule, begun_s, timer is not None)
        cause = self._causes.get(why)
        if cause is None:
            cause = self._causes[why] = Cause(decision, rule, begun_s, timed=timer is not None)
        sim_pod.cause = cause

    def _look_again(self, sim_pod: SimPod, decision: Decision, at_s: float) -> None:
        """A pod whose deletion is under way is looked at like any other: deleted once more, or "cancelled"."""
        if decision.action is Action.NEVER:
            self._cancel(sim_pod, at_s)
        elif decision.action is Action.NOW and sim_pod.burst is not None and at_s <= sim_pod.burst.done_s:
            self._throttle.delete(at_s, requests=REQUESTS_PER_RETRY)

    def _cancel(self, sim_pod: SimPod, at_s: float, why: RuleId = RuleId.TIMER_CANCELLED) -> None:
        """End the countdown. Too late once the deletion is due; within the race window nobody can say."""
        race_s = self._settings.latency.race_s
        timer = self._timers.pop(sim_pod.key, None)
        if timer is not None:
            self._throttle.event(at_s)
            sim_pod.cancelled_s, sim_pod.cancelled_rule = at_s, why
            if timer.fire_s - at_s <= race_s:
                self._may_have_gone(sim_pod, timer.fire_s, timer.fire_s, RuleId.RACE_AT_DEADLINE)
        elif sim_pod.due_s is not None and sim_pod.burst is not None and at_s <= sim_pod.burst.done_s:
            if sim_pod.cause is not None and sim_pod.cause.timed and at_s - sim_pod.due_s <= race_s:
                self._may_have_gone(sim_pod, sim_pod.due_s, sim_pod.burst.done_s, RuleId.RACE_AT_DEADLINE)
                sim_pod.due_s = sim_pod.burst = sim_pod.cause = None
                sim_pod.cancelled_s, sim_pod.cancelled_rule = at_s, why
            elif sim_pod.withdrawn_s is None:
                sim_pod.withdrawn_s = at_s

    def _may_have_gone(self, sim_pod: SimPod, earliest_s: float, latest_s: float, rule: RuleId) -> None:
        """Note that the pod may have been evicted in that interval; it lives on here as if not."""
        latest_s = max(latest_s, earliest_s + self._settings.latency.delete_s)
        if sim_pod.maybe is not None:
            earliest_s, latest_s = min(earliest_s, sim_pod.maybe[0]), max(latest_s, sim_pod.maybe[1])
        sim_pod.maybe, sim_pod.maybe_rule = (earliest_s, latest_s), rule

    def _decide(self, taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...]) -> Decision:
        """`deciding.decide`, remembered by identity: pods of one workload often share their list."""
        at = (id(taints), id(tolerations))
        known = self._decisions.get(at)
        if known is None:
            known = deciding.decide(taints, tolerations, compares=self._settings.compares), taints, tolerations
            self._decisions[at] = known
        return known[0]


def keeps(_running: EvictionTimer) -> bool:
    """Whether a running countdown stays when another one would be set: always.

    Upstream means to keep the earlier of the two, but compares begin + delay with now + delay, of the same delay.
    """
    return True


def _rule(sim_pod: SimPod, decision: Decision, origin: Origin, timer: EvictionTimer | None) -> RuleId:
    """The rule to name for a deletion: the one that somebody who knows only the taints would get wrong, if any."""
    if timer is not None and timer.kept:
        return RuleId.TIMER_KEPT
    if origin is Origin.RESTART:
        counted = sim_pod.counted_before_restart and timer is not None
        return RuleId.RESTART_RESTARTS_COUNTDOWN if counted else RuleId.SEEN_AFTER_RESTART
    if timer is None:
        return decision.rule
    if origin is Origin.BIRTH:
        return RuleId.BOUND_TO_TAINTED_NODE
    return RuleId.COUNTDOWN_ANEW if sim_pod.cancelled_s is not None else decision.rule
