"""What a plan is made of: a cluster's state with its settings, and what a policy from the command line asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import UsageError
from harness.formats.labels import selector
from harness.formats.problems import BadValue
from harness.impact import PolicyPlan, assess, evictions_by, judge
from harness.model.experiment import Target
from harness.model.finding import Expectation
from harness.model.planned_fault import PlannedFault, timed
from harness.model.state import ClusterState, Node
from harness.plan.targets import choose_targets
from harness.semantics.eviction.settings import Settings


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """A policy from the command line. `nodes`: a label selector, or node names with commas; "" with a single node.
    `faults`: what is done to them.
    """

    nodes: str = ""
    faults: tuple[PlannedFault, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanInput:
    """A world with what is known of its control plane. `source`: how people would call it."""

    inventory: ClusterState
    settings: Settings
    source: str
    notes: tuple[str, ...] = ()


def plan_policy(seen: PlanInput, asked: PlanRequest, expectations: Sequence[Expectation]) -> PolicyPlan:
    """What a policy from the command line would do. UsageError when it names no node, or nothing to do."""
    targets = _targets(asked.nodes, seen.inventory.nodes)
    if all(fault.ends_node for fault in asked.faults):
        raise UsageError(
            "say what is to be done: --taint key=value:NoExecute, --cordon, --drain, --lose-node, --condition"
        )
    faults = timed(asked.faults, targets)
    evictions = evictions_by(seen.inventory, faults, targets, seen.settings)
    impact = assess(seen.inventory, faults, targets, evictions, seen.settings)
    title = f"{', '.join(impact.words)} on {asked.nodes or targets[0]}"
    return judge(replace(impact, notes=seen.notes), expectations, source=seen.source, title=title)


def _targets(text: str, nodes: Sequence[Node]) -> tuple[str, ...]:
    """Node names, or a selector; a cluster of one node needs neither."""
    names = {node.name for node in nodes}
    if not text and len(nodes) == 1:
        return (nodes[0].name,)
    if not text:
        raise UsageError("say which nodes are meant: --nodes pool=spot, or --nodes node-1,node-2")
    words = tuple(word.strip() for word in text.split(","))
    if set(words) <= names:
        return words
    try:
        terms = selector(text)
    except BadValue as error:
        raise UsageError(f"--nodes {text}: {error}") from error
    return choose_targets(Target(selector=terms), nodes)
