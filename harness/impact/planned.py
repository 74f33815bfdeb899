"""Faults that plans know and no run can do yet: a drain, a lost node, a node condition, the end of a node.

Values only, see `harness.model.planned_fault.PlannedFault`. None of them is undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from harness.model.faults import NodeMark, PlannedCluster
from harness.model.scenario import ConditionStatus, ConditionType, SetCondition, StopHeartbeat, Write
from harness.model.state import Node
from harness.model.taints import Effect, Taint, with_taints
from harness.model.wellknown import CONDITION_TAINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class _ForGood:
    """What these faults have in common: nodes as subjects, and nothing undone. `at_s`: when, in seconds."""

    for_s: ClassVar[float | None] = None
    drains: ClassVar[bool] = False
    ends_node: ClassVar[bool] = False

    at_s: float = 0.0

    def subjects(self, targets: Sequence[str]) -> Sequence[str]:
        """The targets."""
        return targets

    def writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """None that an eviction by a controller depends on."""
        return ()

    def undo_writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """None."""
        return ()

    def node_after(self, node: Node) -> Node:
        """As it is."""
        return node


@dataclass(frozen=True, slots=True)
class Drain(_ForGood):
    """``kubectl drain``: cordon the nodes, and ask for every pod's eviction. Whom that takes off, and when, hangs on
    the budgets of the cluster, and its end may be open, so it is no list of writes: `harness.semantics.drain`.
    """

    drains: ClassVar[bool] = True

    def node_after(self, node: Node) -> Node:
        """Cordoned."""
        return NodeMark().put_on(node)

    def __str__(self) -> str:
        """``drain``."""
        return "drain"


@dataclass(frozen=True, slots=True)
class LoseNode(_ForGood):
    """Power off: the kubelet is gone, and the node lifecycle controller finds out by its lease."""

    def writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """The last heartbeat has been."""
        return (StopHeartbeat(at_s, subject),)

    def node_after(self, node: Node) -> Node:
        """Not ready, with the taints of an unreachable node."""
        taints = condition_taints(ConditionType.READY, ConditionStatus.UNKNOWN)
        return replace(node, taints=with_taints(node.taints, taints), ready=False)

    def __str__(self) -> str:
        """``lose the node``."""
        return "lose the node"


@dataclass(frozen=True, slots=True)
class NodeCondition(_ForGood):
    """A node condition as it is reported from then on."""

    type: ConditionType
    status: ConditionStatus

    def writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """The condition; its taints are left to the node lifecycle controller."""
        return (SetCondition(at_s, subject, self.type, self.status),)

    def node_after(self, node: Node) -> Node:
        """With the condition's taints."""
        return replace(node, taints=with_taints(node.taints, condition_taints(self.type, self.status)))

    def __str__(self) -> str:
        """``condition MemoryPressure=True``."""
        return f"condition {self.type}={self.status}"


@dataclass(frozen=True, slots=True)
class EndOfNode(_ForGood):
    """The node ends, as after the notice of an interruption. It is not predicted what controllers make of that: what
    counts is who is still there (finding ``window``).
    """

    ends_node: ClassVar[bool] = True

    def __str__(self) -> str:
        """``end of the node``."""
        return "end of the node"


def condition_taints(kind: ConditionType, status: ConditionStatus) -> tuple[Taint, ...]:
    """What the node lifecycle controller makes of a condition (`CONDITION_TAINTS`)."""
    key = CONDITION_TAINTS.get((kind, status))
    if key is None:
        return ()
    put_on = Taint(key, Effect.NO_SCHEDULE), Taint(key, Effect.NO_EXECUTE)
    return put_on if kind is ConditionType.READY else put_on[:1]
