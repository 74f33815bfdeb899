"""Who leaves the targets of a policy, when and by which rule: the predictor's answer, or a drain's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.model import wellknown
from harness.model.plan import Prediction
from harness.model.planned_fault import TimedFault
from harness.model.scenario import Scenario, SetTaints, Write, scenario_node, scenario_pod
from harness.model.state import ClusterState, Node, Pod
from harness.model.words import Outcome
from harness.plan.predict import Foresee, planned_writes
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


def evictions_by(
    inventory: ClusterState, faults: Sequence[TimedFault], targets: Sequence[str], settings: Settings
) -> PredictedEvictions:
    """What the faults do to the pods on `targets` (node names)."""
    pods = pods_on(inventory, targets)
    writes = tuple(_writes(inventory.nodes, faults))
    by_drain = _drained(inventory, faults)
    if not writes and by_drain and all(id(pod) in by_drain for pod in pods):
        return PredictedEvictions(pods, tuple(by_drain[id(pod)] for pod in pods))
    named = set(targets)
    nodes: Sequence[Node] = [node for node in inventory.nodes if node.name in named]
    until_s = math.inf
    if concerns_node_lifecycle(Scenario((), (), writes, 0.0)):
        nodes, until_s = _neighbours(inventory.nodes, named), _look_ahead(pods, writes, targets, settings)
    scenario = Scenario(
        nodes=tuple(map(scenario_node, nodes)),
        pods=tuple(map(scenario_pod, pods)),
        writes=writes,
        until_s=until_s,
    )
    predictions = predict(scenario, settings).predictions
    if by_drain:
        predictions = tuple(
            foreseen if foreseen.outcome is Outcome.EVICTED else by_drain.get(id(pod), foreseen)
            for pod, foreseen in zip(pods, predictions, strict=True)
        )
    return PredictedEvictions(pods, predictions, until_s)


def _writes(nodes: Sequence[Node], faults: Sequence[TimedFault]) -> list[Write]:
    """The faults' writes in time order, node by node. Taints that go on one node at the same instant are one write, as
    one ``kubectl taint`` with several of them is.
    """
    timed: list[tuple[tuple[float, bool, int, int], tuple[Foresee, str, float]]] = []
    for number, each in enumerate(faults):
        for place, subject in enumerate(each.subjects):
            timed.append(((each.on_s, False, place, number), (each.fault.writes, subject, each.on_s)))
            if each.off_s is not None:
                timed.append(((each.off_s, True, place, number), (each.fault.undo_writes, subject, each.off_s)))
    ordered = [what for _, what in sorted(timed, key=lambda pair: pair[0])]
    out: list[Write] = []
    for write in planned_writes(ordered, {node.name: node.taints for node in nodes}):
        if out and isinstance(write, SetTaints) and isinstance(out[-1], SetTaints) and _same(out[-1], write):
            out[-1] = write
        else:
            out.append(write)
    return out


def _same(one: SetTaints, other: SetTaints) -> bool:
    return (one.node, one.at_s) == (other.node, other.at_s)


def _neighbours(nodes: Sequence[Node], targets: set[str]) -> list[Node]:
    """The nodes that the node lifecycle controller weighs against the targets: those of the same zones, and one of
    another, which keeps it from thinking that everything is down.
    """
    zones = {_zone(node) for node in nodes if node.name in targets}
    inside = [node for node in nodes if _zone(node) in zones]
    other = next((node for node in nodes if _zone(node) not in zones and node.ready), None)
    return inside if other is None else [*inside, other]


def _zone(node: Node) -> tuple[str, ...]:
    return tuple(node.labels.get(label, "") for label in _ZONE_LABELS)


def _look_ahead(pods: Sequence[Pod], writes: Sequence[Write], targets: Sequence[str], settings: Settings) -> float:
    """Long enough after the last write for every node to be tainted in its turn and every usual toleration to run
    out.
    """
    finite = {t.seconds for template in {p.template for p in pods} for t in template.tolerations if t.seconds}
    tolerated_s = max((seconds for seconds in finite if seconds < _LONGEST_LOOK_S), default=0)
    taints_s = settings.nodes.grace_s + len(targets) / settings.nodes.rate_per_s
    throttle_s = REQUESTS_PER_DELETION * len(pods) / settings.kcm_qps
    last_s = max(write.at_s for write in writes)
    return min(last_s + taints_s + tolerated_s + throttle_s + _SLACK_S, _LONGEST_LOOK_S)


def _drained(inventory: ClusterState, faults: Iterable[TimedFault]) -> dict[int, Prediction]:
    """What drains among the faults do with each pod on their nodes, by the pod's identity. The first drain counts."""
    found: dict[int, Prediction] = {}
    for drain in faults:
        if not drain.fault.drains:
            continue
        for each in drained(inventory, frozenset(drain.subjects)):
            prediction = Prediction(
                pod=each.pod.key,
                uid=each.pod.uid,
                node=each.pod.node,
                outcome=Outcome.EVICTED if each.leaves else Outcome.SURVIVES,
                earliest_s=_later(each.earliest_s, drain.on_s),
                latest_s=_later(each.latest_s, drain.on_s),
                rule=each.rule.value,
                because=each.because,
            )
            found.setdefault(id(each.pod), prediction)
    return found


def _later(at_s: float | None, by_s: float) -> float | None:
    return None if at_s is None else at_s + by_s
