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
from harness.model.plan import Plan, Prediction
from harness.model.scenario import (
    ConditionStatus,
    ConditionType,
    CreatePod,
    DeletePod,
    Restart,
    Scenario,
    ScenarioNode,
    ScenarioPod,
    SetCondition,
    SetTaints,
    SetTolerations,
    StartHeartbeat,
    Write,
    traits_of,
)
from harness.model.state import Phase
from harness.model.taints import Taint, Toleration, taints_from_api, tolerations_from_api
from harness.model.wellknown import DisruptionReason
from harness.model.words import Action, Change, Outcome, StepResult
from harness.semantics.eviction import predict
from harness.semantics.eviction.settings import Settings
from harness.semantics.eviction.variants import concerns_node_lifecycle

_EDGE_S = 0.001
_LONGEST_GRACE_S = 30 * 24 * 3600.0
"""As long as a run may last: a pod with this grace is never seen to end."""
_NO_GRACE = "the record does not say how long a deleted pod of that name stays (its grace period), which decides here"
_NOT_MODELLED = "a node that was not heard of at the start went on changing, which is not modelled"
_NO_CONDITIONS = "the record has no conditions and zones of nodes, and the node lifecycle controller goes by them"


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
    came first, those of others when the watch showed them. A deletion that does not carry the taint manager's reason is
    somebody else's and enters the scenario as such; DaemonSet pods are left to the predictor (their own controller
    deletes them for the same cause). What a history of an earlier format does not have is never assumed.
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
    scenario = replay.scenario((horizon_ns - injection.ended_ns) / 1e9, settings.latency.together_s)
    return _as_far_as_known(scenario, replay, settings)


def _as_far_as_known(scenario: Scenario, replay: _Replay, settings: Settings) -> tuple[Prediction, ...]:
    """The predictions; `unsure` where a fact decides that the history does not have, being of an earlier format."""
    predictions = tuple(predict(scenario, settings).predictions)
    if replay.lacks_readiness and concerns_node_lifecycle(scenario):
        return tuple(_unsure(one, replay.lacks_readiness) for one in predictions)
    if not replay.lacks_grace:
        return predictions
    longest = predict(_with_longest_grace(scenario, replay.lacks_grace), settings).predictions
    others = {other.uid: other for other in longest}
    return tuple(one if _same(one, others.get(one.uid)) else _unsure(one, _NO_GRACE) for one in predictions)


def _same(one: Prediction, other: Prediction | None) -> bool:
    if other is None:
        return False
    return (one.outcome, one.earliest_s, one.latest_s) == (other.outcome, other.earliest_s, other.latest_s)


def _unsure(prediction: Prediction, because: str) -> Prediction:
    return replace(prediction, outcome=Outcome.UNSURE, earliest_s=None, latest_s=None, because=because)


def _with_longest_grace(scenario: Scenario, uids: set[str]) -> Scenario:
    """The other extreme of what is not known: without a word of it, pods are taken to have no grace period."""

    def longest(pod: ScenarioPod) -> ScenarioPod:
        return replace(pod, grace_s=_LONGEST_GRACE_S) if pod.uid in uids else pod

    writes = (replace(w, pod=longest(w.pod)) if isinstance(w, CreatePod) else w for w in scenario.writes)
    return replace(scenario, pods=tuple(map(longest, scenario.pods)), writes=tuple(writes))


class _Replay:
    """Turns facts into a scenario.

    `lacks_grace`: UIDs of pods whose grace period the history does not have. `lacks_readiness`: why it cannot be told
    how ready nodes were and which zones they are in; "" when it can.
    """

    def __init__(self, targets: set[str], before_ns: int, zero_ns: int, index: HistoryIndex) -> None:
        self._targets = targets
        self._before_ns = before_ns
        self._zero_ns = zero_ns
        self._acknowledged: dict[str, int] = {
            str(done.detail["resourceVersion"]): entry.t_ns
            for entry, done in index.facts(events.StepDone)
            if "resourceVersion" in done.detail
        }
        self._nodes: dict[str, ScenarioNode] = {}
        self._last: dict[str, tuple[tuple[Taint, ...], ConditionStatus]] = {}
        self._readiness: list[SetCondition | StartHeartbeat] = []
        self._present: dict[str, ScenarioPod] = {}
        self._states: dict[str, _PodState] = {}
        self._writes: list[Write] = []
        self._bound: list[tuple[CreatePod, int | None]] = []
        self._tainted: list[tuple[SetTaints, int | None]] = []
        self.lacks_grace: set[str] = set()
        self.lacks_readiness = ""

    def restarts(self, index: HistoryIndex, plan: Plan) -> None:
        """What our faults do that no watch shows: restarts of components, at the instant they were asked for."""
        faults = {step.id: step.fault for step in plan.steps if step.action is Action.INJECT}
        for record in index.steps:
            fault = faults.get(record.step)
            if fault is not None and record.outcome is StepResult.DONE:
                writes = fault.writes(record.subject, PlannedCluster({}, {}), self._at(record.invoked_ns))
                self._writes += [write for write in writes if isinstance(write, Restart)]

    def _at(self, t_ns: int) -> float:
        return (t_ns - self._zero_ns) / 1e9

    def node(self, t_ns: int, seen: events.NodeSeen) -> None:
        """A node as seen: its state before the injection, or a change of its taints or readiness after it."""
        taints, ready = taints_from_api(seen.taints), _ready(seen)
        if seen.conditions is None or seen.labels is None:
            self.lacks_readiness = _NO_CONDITIONS
        if t_ns < self._before_ns:
            self._nodes[seen.name] = ScenarioNode(seen.name, seen.labels or {}, taints, ready)
        elif seen.name in self._nodes and not seen.change.is_end:
            self._changed(t_ns, seen, taints, ready)
        self._last[seen.name] = taints, ready

    def _changed(self, t_ns: int, seen: events.NodeSeen, taints: tuple[Taint, ...], ready: ConditionStatus) -> None:
        taints_before, ready_before = self._last[seen.name]
        at_s = max(0.0, self._at(t_ns))
        if ready is not ready_before and self._nodes[seen.name].ready is not ConditionStatus.UNKNOWN:
            self._readiness.append(SetCondition(at_s, seen.name, ConditionType.READY, ready))
        elif ready is not ready_before:
            if ready_before is not ConditionStatus.UNKNOWN or ready is not ConditionStatus.TRUE:
                self.lacks_readiness = self.lacks_readiness or _NOT_MODELLED
            self._readiness.append(StartHeartbeat(at_s, seen.name))
        if taints != taints_before:  # else nobody wrote them: a label or a condition changed
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
        ended = seen.change.is_end or seen.deletion_timestamp is not None
        if t_ns < self._before_ns:
            self._before(seen, ended=ended)
        elif state is None or not state.node:
            if seen.node in self._targets and not ended:
                created = CreatePod(self._at(t_ns), self._pod_of(seen))
                if state is None:
                    self._writes.append(created)
                else:
                    # A list shows a later version than the binding's own.
                    own = seen.change in (Change.ADDED, Change.MODIFIED)
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

    def _before(self, seen: events.PodSeen, *, ended: bool) -> None:
        if seen.change.is_end:
            self._present.pop(seen.uid, None)
        elif seen.node in self._targets:
            self._present[seen.uid] = self._pod_of(seen, terminating=ended)

    def _pod_of(self, seen: events.PodSeen, *, terminating: bool = False) -> ScenarioPod:
        if seen.spec_grace_s is None:
            self.lacks_grace.add(seen.uid)
        traits = traits_of(
            daemon_set=seen.owner_kind == "DaemonSet",
            mirror=bool(seen.mirror),
            terminating=terminating,
            finished=seen.phase in (Phase.SUCCEEDED, Phase.FAILED),
        )
        tolerations, grace_s = tolerations_from_api(seen.tolerations), float(seen.spec_grace_s or 0)
        return ScenarioPod(f"{seen.namespace}/{seen.name}", seen.node, tolerations, grace_s, traits, seen.uid)

    def scenario(self, until_s: float, together_s: float) -> Scenario:
        """Everything seen, in time order. A pod that was seen Pending was bound because the scheduler saw the node's
        taints as they then were: it is not one of the writes that may be seen together with theirs.

        How ready nodes are is in it only if the node lifecycle controller has anything to do with their taints: only it
        goes by that, and what it wrote is among the taints seen.
        """
        tainted = _Tainted(self._tainted, together_s)
        bound = (replace(write, at_s=tainted.after(write, revision)) for write, revision in self._bound)
        writes = sorted((*self._writes, *bound), key=lambda write: write.at_s)
        nodes, pods = tuple(self._nodes.values()), tuple(self._present.values())
        scenario = Scenario(nodes, pods, tuple(writes), max(0.0, until_s))
        if not concerns_node_lifecycle(scenario):
            return replace(scenario, nodes=tuple(replace(node, ready=ConditionStatus.TRUE) for node in nodes))
        # At the same instant readiness comes first: the taints seen with it are what the controller made of it.
        whole = sorted((*self._readiness, *writes), key=lambda write: write.at_s)
        return replace(scenario, writes=tuple(whole))


def _ready(seen: events.NodeSeen) -> ConditionStatus:
    """The node's Ready condition; absent or strange, it is Unknown. One of which nothing is recorded is taken for
    Ready: whoever predicts by it looks at `lacks_readiness`.
    """
    if seen.conditions is None:
        return ConditionStatus.TRUE
    said = seen.conditions.get(ConditionType.READY)
    return ConditionStatus(said) if said in set(ConditionStatus) else ConditionStatus.UNKNOWN


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
