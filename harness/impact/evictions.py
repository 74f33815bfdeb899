"""Who leaves the nodes of a change, when and by which rule: the predictor's answer, or a drain's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.impact.change import Change
from harness.model import wellknown
from harness.model.plan import Prediction
from harness.model.scenario import (
    Scenario,
    ScenarioNode,
    ScenarioPod,
    SetCondition,
    SetTaints,
    StopHeartbeat,
    Write,
    traits_of,
)
from harness.model.state import ClusterState, Node, Pod
from harness.model.taints import with_taints
from harness.model.words import Outcome
from harness.model.world import Owner, WorldNode, WorldPod
from harness.semantics.drain import drained
from harness.semantics.eviction import predict
from harness.semantics.eviction.settings import Settings
from harness.semantics.eviction.throttle import REQUESTS_PER_DELETION
from harness.semantics.eviction.variants import concerns_node_lifecycle

_ZONE_LABELS = (wellknown.REGION, wellknown.ZONE)
_LONGEST_LOOK_S = 7200.0
_SLACK_S = 120.0


@dataclass(frozen=True, slots=True)
class PredictedEvictions:
    """A prediction for every pod on the targets: `predictions[i]` is about `pods[i]`. `looked_s`: how far ahead was
    looked; infinity where nothing periodic is involved.
    """

    pods: tuple[Pod, ...]
    predictions: tuple[Prediction, ...]
    looked_s: float = math.inf


def pods_on(inventory: ClusterState, targets: Iterable[str]) -> tuple[Pod, ...]:
    """The pods bound to these nodes."""
    names = set(targets)
    return tuple(pod for pod in inventory.pods if pod.node in names)


def evictions_by(inventory: ClusterState, change: Change, settings: Settings) -> PredictedEvictions:
    """What the change does to the pods on its targets."""
    pods = pods_on(inventory, change.targets)
    if change.drain and not (change.taints or change.lose or change.conditions):
        return PredictedEvictions(pods, _drained(inventory, change.targets))
    writes = tuple(_writes(inventory.nodes, change))
    nodes: Sequence[Node] = [node for node in inventory.nodes if node.name in set(change.targets)]
    until_s = math.inf
    if concerns_node_lifecycle(Scenario((), (), writes, 0.0)):
        nodes, until_s = _neighbours(inventory.nodes, change), _look_ahead(pods, change, settings)
    scenario = Scenario(
        nodes=tuple(ScenarioNode(node.name, node.labels, node.taints) for node in nodes),
        pods=tuple(map(scenario_pod, pods)),
        writes=writes,
        until_s=until_s,
    )
    predictions = predict(scenario, settings).predictions
    if change.drain:
        drained = _drained(inventory, change.targets)
        predictions = tuple(p if p.outcome is Outcome.EVICTED else d for p, d in zip(predictions, drained, strict=True))
    return PredictedEvictions(pods, predictions, until_s)


def _writes(nodes: Sequence[Node], change: Change) -> Iterable[Write]:
    by_name = {node.name: node for node in nodes}
    for name in change.targets:
        if change.taints:
            yield SetTaints(0.0, name, with_taints(by_name[name].taints, change.taints))
        if change.lose:
            yield StopHeartbeat(0.0, name)
        for condition in change.conditions:
            yield SetCondition(0.0, name, condition.type, condition.status)


def _neighbours(nodes: Sequence[Node], change: Change) -> list[Node]:
    """The nodes that the node lifecycle controller weighs against the targets: those of the same zones, and one of
    another, which keeps it from thinking that everything is down.
    """
    targets = set(change.targets)
    zones = {_zone(node) for node in nodes if node.name in targets}
    inside = [node for node in nodes if _zone(node) in zones]
    other = next((node for node in nodes if _zone(node) not in zones and node.ready), None)
    return inside if other is None else [*inside, other]


def _zone(node: Node) -> tuple[str, ...]:
    return tuple(node.labels.get(label, "") for label in _ZONE_LABELS)


def _look_ahead(pods: Sequence[Pod], change: Change, settings: Settings) -> float:
    """Long enough for every node to be tainted in its turn and every usual toleration to run out."""
    finite = {t.seconds for template in {p.template for p in pods} for t in template.tolerations if t.seconds}
    tolerated_s = max((seconds for seconds in finite if seconds < _LONGEST_LOOK_S), default=0)
    taints_s = settings.nodes.grace_s + len(change.targets) / settings.nodes.rate_per_s
    throttle_s = REQUESTS_PER_DELETION * len(pods) / settings.kcm_qps
    return min(taints_s + tolerated_s + throttle_s + _SLACK_S, _LONGEST_LOOK_S)


def scenario_pod(pod: Pod) -> ScenarioPod:
    """`pod` as the predictor wants it."""
    template = pod.template
    traits = traits_of(
        daemon_set=template.owner is not None and template.owner.kind == "DaemonSet",
        mirror=template.is_mirror,
        terminating=pod.deleting,
        finished=pod.finished,
    )
    return ScenarioPod(pod.key, pod.node, template.tolerations, float(template.grace_s), traits, pod.uid)


def world_pod(pod: Pod) -> WorldPod:
    """`pod` as experiments want it."""
    template = pod.template
    owner = template.owner
    return WorldPod(
        namespace=template.namespace,
        name=pod.name,
        uid=pod.uid,
        node=pod.node,
        phase=pod.phase.value,
        tolerations=template.tolerations,
        grace_s=template.grace_s,
        owner=None if owner is None else Owner(owner.kind, owner.name, owner.uid),
        labels=template.labels,
        ready=pod.ready,
        deletion_timestamp="terminating" if pod.deleting else None,
        is_mirror=template.is_mirror,
    )


def world_node(node: Node) -> WorldNode:
    """`node` as experiments want it."""
    return WorldNode(
        name=node.name,
        uid=node.uid,
        labels=node.labels,
        annotations=node.annotations,
        taints=node.taints,
        unschedulable=node.unschedulable,
        ready=node.ready,
    )


def _drained(inventory: ClusterState, targets: Iterable[str]) -> tuple[Prediction, ...]:
    """What a drain of the targets does, as predictions in the order of `pods_on`."""
    return tuple(
        Prediction(
            pod=each.pod.key,
            uid=each.pod.uid,
            node=each.pod.node,
            outcome=Outcome.EVICTED if each.leaves else Outcome.SURVIVES,
            earliest_s=each.earliest_s,
            latest_s=each.latest_s,
            rule=each.rule.value,
            because=each.because,
        )
        for each in drained(inventory, frozenset(targets))
    )
