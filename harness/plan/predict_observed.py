"""From a history to predictions, after the run: what had to become of each pod, given what really happened.

A late write, a restarted controller, a pod that came during the fault or a taint of somebody else's is taken into
account.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from harness.history.index import HistoryIndex
from harness.history.read import History
from harness.model import events
from harness.model.faults import PlannedCluster
from harness.model.plan import Action, Plan, Prediction
from harness.model.scenario import (
    CreatePod,
    DeletePod,
    Restart,
    Scenario,
    ScenarioNode,
    ScenarioPod,
    SetTaints,
    SetTolerations,
    Write,
    traits_of,
)
from harness.model.taints import Taint, Toleration, taints_from_api, tolerations_from_api
from harness.model.wellknown import DisruptionReason
from harness.semantics.eviction import predict
from harness.semantics.eviction.settings import Settings

_EDGE_S = 0.001


@dataclass(slots=True)
class _PodState:
    """What the watch last showed of one pod, while the history is replayed."""

    node: str
    written: tuple[Mapping[str, Any], ...]
    tolerations: tuple[Toleration, ...]
    deleting: bool


def predict_observed(plan: Plan, history: History, settings: Settings, *, horizon_ns: int) -> tuple[Prediction, ...]:
    """What had to become of every pod that was on a target, given what happened; second 0 is the first acknowledged
    injection.

    Our own writes count at their acknowledgement (matched by resource version) or when the watch showed them, whichever
    came first, those of others when the watch showed them. A
    deletion that does not carry the taint manager's reason is somebody else's and enters the scenario as such;
    DaemonSet pods are
    left to the predictor (their own controller deletes them for the same cause).
    """
    index = HistoryIndex(history)
    injection = index.injection
    if injection is None or injection.ended_ns is None:
        return ()
    replay = _Replay(set(plan.targets), injection.invoked_ns, injection.ended_ns, index)
    replay.restarts(index, plan)
    for entry in history.entries:
        if entry.t_ns > horizon_ns:
            break
        if isinstance(entry.fact, events.PodSeen):
            replay.pod(entry.t_ns, entry.fact)
        elif isinstance(entry.fact, events.NodeSeen):
            replay.node(entry.t_ns, entry.fact)
    until_s = (horizon_ns - injection.ended_ns) / 1e9
    return tuple(predict(replay.scenario(until_s, settings.latency.together_s), settings).predictions)


class _Replay:
    """Turns facts into a scenario."""

    def __init__(self, targets: set[str], before_ns: int, zero_ns: int, index: HistoryIndex) -> None:
        self._targets = targets
        self._before_ns = before_ns
        self._zero_ns = zero_ns
        self._acknowledged: dict[str, int] = {
            str(done.detail["resourceVersion"]): entry.t_ns
            for entry, done in index.facts(events.StepDone)
            if "resourceVersion" in done.detail
        }
        self._nodes: dict[str, tuple[Taint, ...]] = {}
        self._present: dict[str, ScenarioPod] = {}
        self._states: dict[str, _PodState] = {}
        self._writes: list[Write] = []
        self._bound: list[tuple[CreatePod, int | None]] = []
        self._tainted: list[tuple[SetTaints, int | None]] = []

    def restarts(self, index: HistoryIndex, plan: Plan) -> None:
        """What our faults do that no watch shows: restarts of components, at the instant they were asked for."""
        faults = {step.id: step.fault for step in plan.steps if step.action is Action.INJECT}
        for record in index.steps:
            fault = faults.get(record.step)
            if fault is not None and record.outcome == "done":
                writes = fault.writes(record.subject, PlannedCluster({}, {}), self._at(record.invoked_ns))
                self._writes += [write for write in writes if isinstance(write, Restart)]

    def _at(self, t_ns: int) -> float:
        return (t_ns - self._zero_ns) / 1e9

    def node(self, t_ns: int, seen: events.NodeSeen) -> None:
        """A node as seen: its state before the injection, or a change of its taints after it."""
        taints = taints_from_api(seen.taints)
        if t_ns < self._before_ns:
            self._nodes[seen.name] = taints
        elif seen.name in self._nodes and seen.change in ("ADDED", "MODIFIED", "LISTED"):
            # Whichever came first: the answer to a heal comes after it was looked at once more, or very late.
            written_ns = min(t_ns, self._acknowledged.get(seen.resource_version, t_ns))
            write = SetTaints(max(0.0, self._at(written_ns)), seen.name, taints)
            self._writes.append(write)
            self._tainted.append((write, _revision(seen.resource_version)))

    def pod(self, t_ns: int, seen: events.PodSeen) -> None:
        """A pod as seen: there before the injection, or created, edited or deleted by somebody after it."""
        key = f"{seen.namespace}/{seen.name}"
        state = self._states.get(seen.uid)
        known = state is not None and state.written == seen.tolerations
        tolerations = state.tolerations if state and known else tolerations_from_api(seen.tolerations)
        ended = seen.change in ("DELETED", "VANISHED") or seen.deletion_timestamp is not None
        if t_ns < self._before_ns:
            self._before(seen, key, tolerations, ended)
        elif state is None or not state.node:
            if seen.node in self._targets and not ended:
                created = CreatePod(self._at(t_ns), _pod_of(seen, key, tolerations))
                if state is None:
                    self._writes.append(created)
                else:
                    # A list shows a later version than the binding's own.
                    own = seen.change in ("ADDED", "MODIFIED")
                    self._bound.append((created, _revision(seen.resource_version) if own else None))
        else:
            if state.tolerations != tolerations and not ended:
                self._writes.append(SetTolerations(max(0.0, self._at(t_ns)), key, tolerations))
            foreign = seen.disruption_reason != DisruptionReason.TAINT_MANAGER and seen.owner_kind != "DaemonSet"
            if ended and not state.deleting and foreign and state.node in self._targets:
                self._writes.append(DeletePod(max(0.0, self._at(t_ns)), key))
        self._states[seen.uid] = _PodState(
            seen.node, seen.tolerations, tolerations, ended or bool(state and state.deleting)
        )

    def _before(self, seen: events.PodSeen, key: str, tolerations: tuple[Toleration, ...], ended: bool) -> None:
        if seen.change in ("DELETED", "VANISHED"):
            self._present.pop(seen.uid, None)
        elif seen.node in self._targets:
            self._present[seen.uid] = _pod_of(seen, key, tolerations, terminating=ended)

    def scenario(self, until_s: float, together_s: float) -> Scenario:
        """Everything seen, in time order. A pod that was seen Pending was bound because the scheduler saw the node's
        taints as they then were: it is not one of the writes that may be seen together with theirs.
        """
        tainted = _Tainted(self._tainted, together_s)
        bound = (replace(write, at_s=tainted.after(write, revision)) for write, revision in self._bound)
        nodes = tuple(ScenarioNode(name, {}, taints) for name, taints in self._nodes.items())
        writes = tuple(sorted((*self._writes, *bound), key=lambda write: write.at_s))
        return Scenario(nodes, tuple(self._present.values()), writes, max(0.0, until_s))


class _Tainted:
    """The taint writes, sorted so that a bound pod finds those that came before it without looking at each.

    Two watches tell nothing of the order between their lines, but both objects' versions are revisions of one etcd.
    """

    def __init__(self, tainted: Sequence[tuple[SetTaints, int | None]], together_s: float) -> None:
        """`tainted`: each with its etcd revision, None where that is not known."""
        self._together_s = together_s
        self._at_s = sorted(write.at_s for write, _ in tainted)
        of_nodes: dict[str, list[tuple[int, float]]] = {}
        for write, written in tainted:
            if written is not None:
                of_nodes.setdefault(write.node, []).append((written, write.at_s))
        self._revisions = {node: sorted(writes) for node, writes in of_nodes.items()}
        self._latest_s = {
            node: tuple(accumulate((at_s for _, at_s in writes), max)) for node, writes in self._revisions.items()
        }

    def after(self, bound: CreatePod, revision: int | None) -> float:
        """Just outside the group of the taint writes that came before it: those near it, and those that etcd had
        before.
        """
        near_s = [bound.at_s]
        number = bisect_left(self._at_s, bound.at_s + self._together_s)
        if number:
            near_s.append(self._at_s[number - 1] + self._together_s + _EDGE_S)
        node = bound.pod.node
        if revision is not None and node in self._revisions:
            earlier = bisect_left(self._revisions[node], (revision, float("-inf")))
            if earlier:
                near_s.append(self._latest_s[node][earlier - 1] + self._together_s + _EDGE_S)
        return max(near_s)


def _revision(resource_version: str) -> int | None:
    """The etcd revision that a resourceVersion is; None for one that is none."""
    return int(resource_version) if resource_version.isascii() and resource_version.isdigit() else None


def _pod_of(
    seen: events.PodSeen, key: str, tolerations: tuple[Toleration, ...], *, terminating: bool = False
) -> ScenarioPod:
    traits = traits_of(daemon_set=seen.owner_kind == "DaemonSet", terminating=terminating)
    return ScenarioPod(key, seen.node, tolerations, 30.0, traits, seen.uid)
