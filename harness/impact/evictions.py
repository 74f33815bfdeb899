"""Who leaves the nodes of a change, when and by which rule: the predictor's answer, or a drain's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.impact.change import Change
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
from harness.model.world import Owner, WorldNode, WorldPod
from harness.semantics.eviction import predict
from harness.semantics.eviction.settings import Settings
from harness.semantics.eviction.throttle import REQUESTS_PER_DELETION
from harness.semantics.eviction.variants import concerns_node_lifecycle

EVICTED, SURVIVES, DELETED, UNSURE = "evicted", "survives", "deleted", "unsure"
"""Outcomes of a prediction (the words of the write-script format)."""

_ZONE_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
_LONGEST_LOOK_S = 7200.0
_SLACK_S = 120.0
_DRAIN_S = 1.0
_DRAIN_QPS, _DRAIN_BURST = 50.0, 300
_RETRY_S = 5.0


class DrainRule(StrEnum):
    """What kubectl drain does with a pod (pkg/drain/filters.go)."""

    EVICTED = "drain-evicts"
    WAITS = "drain-waits-for-budget"
    SKIPS_DAEMON_SET = "drain-skips-daemonset"
    SKIPS_MIRROR = "drain-skips-mirror"


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
        return PredictedEvictions(pods, _drained(pods, inventory))
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
        drained = _drained(pods, inventory)
        predictions = tuple(p if p.outcome == EVICTED else d for p, d in zip(predictions, drained, strict=True))
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


# --- drains ---


def _drained(pods: Sequence[Pod], inventory: ClusterState) -> tuple[Prediction, ...]:
    """kubectl drain with --ignore-daemonsets, --delete-emptydir-data and --force: each pod is asked to leave at once,
    by the Eviction API; where a budget is used up it is asked again every 5 s.
    """
    going = sum(1 for pod in pods if _skipped(pod) is None)
    latest_s = _DRAIN_S + max(0, going - _DRAIN_BURST) / _DRAIN_QPS
    left = {budget.key: budget.allowed for budget in inventory.budgets}
    guards = {}
    out = []
    for pod in pods:
        template = pod.template
        if template not in guards:
            guards[template] = [
                b
                for b in inventory.budgets
                if b.namespace == template.namespace and b.selector.matches(template.labels)
            ]
        skipped = _skipped(pod)
        if skipped is not None:
            because = f"{skipped.value.removeprefix('drain-skips-')} pods are left alone by kubectl drain"
            out.append(_prediction(pod, SURVIVES, skipped, because, None, None))
            continue
        used_up = [] if pod.finished or pod.deleting else [b for b in guards[template] if left[b.key] <= 0]
        for budget in guards[template]:
            left[budget.key] -= 1
        if used_up:
            names = ", ".join(budget.key for budget in used_up)
            because = f"its eviction is refused (429) while budget {names} allows none; asked again every 5 s"
            out.append(_prediction(pod, EVICTED, DrainRule.WAITS, because, _RETRY_S, None))
        else:
            out.append(_prediction(pod, EVICTED, DrainRule.EVICTED, "evicted by the drain", 0.0, latest_s))
    return tuple(out)


def _skipped(pod: Pod) -> DrainRule | None:
    owner = pod.template.owner
    if pod.template.is_mirror:
        return DrainRule.SKIPS_MIRROR
    if owner is not None and owner.kind == "DaemonSet" and not pod.finished:
        return DrainRule.SKIPS_DAEMON_SET
    return None


def _prediction(
    pod: Pod, outcome: str, rule: DrainRule, because: str, earliest_s: float | None, latest_s: float | None
) -> Prediction:
    return Prediction(pod.key, pod.uid, pod.node, outcome, earliest_s, latest_s, rule.value, because)
