"""From an experiment and a cluster to predictions, before the run: every write is assumed to happen on schedule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.model.experiment import Experiment
from harness.model.faults import PlannedCluster, PlannedPod
from harness.model.plan import Prediction, Step
from harness.model.scenario import Scenario, SetTaints, Write, scenario_node, scenario_pod
from harness.model.state import ClusterState
from harness.model.taints import Taint
from harness.model.words import Action, Outcome
from harness.semantics.eviction import predict
from harness.semantics.eviction.settings import Settings


def predict_planned(
    experiment: Experiment, steps: Sequence[Step], targets: Sequence[str], world: ClusterState, settings: Settings
) -> tuple[Prediction, ...]:
    """What must become of every pod on the targets if every step happens on schedule; second 0 is the first
    injection.
    """
    zero_s = min((s.at_s or 0.0 for s in steps if s.action is Action.INJECT), default=0.0)
    until_s = experiment.phases.fault_s + experiment.phases.recovery_s - zero_s
    pods = tuple(scenario_pod(pod) for pod in world.pods if pod.node in targets)
    nodes = tuple(map(scenario_node, world.nodes))
    namespaces = {manifest.namespace or "default" for manifest in experiment.workload}
    there = tuple(PlannedPod(p.key, p.template.labels) for p in world.pods if p.template.namespace in namespaces)
    before = {node.name: node.taints for node in world.nodes}
    writes = tuple(planned_writes(_deeds(steps, zero_s), before, there))
    scenario = Scenario(nodes, pods, writes, max(until_s, 0.0))
    unsure = _unplanned(experiment, world, namespaces)
    return tuple(_with_doubt(p, unsure.get(p.pod, "")) for p in _predictions(scenario, settings))


def _unplanned(experiment: Experiment, world: ClusterState, namespaces: Collection[str]) -> dict[str, str]:
    """What the writes of a fault leave out of what it does to a pod, by the pod's key."""
    out: dict[str, str] = {}
    for fault in experiment.faults:
        selector = fault.pods_with
        if fault.unplanned and selector is not None:
            pods = (pod for pod in world.pods if pod.template.namespace in namespaces)
            meant = [pod.key for pod in pods if all(term.matches(pod.template.labels) for term in selector)]
            out.update(dict.fromkeys(meant, f"{fault}: {fault.unplanned}"))
    return out


def _with_doubt(prediction: Prediction, why: str) -> Prediction:
    """The prediction, or `unsure` because of `why`."""
    if not why:
        return prediction
    return replace(prediction, outcome=Outcome.UNSURE, earliest_s=None, latest_s=None, because=why)


Foresee = Callable[[str, PlannedCluster, float], Sequence[Write]]
"""`writes` or `undo_writes` of a fault."""


def planned_writes(
    timed: Iterable[tuple[Foresee, str, float]],
    before: Mapping[str, tuple[Taint, ...]],
    pods: tuple[PlannedPod, ...] = (),
) -> Iterator[Write]:
    """The writes of everything that is done (what foresees them, its subject, when in seconds), in their order; each
    finds the taints that those before it left. `before`: the taints of each node. `pods`: those that faults may act on.
    """
    taints = dict(before)
    for foresee, subject, at_s in timed:
        for write in foresee(subject, PlannedCluster(before, taints, pods), at_s):
            if isinstance(write, SetTaints):
                taints[write.node] = write.taints
            yield write


def _deeds(steps: Sequence[Step], zero_s: float) -> Iterator[tuple[Foresee, str, float]]:
    """Every injection and heal, in the order of the steps, each at its step's time."""
    for step in steps:
        if step.fault is not None:
            foresee = step.fault.writes if step.action is Action.INJECT else step.fault.undo_writes
            yield foresee, step.subject, (step.at_s or 0.0) - zero_s


def _predictions(scenario: Scenario, settings: Settings) -> tuple[Prediction, ...]:
    return tuple(predict(scenario, settings).predictions)
