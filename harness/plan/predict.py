"""From an experiment and a cluster to predictions, before the run: every write is assumed to happen on schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.model.experiment import Experiment, RestartFault, TaintFault, TolerationsFault
from harness.model.plan import Action, Prediction, Step
from harness.model.scenario import (
    Component,
    Restart,
    Scenario,
    ScenarioNode,
    ScenarioPod,
    SetTaints,
    SetTolerations,
    Write,
    traits_of,
)
from harness.model.taints import Taint, with_taints
from harness.model.world import World, WorldNode, WorldPod
from harness.semantics.eviction import predict
from harness.semantics.eviction.settings import Settings


def predict_planned(
    experiment: Experiment, steps: Sequence[Step], targets: Sequence[str], world: World, settings: Settings
) -> tuple[Prediction, ...]:
    """What must become of every pod on the targets if every step happens on schedule; second 0 is the first
    injection.
    """
    zero_s = min((s.at_s or 0.0 for s in steps if s.action is Action.INJECT), default=0.0)
    until_s = experiment.phases.fault_s + experiment.phases.recovery_s - zero_s
    pods = tuple(_scenario_pod(pod) for pod in world.pods if pod.node in targets)
    nodes = tuple(ScenarioNode(node.name, node.labels, node.taints) for node in world.nodes)
    writes = tuple(_planned_writes(steps, world, zero_s))
    scenario = Scenario(nodes, pods, writes, max(until_s, 0.0))
    return _predictions(scenario, settings)


def _planned_writes(steps: Sequence[Step], world: World, zero_s: float) -> Iterator[Write]:
    taints = {node.name: node.taints for node in world.nodes}
    for step in steps:
        at_s = (step.at_s or 0.0) - zero_s
        match step.action, step.fault:
            case Action.INJECT, TaintFault(taint=taint):
                taints[step.subject] = with_taints(taints[step.subject], [taint])
                yield SetTaints(at_s, step.subject, taints[step.subject])
            case Action.HEAL, TaintFault(taint=taint):
                original = next(node for node in world.nodes if node.name == step.subject)
                taints[step.subject] = _without(taints[step.subject], taint, original)
                yield SetTaints(at_s, step.subject, taints[step.subject])
            case Action.INJECT, TolerationsFault(selector=selector, tolerations=tolerations):
                for pod in world.pods:
                    if all(term.matches(pod.labels) for term in selector):
                        yield SetTolerations(at_s, pod.key, tolerations)
            case Action.INJECT, RestartFault(component=component) if component in set(Component):
                yield Restart(at_s, Component(component))
            case _:
                pass  # a cordon evicts nobody; restarts of other components do not touch timers


def _without(taints: tuple[Taint, ...], taint: Taint, original: WorldNode) -> tuple[Taint, ...]:
    before = next((there for there in original.taints if there.identity == taint.identity), None)
    if before is not None:
        return with_taints(taints, [before])
    return tuple(there for there in taints if there.identity != taint.identity)


def _scenario_pod(pod: WorldPod) -> ScenarioPod:
    traits = traits_of(
        daemon_set=pod.owner is not None and pod.owner.kind == "DaemonSet",
        mirror=pod.is_mirror,
        terminating=bool(pod.deletion_timestamp),
        finished=pod.phase in ("Succeeded", "Failed"),
    )
    return ScenarioPod(pod.key, pod.node, pod.tolerations, float(pod.grace_s), traits, pod.uid)


def _predictions(scenario: Scenario, settings: Settings) -> tuple[Prediction, ...]:
    return tuple(predict(scenario, settings).predictions)
