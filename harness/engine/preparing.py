"""What is looked at before a run touches anything: its targets, who holds them, and how long the credentials last."""

from __future__ import annotations

from harness.clock import Clock
from harness.cluster.ports import Cluster
from harness.cluster.undo import claim_of
from harness.engine.request import RunCluster
from harness.errors import ClusterError
from harness.faults.registry import UNDO
from harness.model.experiment import Experiment, Target
from harness.plan.targets import choose_targets
from harness.run.interpret import READY_TIMEOUT_S
from harness.run.observe import NODE_PATH
from harness.snapshot import nodes_of

_GRACE_AFTER_PLAN_S = 60


def longest_s(experiment: Experiment) -> float:
    """From the first write to the instant at which healing is given up."""
    ready_s = READY_TIMEOUT_S if experiment.workload else 0.0
    return experiment.phases.total_s + ready_s + _GRACE_AFTER_PLAN_S


async def choose_free_targets(experiment: Experiment, target: RunCluster, clock: Clock) -> tuple[str, ...]:
    """The names of the targets. ClusterError when another run still holds one of them, or when the credentials end
    before the run.
    """
    _require_credentials(experiment, target, clock)
    return () if experiment.target is None else await _free_nodes(experiment.target, target.cluster)


def _require_credentials(experiment: Experiment, target: RunCluster, clock: Clock) -> None:
    expire_s = target.cluster.credentials_expire_at_s()
    left_s = None if expire_s is None else expire_s - clock.now().wall_ns / 1e9
    if left_s is not None and left_s < longest_s(experiment) and not target.renews_credentials:
        raise ClusterError(
            f"the credentials of {target.cluster.name} end in {max(0.0, left_s):.0f} s and nothing renews them; the "
            f"run may take {longest_s(experiment):.0f} s: nothing was touched; log in again, or use an exec plugin"
        )


async def _free_nodes(wanted: Target, cluster: Cluster) -> tuple[str, ...]:
    listed = (await cluster.list(NODE_PATH)).items
    targets = choose_targets(wanted, nodes_of(listed))
    for node in listed:
        claim = claim_of(node, UNDO) if node["metadata"]["name"] in targets else None
        if claim is not None:
            name = node["metadata"]["name"]
            fix = "wait for it, or revert it with `taintlab recover`"
            raise ClusterError(f"node {name} is claimed by run {claim.run}: {fix}")
    return targets
