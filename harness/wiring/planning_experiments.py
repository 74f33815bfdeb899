"""Plans of experiment files: on the cluster or world that was named, else on the lab that a run would start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.clock import Clock
from harness.cluster.reference import ClusterRef
from harness.impact import PolicyPlan
from harness.impact.experiments import plan_experiment
from harness.impact.request import PlanInput
from harness.lab.topology import Topology
from harness.model import wellknown
from harness.model.experiment import Experiment
from harness.model.finding import Expectation
from harness.model.state import ClusterState, Node, amount
from harness.semantics.eviction.settings import Settings
from harness.snapshot.control_plane import settings_of
from harness.wiring.ephemeral import topology_of
from harness.wiring.experiments import read_experiment
from harness.wiring.planning import read_input


async def plan_file(
    path: Path, where: ClusterRef, world: Path | None, expectations: Sequence[Expectation], *, clock: Clock
) -> PolicyPlan:
    """The plan of an experiment file, on the named cluster or world, else on the lab that a run would start."""
    experiment = read_experiment(path)
    named = world is not None or where.is_named
    seen = await read_input(where, world, clock=clock) if named else state_of_lab(experiment)
    return plan_experiment(experiment, seen, expectations)


def state_of_lab(experiment: Experiment) -> PlanInput:
    """The lab that `taintlab run` would start for the experiment, before anything runs in it."""
    version = experiment.lab.kubernetes or f"1.{Settings().minor}"
    nodes = _nodes_of(topology_of(experiment))
    state = ClusterState(nodes=nodes, pods=(), kubernetes_version=f"v{version.removeprefix('v')}")
    settings, notes = settings_of(version, experiment.lab.flags)
    return PlanInput(state, settings, "the lab that a run would start", notes)


def _nodes_of(topology: Topology) -> tuple[Node, ...]:
    return tuple(
        Node(
            name=node.name,
            labels={wellknown.HOSTNAME: node.name, wellknown.OS: "linux", **node.labels},
            taints=node.taints,
            allocatable={name: amount(name, text) for name, text in node.capacity.items()},
        )
        for node in topology.nodes
    )
